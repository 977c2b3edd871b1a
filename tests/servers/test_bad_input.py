"""What a client can do wrong at a WebSocket door, raw or native: the answer is the protocol's own, and the room lives
on."""

import json

import aiohttp
import pytest

from hubbub import App, Channel, Limits, on
from tests.conftest import LANES, running
from tests.servers.clients import BINARY, CLOSE, TEXT, connect
from tests.servers.frames import client_frame

CONTINUATION, PING = 0, 9
DOORS = ("/echo", "/hubbub/websocket")
PACKED = "hubbub.msgpack"

app = App(limits=Limits(message=1_000, fragments=20))


@app.socket("/echo")
async def echo(socket):
    async for message in socket:
        await socket.send(message)


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
async def room(url):
    """Another client is in the room, and hears what it says there when all is over."""
    async with connect(url, "/hubbub/websocket") as other:
        other.send(b'{"join": "room", "ref": 1}')
        assert "welcome" in json.loads((await other.read())[2])
        assert json.loads((await other.read())[2])["ok"]
        yield
        other.send(b'{"send": "room", "event": "say", "payload": "still here"}')
        assert json.loads((await other.read())[2])["payload"] == "still here"


HANDSHAKES = {
    "an old version": ({"sec_websocket_version": "8"}, {400, 426}),
    "no version": ({"sec_websocket_version": None}, {400}),
    "no key": ({"sec_websocket_key": None}, {400}),
    "a key that is none": ({"sec_websocket_key": "short"}, {400}),
    "another upgrade": ({"upgrade": "h2c"}, {405}),
    "a page of another origin": ({"origin": "https://evil.example"}, {403}),
}


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("what", HANDSHAKES)
async def test_a_handshake_that_is_wrong_is_refused_in_http(url, path, what):
    headers, statuses = HANDSHAKES[what]
    async with connect(url, path, **headers) as client:
        assert int(client.response.split()[1]) in statuses


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_request_that_is_no_upgrade_is_told_what_would_be(url, path, method):
    async with aiohttp.ClientSession() as http, http.request(method, url + path, data=b"hello") as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, OPTIONS")


@pytest.mark.usefixtures("room")
async def test_nobody_serves_a_path_that_nobody_serves(url):
    async with connect(url, "/nowhere") as client:
        assert client.response.split()[1] in ("403", "404")


FRAMES = {
    "a frame without a mask": ([client_frame(TEXT, b"hi", mask=None)], 1002),
    "a reserved bit": ([client_frame(TEXT, b"hi", reserved=1)], 1002),
    "a compressed message that nobody agreed on": ([client_frame(TEXT, b"hi", reserved=4)], 1002),
    "a reserved opcode": ([client_frame(3, b"")], 1002),
    "a ping in fragments": ([client_frame(PING, b"", final=False)], 1002),
    "a ping that is too long": ([client_frame(PING, bytes(126))], 1002),
    "a continuation of nothing": ([client_frame(CONTINUATION, b"hi")], 1002),
    "a message within a message": ([client_frame(TEXT, b"h", final=False), client_frame(TEXT, b"i")], 1002),
    "a length in more bytes than it needs": ([b"\x81\xfe\x00\x01mask "], 1002),
    "text that is not UTF-8": ([client_frame(TEXT, b"\xc3\x28")], 1007),
    "half a surrogate pair": ([client_frame(TEXT, b"\xed\xa0\x80")], 1007),
    "a close code that may not be sent": ([client_frame(CLOSE, (1006).to_bytes(2))], 1002),
    "half a close code": ([client_frame(CLOSE, b"\x03")], 1002),
    "too many fragments": ([client_frame(TEXT, b"", final=False), *[client_frame(0, b"", final=False)] * 20], 1008),
}


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("what", FRAMES)
async def test_a_broken_frame_closes_its_own_connection(url, path, what):
    frames, code = FRAMES[what]
    async with connect(url, path) as client:
        client.writer.write(b"".join(frames))
        assert await client.closed() == code


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_that_is_too_big_is_refused(url, path, opcode):
    async with connect(url, path) as client:
        client.send(b"x" * 1_001, opcode)
        assert await client.closed() == 1009


CONTENTS = {
    "text that is not JSON": (None, TEXT, b"hello", 1007),
    "JSON that is no message": (None, TEXT, b'{"shout": "hi"}', 1002),
    "a message of the wrong type": (None, TEXT, b'{"join": 7}', 1002),
    "binary where JSON is spoken": (None, BINARY, b"\x81\xa4join\xa4room", 1003),
    "text where MessagePack is spoken": (PACKED, TEXT, b'{"join": "room"}', 1003),
    "binary that is not MessagePack": (PACKED, BINARY, b"\xc1", 1007),
}


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("what", CONTENTS)
async def test_a_message_that_is_none_ends_a_native_conversation(url, what):
    spoken, opcode, payload, code = CONTENTS[what]
    async with connect(url, "/hubbub/websocket", sec_websocket_protocol=spoken) as client:
        client.send(payload, opcode)
        assert await client.closed() == code


@pytest.mark.usefixtures("room")
async def test_an_unknown_topic_is_an_error_and_the_conversation_goes_on(url):
    async with connect(url, "/hubbub/websocket") as client:
        await client.read()
        client.send(b'{"join": "cellar", "ref": 1}')
        assert json.loads((await client.read())[2])["error"]["code"] == "not_found"
        client.send(b'{"join": "room", "ref": 2}')
        assert json.loads((await client.read())[2])["ok"]


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("path", DOORS)
async def test_nothing_is_understood_after_a_close(url, path):
    async with connect(url, path) as client:
        client.writer.write(client_frame(CLOSE, (1000).to_bytes(2)) + client_frame(TEXT, b"and another thing"))
        assert await client.closed() == 1000
        assert await client.reader.read() == b""


@pytest.mark.usefixtures("room")
async def test_a_raw_socket_takes_any_content(url):
    async with connect(url, "/echo") as client:
        for opcode, payload in ((TEXT, b"hello"), (BINARY, b"\xc1"), (TEXT, b"{"), (BINARY, b"")):
            client.send(payload, opcode)
            assert await client.read() == (0, opcode, payload)
