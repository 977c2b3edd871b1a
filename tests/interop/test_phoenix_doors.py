"""What Phoenix's doors say to bad input, in both lanes; and that the room lives on."""

import asyncio
import json
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hubbub import App, Channel, Limits, on
from hubbub.servers import requests
from tests.conftest import LANES, running

app = App(limits=Limits(message=10_000, poll=1.0, patience=1.0), origins="https://friend.example")
TOPIC = "room:lobby"
VSN = "vsn=2.0.0"


@app.channel("room:{room}")
class Room(Channel):
    @on("say")
    async def say(self, text: str):
        await self.publish("said", {"text": text})


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


class Witness:
    """Someone in the room, whom all this must not trouble."""

    def __init__(self, socket):
        self.socket = socket

    async def tell(self, ref, event, payload):
        await self.socket.send(json.dumps(["1", ref, TOPIC, event, payload]))

    async def hear(self):
        async with asyncio.timeout(20):
            return json.loads(await self.socket.recv())

    async def is_well(self):
        await self.tell("2", "say", {"text": "still here"})
        assert await self.hear() == [None, None, TOPIC, "said", {"text": "still here"}]
        assert (await self.hear())[4] == {"status": "ok", "response": {}}


@pytest.fixture
async def witness(url):
    async with connect(f"{socket_url(url)}?{VSN}") as socket:
        witness = Witness(socket)
        await witness.tell("1", "phx_join", {})
        assert (await witness.hear())[4] == {"status": "ok", "response": {}}
        yield witness
        await witness.is_well()


@pytest.fixture
async def http(url):
    async with httpx.AsyncClient(base_url=f"{url}/socket", timeout=20) as http:
        yield http


def socket_url(url):
    return url.replace("http", "ws") + "/socket/websocket"


async def begun(http):
    """The header that names a new session."""
    opened = (await http.get(f"/longpoll?{VSN}")).json()
    assert (opened["status"], opened["messages"]) == (410, [])
    return {"x-phoenix-longpoll-token": opened["token"]}


# -- WebSocket --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("vsn=4.0.0", {}, 403),
        ("vsn=nonsense", {}, 403),
        (VSN, {"origin": "https://evil.example"}, 403),
        (VSN, {"sec-websocket-protocol": "phoenix, base64url.bearer.phx.x"}, 403),
    ],
)
async def test_an_upgrade_that_is_refused(url, witness, query, headers, status):
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{socket_url(url)}?{query}", additional_headers=headers)
    assert refused.value.response.status_code == status


async def test_the_subprotocol_that_is_one_is_agreed_to(url):
    offered = ["phoenix", "base64url.bearer.phx.c2VjcmV0"]
    async with connect(f"{socket_url(url)}?{VSN}", subprotocols=offered) as socket:
        assert socket.subprotocol == "phoenix"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", 1007),
        ("[]", 1002),
        ('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}', 1002),
        (b"\x00\xff\xff\xff\xff", 1002),
        ("x" * 10_001, 1009),
    ],
)
async def test_a_message_that_is_none_ends_its_own_connection(url, witness, message, code):
    async with connect(f"{socket_url(url)}?{VSN}") as socket:
        await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(20):
                await socket.recv()
        assert closed.value.rcvd.code == code


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_request_that_is_no_upgrade(http, witness, method):
    assert (await http.request(method, f"/websocket?{VSN}")).status_code in (400, 405)


async def test_an_unknown_topic_is_refused_and_the_connection_lives(url, witness):
    async with connect(f"{socket_url(url)}?{VSN}") as socket:
        for topic, status in (("cellar", "error"), (TOPIC, "ok")):
            await socket.send(json.dumps(["1", "1", topic, "phx_join", {}]))
            async with asyncio.timeout(20):
                answer = json.loads(await socket.recv())
            assert (answer[2], answer[4]["status"]) == (topic, status)
        assert answer[4]["response"] == {}


async def test_the_hundred_and_first_channel_is_refused(url, witness):
    async with connect(f"{socket_url(url)}?{VSN}") as socket:
        replies = []
        for number in range(101):
            await socket.send(json.dumps([str(number), str(number), f"room:{number}", "phx_join", {}]))
            replies.append(json.loads(await socket.recv())[4])
    assert [reply["status"] for reply in replies] == ["ok"] * 100 + ["error"]
    assert replies[-1]["response"]["code"] == "too_many"


# -- long poll --------------------------------------------------------------------------------------------------------


async def test_a_version_that_is_not_spoken(http, witness):
    assert (await http.get("/longpoll?vsn=4.0.0")).json() == {"status": 403}


async def test_a_page_of_another_origin(http, witness):
    evil = await http.get(f"/longpoll?{VSN}", headers={"origin": "https://evil.example"})
    assert evil.json() == {"status": 403}
    assert "access-control-allow-origin" not in evil.headers
    friend = await http.get(f"/longpoll?{VSN}", headers={"origin": "https://friend.example"})
    assert friend.json()["status"] == 410
    assert friend.headers["access-control-allow-origin"] == "https://friend.example"


async def test_a_page_asks_before_it_sends_its_headers(http):
    asked = "x-phoenix-longpoll-token, x-phoenix-authtoken"
    headers = {
        "origin": "https://friend.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
    }
    answer = await http.options("/longpoll", headers=headers)
    assert answer.is_success
    assert answer.headers["access-control-allow-headers"] == asked
    assert {"GET", "POST"} <= set(answer.headers["access-control-allow-methods"].split(", "))


@pytest.mark.parametrize("token", [None, "forged", "hubbub.forged"])
async def test_a_token_that_nobody_knows(http, witness, token):
    headers = {} if token is None else {"x-phoenix-longpoll-token": token}
    assert (await http.post(f"/longpoll?{VSN}", headers=headers, content="[]")).json() == {"status": 410}
    fresh = (await http.get(f"/longpoll?{VSN}", headers=headers)).json()
    assert fresh["status"] == 410
    assert fresh["token"] != token
    assert (await http.get(f"/longpoll?{VSN}&token={token}")).json()["status"] == 410


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("nonsense", "application/x-ndjson", 400),
        ("[]", "application/json", 400),
        (b"\xff", "application/octet-stream", 400),
        ("x" * 10_001, "application/x-ndjson", 413),
        ("", "application/x-ndjson", 200),
        ('[null,"1","phoenix","heartbeat",{}]', "image/png", 200),
    ],
)
async def test_a_body(http, witness, content, kind, status):
    headers = await begun(http)
    answer = await http.post(f"/longpoll?{VSN}", headers={**headers, "content-type": kind}, content=content)
    assert (answer.status_code, answer.json()) == (200, {"status": status})


async def test_an_unknown_topic_is_refused_and_the_session_lives(http, witness):
    headers = await begun(http)
    for topic, status in (("cellar", "error"), (TOPIC, "ok")):
        join = json.dumps(["1", "1", topic, "phx_join", {}])
        assert (await http.post(f"/longpoll?{VSN}", headers=headers, content=join)).json() == {"status": 200}
        (message,) = (await http.get(f"/longpoll?{VSN}", headers=headers)).json()["messages"]
        assert json.loads(message)[4]["status"] == status


async def test_a_session_that_its_client_broke_is_gone(http, witness):
    headers = await begun(http)
    await http.post(f"/longpoll?{VSN}", headers=headers, content="nonsense")
    assert (await http.post(f"/longpoll?{VSN}", headers=headers, content="")).json() == {"status": 410}
    assert (await http.get(f"/longpoll?{VSN}", headers=headers)).json()["status"] == 410


async def test_a_body_that_takes_too_long(url, http, witness, monkeypatch):
    monkeypatch.setattr(requests, "SLOWEST", 0.1)
    headers = await begun(http)
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    token = headers["x-phoenix-longpoll-token"]
    head = f"POST /socket/longpoll?{VSN}&token={token} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-length: 9\r\n\r\n["
    writer.write(head.encode())
    async with asyncio.timeout(20):
        answer = await reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"status":408}')
    writer.close()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_method_that_is_none(http, witness, method):
    assert (await http.request(method, "/longpoll")).status_code in (400, 405)


async def test_two_polls_at_once(http, witness):
    headers = await begun(http)
    older = asyncio.ensure_future(http.get(f"/longpoll?{VSN}", headers=headers))
    await asyncio.sleep(0)
    newer = asyncio.ensure_future(http.get(f"/longpoll?{VSN}", headers=headers))
    await asyncio.wait((older, newer), return_when=asyncio.FIRST_COMPLETED)
    await http.post(f"/longpoll?{VSN}", headers=headers, content='[null,"1","phoenix","heartbeat",{}]')
    answers = sorted([(await poll).json()["status"] for poll in (older, newer)])
    assert answers == [200, 204]


async def test_a_poll_that_has_nothing_to_say_ends(http):
    headers = await begun(http)
    answer = await http.get(f"/longpoll?{VSN}", headers=headers)
    assert answer.json() == {"status": 204, "token": headers["x-phoenix-longpoll-token"], "messages": []}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_a_client_that_polls_no_more_is_gone(http, witness):
    """Its session ends ``Limits.poll`` and ``Limits.patience`` after its last poll."""
    headers = await begun(http)
    status = 200
    async with asyncio.timeout(20):
        while status == 200:
            await asyncio.sleep(1.0)
            probe = await http.post(f"/longpoll?{VSN}", headers=headers, content="")
            status = probe.json()["status"]
    assert status == 410
