"""Engine.IO 4 over the network, in both lanes: what the protocol's own suite asserts, and what trips implementers.

https://github.com/socketio/socket.io/blob/main/docs/engine.io-protocol/v4-current.md
"""

import asyncio
import json

import aiohttp
import pytest

from tests.conformance.socketio_app import app, make, patient
from tests.conftest import LANES, running

DEADLINE = 20


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(patient, lane=request.param) as url:
        yield f"{url}/engine.io/"


@pytest.fixture(scope="module", params=LANES)
def hasty(request):
    """One that minds its clients every third of a second, as the suite has it."""
    with running(app, lane=request.param) as url:
        yield f"{url}/engine.io/"


@pytest.fixture(scope="module", params=LANES)
def asking(request):
    """One that asks as often, and then waits."""
    with running(make(heartbeat=0.3), lane=request.param) as url:
        yield f"{url}/engine.io/"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        yield session


async def get(http, url, query):
    async with http.get(f"{url}?{query}") as response:
        return response.status, await response.text()


async def post(http, url, sid, body):
    headers = {"content-type": "text/plain;charset=UTF-8"}
    async with http.post(f"{url}?EIO=4&transport=polling&sid={sid}", data=body, headers=headers) as response:
        return response.status, await response.text()


async def poll(http, url, sid):
    return await get(http, url, f"EIO=4&transport=polling&sid={sid}")


async def waits(sid):
    """The session's poll has arrived."""
    async with asyncio.timeout(DEADLINE):
        while not any(  # noqa: ASYNC110 (another thread's loop has no event for it)
            each.key == sid and "poll" in each._carriers for each in list(patient.reception.connections.values())
        ):
            await asyncio.sleep(0.01)


async def open_polling(http, url):
    status, text = await get(http, url, "EIO=4&transport=polling")
    assert status == 200
    return json.loads(text[1:])["sid"]


def open_socket(http, url, query="EIO=4&transport=websocket"):
    return http.ws_connect(f"{url}?{query}", timeout=aiohttp.ClientWSTimeout(ws_close=DEADLINE))


async def closed(socket):
    while True:
        message = await socket.receive(timeout=DEADLINE)
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
            return True


class TestHandshake:
    async def test_polling_opens_a_session(self, http, hasty):
        status, text = await get(http, hasty, "EIO=4&transport=polling")
        assert status == 200
        assert text[0] == "0"
        opened = json.loads(text[1:])
        assert isinstance(opened.pop("sid"), str)
        assert opened == {"upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}

    @pytest.mark.parametrize(
        "query",
        ["transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling", "EIO=4", "EIO=4&transport=abc",
         "EIO=4&transport=__proto__", "EIO=4&EIO=3&transport=polling", "EIO=4&transport=websocket", "",
         "EIO=4&transport=polling&sid=unknown", "EIO=4&transport=polling&sid=" + "x" * 10_000],
    )  # fmt: skip
    async def test_polling_with_a_bad_query_is_refused(self, http, url, query):
        status, text = await get(http, url, query)
        assert status == 400
        assert set(json.loads(text)) == {"code", "message"}

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    async def test_other_methods_are_refused(self, http, url, method):
        async with http.request(method, f"{url}?EIO=4&transport=polling") as response:
            assert response.status == 400

    async def test_a_websocket_opens_a_session_with_nothing_to_upgrade_to(self, http, hasty):
        async with open_socket(http, hasty) as socket:
            text = await socket.receive_str(timeout=DEADLINE)
            opened = json.loads(text[1:])
            assert text[0] == "0"
            assert isinstance(opened.pop("sid"), str)
            assert opened == {"upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}

    @pytest.mark.parametrize(
        "query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"]
    )
    async def test_a_websocket_with_a_bad_query_is_refused(self, http, url, query):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await open_socket(http, url, query)


class TestMessagesByPolling:
    @pytest.mark.parametrize("body", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4é€😀"])
    async def test_what_is_posted_comes_back(self, http, url, body):
        sid = await open_polling(http, url)
        assert await post(http, url, sid, body) == (200, "ok")
        assert await poll(http, url, sid) == (200, body)

    @pytest.mark.parametrize("body", ["abc", "", "\x1e", "9", "b====", "4ok\x1eabc"])
    async def test_a_bad_packet_ends_the_session(self, http, url, body):
        sid = await open_polling(http, url)
        status, _ = await post(http, url, sid, body)
        assert status == 400
        status, _ = await poll(http, url, sid)
        assert status == 400

    async def test_a_body_that_is_not_text_is_refused(self, http, url):
        sid = await open_polling(http, url)
        headers = {"content-type": "application/octet-stream"}
        async with http.post(f"{url}?EIO=4&transport=polling&sid={sid}", data=b"4x", headers=headers) as response:
            assert response.status == 400

    async def test_a_body_of_bad_utf8_ends_the_session(self, http, url):
        sid = await open_polling(http, url)
        status, _ = await post(http, url, sid, b"4\xff\xfe")
        assert status == 400
        assert (await poll(http, url, sid))[0] == 400

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_body_beyond_the_limit_is_too_big(self, http, url, chunked):
        sid = await open_polling(http, url)

        async def pieces():
            for _ in range(20):
                yield b"4" * 100_000

        status, _ = await post(http, url, sid, pieces() if chunked else b"4" * 1_000_001)
        assert status == 413

    async def test_a_second_poll_ends_the_session(self, http, url):
        sid = await open_polling(http, url)
        first = asyncio.create_task(poll(http, url, sid))
        await waits(sid)
        assert (await poll(http, url, sid))[0] == 400
        assert await first == (200, "1")
        assert (await poll(http, url, sid))[0] == 400

    async def test_a_cancelled_poll_ends_the_session(self, http, url):
        sid = await open_polling(http, url)
        polling = asyncio.create_task(poll(http, url, sid))
        await waits(sid)
        polling.cancel()
        async with asyncio.timeout(DEADLINE):
            while (await post(http, url, sid, "3"))[0] != 400:
                pass


class TestMessagesByWebSocket:
    async def test_text_and_bytes_come_back(self, http, url):
        async with open_socket(http, url) as socket:
            await socket.receive_str(timeout=DEADLINE)
            await socket.send_str("4hello")
            assert await socket.receive_str(timeout=DEADLINE) == "4hello"
            await socket.send_bytes(b"\x01\x02\x03\x04")
            assert await socket.receive_bytes(timeout=DEADLINE) == b"\x01\x02\x03\x04"

    @pytest.mark.parametrize("packet", ["abc", "", "²"])
    async def test_a_bad_packet_ends_the_session(self, http, url, packet):
        async with open_socket(http, url) as socket:
            await socket.receive_str(timeout=DEADLINE)
            await socket.send_str(packet)
            assert await closed(socket)

    async def test_a_message_beyond_the_limit_ends_the_session(self, http, url):
        async with open_socket(http, url) as socket:
            await socket.receive_str(timeout=DEADLINE)
            await socket.send_str("4" * 1_000_001)
            assert await closed(socket)
            assert socket.close_code == 1009


class TestHeartbeat:
    async def test_polling_is_pinged_and_answers(self, http, asking):
        sid = await open_polling(http, asking)
        for _ in range(3):
            assert await poll(http, asking, sid) == (200, "2")
            assert await post(http, asking, sid, "3") == (200, "ok")

    async def test_a_polling_client_that_stays_silent_is_given_up(self, http, hasty):
        sid = await open_polling(http, hasty)
        async with asyncio.timeout(DEADLINE):
            while (await poll(http, hasty, sid))[0] != 400:
                pass

    async def test_a_websocket_is_pinged_and_answers(self, http, asking):
        async with open_socket(http, asking) as socket:
            await socket.receive_str(timeout=DEADLINE)
            for _ in range(3):
                assert await socket.receive_str(timeout=DEADLINE) == "2"
                await socket.send_str("3")

    async def test_a_websocket_that_stays_silent_is_closed(self, http, hasty):
        async with open_socket(http, hasty) as socket:
            assert await closed(socket)


class TestClose:
    async def test_closing_by_polling_answers_the_open_poll(self, http, url):
        sid = await open_polling(http, url)
        waiting = asyncio.create_task(poll(http, url, sid))
        await waits(sid)
        await post(http, url, sid, "1")
        assert await waiting == (200, "6")
        assert (await poll(http, url, sid))[0] == 400

    async def test_closing_by_websocket(self, http, url):
        async with open_socket(http, url) as socket:
            await socket.receive_str(timeout=DEADLINE)
            await socket.send_str("1")
            assert await closed(socket)


class TestUpgrade:
    async def probe(self, http, url, sid):
        socket = await open_socket(http, url, f"EIO=4&transport=websocket&sid={sid}")
        await socket.send_str("2probe")
        assert await socket.receive_str(timeout=DEADLINE) == "3probe"
        return socket

    async def test_from_polling_to_websocket(self, http, url):
        sid = await open_polling(http, url)
        socket = await self.probe(http, url, sid)
        assert await poll(http, url, sid) == (200, "6")
        await socket.send_str("5")
        await socket.send_str("4hello")
        assert await socket.receive_str(timeout=DEADLINE) == "4hello"
        await socket.close()

    async def test_an_open_poll_is_ended_by_the_probe(self, http, url):
        sid = await open_polling(http, url)
        waiting = asyncio.create_task(poll(http, url, sid))
        await waits(sid)
        socket = await self.probe(http, url, sid)
        assert await waiting == (200, "6")
        await socket.close()

    async def test_afterwards_polls_and_further_websockets_are_refused(self, http, url):
        sid = await open_polling(http, url)
        socket = await self.probe(http, url, sid)
        await socket.send_str("5")
        await socket.send_str("4in")
        assert await socket.receive_str(timeout=DEADLINE) == "4in"
        assert (await poll(http, url, sid))[0] == 400
        try:
            other = await open_socket(http, url, f"EIO=4&transport=websocket&sid={sid}")
            assert await closed(other)
        except aiohttp.WSServerHandshakeError as error:
            assert error.status in (400, 403)
        await socket.send_str("4still here")
        assert await socket.receive_str(timeout=DEADLINE) == "4still here"
        await socket.close()

    async def test_a_probe_that_goes_away_changes_nothing(self, http, url):
        sid = await open_polling(http, url)
        socket = await self.probe(http, url, sid)
        await socket.close()
        assert await post(http, url, sid, "4hello") == (200, "ok")
        seen = ""
        async with asyncio.timeout(DEADLINE):
            while "4hello" not in seen:
                status, text = await poll(http, url, sid)
                assert status == 200
                seen += text

    async def test_what_was_on_its_way_at_the_upgrade_is_not_lost(self, http, url):
        sid = await open_polling(http, url)
        socket = await self.probe(http, url, sid)
        assert await post(http, url, sid, "4one\x1e4two") == (200, "ok")
        await socket.send_str("5")
        await socket.send_str("4three")
        heard = [await socket.receive_str(timeout=DEADLINE) for _ in range(3)]
        assert heard == ["4one", "4two", "4three"]
        await socket.close()
