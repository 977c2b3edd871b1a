"""What Socket.IO's door says to bad input, in both lanes and by both carriers; and that the room lives on."""

import asyncio

import aiohttp
import msgspec
import pytest

from hubbub import App, Channel, Limits, on
from tests.conftest import LANES, running

app = App(limits=Limits(message=10_000, packets=100))
PLACE = "/socket.io/?EIO=4&transport="
POLLING, WEBSOCKET = f"{PLACE}polling", f"{PLACE}websocket"
TEXT = {"content-type": "text/plain;charset=UTF-8"}


@app.channel("room")
class Room(Channel):
    @on("say")
    async def say(self, text: str):
        await self.publish("said", text)


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


@pytest.fixture
async def http(url):
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=30)) as http:
        yield http


@pytest.fixture(autouse=True)
async def witness(http):
    """Someone in the room, whom all this must not trouble."""
    async with http.ws_connect(WEBSOCKET) as socket:
        await joined(socket)
        yield socket
        await socket.send_str('42/room,["say","still here"]')
        assert await socket.receive_str(timeout=20) == '42/room,["said","still here"]'


async def joined(socket):
    assert (await socket.receive_str(timeout=20)).startswith("0{")
    await socket.send_str("40/room,")
    assert (await socket.receive_str(timeout=20)).startswith("40/room,{")


async def opened(http):
    """The URL of a new session that polls."""
    async with http.get(POLLING) as response:
        return f"{POLLING}&sid={msgspec.json.decode((await response.text())[1:])['sid']}"


async def ask(http, method, url, *, headers=None, data=None):
    async with http.request(method, url, headers=headers, data=data) as response:
        return response.status, await response.text()


def refused(answer, status, code, message):
    assert answer[0] == status
    assert msgspec.json.decode(answer[1]) == {"code": code, "message": message}


# -- requests ---------------------------------------------------------------------------------------------------------

REQUESTS = {
    "an old version": ("GET", "/socket.io/?EIO=3&transport=polling", 400, 5, "Unsupported protocol version"),
    "no version": ("GET", "/socket.io/?transport=polling", 400, 5, "Unsupported protocol version"),
    "two versions": ("GET", f"{POLLING}&EIO=3", 400, 5, "Unsupported protocol version"),
    "an unknown transport": ("GET", f"{PLACE}telepathy", 400, 0, "Transport unknown"),
    "no transport": ("GET", "/socket.io/?EIO=4", 400, 0, "Transport unknown"),
    "a WebSocket that is none": ("GET", WEBSOCKET, 400, 3, "Bad request"),
    "an unknown session": ("GET", f"{POLLING}&sid=nobody", 400, 1, "Session ID unknown"),
    "a post to an unknown session": ("POST", f"{POLLING}&sid=nobody", 400, 1, "Session ID unknown"),
    "a post without a session": ("POST", POLLING, 400, 2, "Bad handshake method"),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_request_that_is_wrong(http, what):
    method, url, *answer = REQUESTS[what]
    refused(await ask(http, method, url, headers=TEXT), *answer)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_wrong_method(http, method):
    status, text = await ask(http, method, await opened(http))
    assert status in (400, 405)
    assert "code" in msgspec.json.decode(text)


async def test_a_page_of_another_origin(http):
    evil = {"origin": "https://evil.example"}
    refused(await ask(http, "GET", POLLING, headers=evil), 403, 4, "pages of this origin may not connect")
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await http.ws_connect(WEBSOCKET, headers=evil)
    assert error.value.status == 403


@pytest.mark.parametrize(
    "query", ["EIO=3&transport=websocket", "transport=websocket", "EIO=4&transport=websocket&sid=nobody"]
)
async def test_a_websocket_that_is_refused(http, query):
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await http.ws_connect(f"/socket.io/?{query}")
    assert error.value.status in (400, 403)


# -- bodies and messages ----------------------------------------------------------------------------------------------

BODIES = {
    "no body": (b"", TEXT, 400),
    "no packet": (b"x", TEXT, 400),
    "no UTF-8": (b"4\xff", TEXT, 400),
    "no base64": (b"b====", TEXT, 400),
    "an event in no namespace": (b'42/cellar,["say","x"]', TEXT, 400),
    "a wrong content type": (b"4\x00", {"content-type": "application/octet-stream"}, 400),
    "too many packets": (b"\x1e".join([b"40"] * 101), TEXT, 400),
    "too many bytes": (b"4" * 10_001, TEXT, 413),
}


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_cannot_be_read(http, what):
    data, headers, status = BODIES[what]
    url = await opened(http)
    answer = await ask(http, "POST", url, headers=headers, data=data)
    assert answer[0] == status
    assert set(msgspec.json.decode(answer[1])) == {"code", "message"}


MESSAGES = {
    "no packet": ("x", 1002),
    "nothing": ("", 1002),
    "no JSON": ('42/room,["say', 1007),
    "no event": ("42/room,[]", 1002),
    "a reserved event": ('42/room,["connect"]', 1002),
    "an event in no namespace": ('42/cellar,["say","x"]', 1002),
    "an answer to nothing that is none": ("43/room,[]", 1002),
    "bytes that nobody announced": (b"x", 1002),
    "too many bytes": ("4" * 10_001, 1009),
}


@pytest.mark.parametrize("what", MESSAGES)
async def test_a_message_that_is_none_ends_its_own_websocket(http, what):
    message, code = MESSAGES[what]
    async with http.ws_connect(WEBSOCKET) as socket:
        await joined(socket)
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
        while (heard := await socket.receive(timeout=20)).type == aiohttp.WSMsgType.TEXT:
            pass
        assert (heard.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, code)


async def test_an_unknown_topic_is_refused_and_the_connection_lives(http, witness):
    async with http.ws_connect(WEBSOCKET) as socket:
        await joined(socket)
        await socket.send_str("40/cellar,")
        answer = await socket.receive_str(timeout=20)
        assert answer.startswith("44/cellar,{")
        assert msgspec.json.decode(answer.removeprefix("44/cellar,")) == {"message": "Invalid namespace"}
        await socket.send_str('42/room,1["say","and me"]')
        assert [await socket.receive_str(timeout=20) for _ in range(2)] == ['42/room,["said","and me"]', "43/room,1[]"]
    assert await witness.receive_str(timeout=20) == '42/room,["said","and me"]'


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_two_polls_at_once(http):
    """The second one ends the session, and the first is told so."""
    url = await opened(http)
    polls = [asyncio.ensure_future(ask(http, "GET", url)) for _ in range(2)]
    answers = sorted(await asyncio.gather(*polls))
    assert answers[0] == (200, "1")
    assert answers[1][0] == 400
    assert (await ask(http, "GET", url))[0] == 400


async def test_a_session_that_was_closed_is_unknown(http):
    url = await opened(http)
    assert await ask(http, "POST", url, headers=TEXT, data="1") == (200, "ok")
    async with asyncio.timeout(20):
        while (answer := await ask(http, "GET", url))[0] == 200:
            assert answer[1] == "6"
    refused(answer, 400, 1, "Session ID unknown")
    refused(await ask(http, "POST", url, headers=TEXT, data="40"), 400, 1, "Session ID unknown")
