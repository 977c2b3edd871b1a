"""Socket.IO 5 over the network, in both lanes: what the protocol's own suite asserts, and what trips implementers.

https://github.com/socketio/socket.io/blob/main/docs/socket.io-protocol/v5-current.md
(What its suite asserts of Engine.IO underneath stands in test_engineio.py, and is run here on /socket.io/ too.)
"""

import json

import aiohttp
import pytest

from tests.conformance.socketio_app import app, patient
from tests.conformance.test_engineio import DEADLINE, closed, get, open_polling, open_socket, poll, post
from tests.conftest import LANES, running


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(patient, lane=request.param) as url:
        yield f"{url}/socket.io/"


@pytest.fixture(scope="module", params=LANES)
def hasty(request):
    """One that waits for a second, as the suite has it."""
    with running(app, lane=request.param) as url:
        yield f"{url}/socket.io/"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        yield session


class Client:
    """A bare WebSocket that answers pings and gives everything else."""

    def __init__(self, socket):
        self.socket = socket

    async def send(self, data):
        await (self.socket.send_str(data) if isinstance(data, str) else self.socket.send_bytes(data))

    async def receive(self):
        while True:
            message = await self.socket.receive(timeout=DEADLINE)
            if message.data == "2":
                await self.socket.send_str("3")
            else:
                return message.data


@pytest.fixture
async def raw(http, url):
    async with open_socket(http, url) as socket:
        await socket.receive_str(timeout=DEADLINE)
        yield socket


@pytest.fixture
async def client(raw):
    client = Client(raw)
    await client.send("40")
    assert (await client.receive()).startswith("40{")
    assert await client.receive() == '42["auth",{}]'
    return client


class TestEngine:
    async def test_handshakes_and_refusals_are_those_of_engineio(self, http, url):
        status, text = await get(http, url, "EIO=4&transport=polling")
        assert status == 200
        assert set(json.loads(text[1:])) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        for query in ("transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"):
            assert (await get(http, url, query))[0] == 400
        for method in ("POST", "PUT"):
            async with http.request(method, f"{url}?EIO=4&transport=polling") as response:
                assert response.status == 400

    async def test_polling_carries_packets_and_attachments(self, http, url):
        sid = await open_polling(http, url)
        packets = []

        async def until(last):
            while last not in packets:
                status, text = await poll(http, url, sid)
                assert status == 200
                packets.extend(packet for packet in text.split("\x1e") if packet != "2")

        assert await post(http, url, sid, "40") == (200, "ok")
        await until('42["auth",{}]')
        assert packets[0].startswith("40{")
        assert await post(http, url, sid, '451-["message",{"_placeholder":true,"num":0},"x"]') == (200, "ok")
        assert await post(http, url, sid, "bAQID") == (200, "ok")
        await until("bAQID")
        assert packets[2:] == ['451-["message-back",{"_placeholder":true,"num":0},"x"]', "bAQID"]


class TestConnect:
    @pytest.mark.parametrize(
        ("packet", "reply", "auth"),
        [
            ("40", "40", '42["auth",{}]'),
            ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
            ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
            ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
        ],
    )
    async def test_a_namespace_is_joined_and_hears_its_handler(self, raw, packet, reply, auth):
        client = Client(raw)
        await client.send(packet)
        answer = await client.receive()
        assert answer.startswith(reply)
        opened = json.loads(answer.removeprefix(reply))
        assert list(opened) == ["sid"]
        assert isinstance(opened["sid"], str)
        assert await client.receive() == auth

    async def test_an_unknown_namespace_is_refused(self, raw):
        client = Client(raw)
        await client.send("40/random")
        assert await client.receive() == '44/random,{"message":"Invalid namespace"}'

    async def test_a_bad_first_packet_closes_the_connection(self, raw):
        await raw.send_str("4abc")
        assert await closed(raw)

    async def test_an_event_before_connect_closes_the_connection(self, raw):
        await raw.send_str('42["message","x"]')
        assert await closed(raw)

    async def test_who_does_not_connect_in_time_is_closed(self, http, hasty):
        async with open_socket(http, hasty) as raw:
            while (message := await raw.receive(timeout=DEADLINE)).type is aiohttp.WSMsgType.TEXT:
                if message.data == "2":
                    await raw.send_str("3")
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


class TestDisconnect:
    async def test_leaving_the_main_namespace_leaves_the_connection_open(self, client):
        await client.send("41")
        await client.send("40/custom")
        assert (await client.receive()).startswith("40/custom,{")

    async def test_leaving_one_namespace_leaves_the_other(self, client):
        await client.send("40/custom")
        assert (await client.receive()).startswith("40/custom,{")
        assert await client.receive() == '42/custom,["auth",{}]'
        await client.send("41/custom")
        await client.send('42["message","message to main namespace"]')
        assert await client.receive() == '42["message-back","message to main namespace"]'


class TestMessages:
    @pytest.mark.parametrize(
        ("packet", "answer"),
        [
            ('42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]'),
            ('42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]'),
            ('420["message-with-ack"]', "430[]"),
        ],
    )
    async def test_plain_packets(self, client, packet, answer):
        await client.send(packet)
        assert await client.receive() == answer

    @pytest.mark.parametrize(
        ("packet", "answer"),
        [
            (
                '452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
            ),
            (
                '452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
            ),
        ],
    )
    async def test_packets_with_attachments(self, client, packet, answer):
        await client.send(packet)
        await client.send(b"\x01\x02\x03")
        await client.send(b"\x04\x05\x06")
        assert [await client.receive() for _ in range(3)] == [answer, b"\x01\x02\x03", b"\x04\x05\x06"]

    @pytest.mark.parametrize(
        "packet",
        ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]', '42["message"', "42[]", "42[null]", "4999",
         '45999999999-["message"]', '451-["message",{"_placeholder":true,"num":7}]', "47", "4²"],
    )  # fmt: skip
    async def test_a_bad_packet_closes_the_connection(self, client, packet):
        await client.send(packet)
        if packet.startswith("451"):
            await client.send(b"\x00")
        assert await closed(client.socket)
