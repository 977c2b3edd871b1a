"""Clients of the native protocol as its page shows them, in both lanes."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub import App, Channel, Keep, Kicked, on
from tests.conftest import LANES, running

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "native.md"
NODE = shutil.which("node")

app = App()


@app.channel("room:{room}")
class Room(Channel):
    history = Keep(count=10)

    async def join(self, room: str, name: str, *, colour: str = "grey"):
        return {"room": room, "name": name, "colour": colour}

    @on("say")
    async def say(self, text: str):
        await self.publish("said", {"text": text})

    @on("draw")
    async def draw(self, pixels: bytes, *, size: int = 1):
        await self.push("drawn", {"pixels": pixels})
        return len(pixels) * size

    @on("leave me")
    async def leave_me(self):
        raise Kicked("as you wish")


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


@pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")
def test_the_browser_client_of_the_page(url):
    shown = "\n".join(re.findall(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2])
    script = f"""
        const location = {{ origin: {url!r} }};
        {shown}
        socket.addEventListener("open", async () => {{
          say(5);
          await greet();
          socket.close();
        }});
    """
    # Until version 22 Node has the browsers' WebSocket only when asked.
    command = [NODE, "--experimental-websocket", "--no-warnings", "--input-type=module", "--eval", script]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.strip() == "text: expected str, got int"
    assert ended.stdout.splitlines() == ["hello", "it was said"]


class Packed:
    """A MessagePack client."""

    def __init__(self, socket):
        self.socket = socket

    async def tell(self, **message):
        await self.socket.send(msgspec.msgpack.encode(message))

    async def hear(self):
        return msgspec.msgpack.decode(await self.socket.recv())


async def test_a_messagepack_client(url):
    address = url.replace("http", "ws") + "/hubbub/websocket"
    async with connect(address, subprotocols=["hubbub.json", "hubbub.msgpack"]) as socket:
        assert socket.subprotocol == "hubbub.msgpack"
        client = Packed(socket)
        assert set(await client.hear()) == {"welcome", "limits"}
        await client.tell(join="room:a", params={"name": "Ada", "colour": "red"}, ref=1)
        joined = {"room": "a", "name": "Ada", "colour": "red"}
        reply = await client.hear()
        assert reply.pop("position")
        assert reply == {"reply": 1, "ok": True, "topic": "room:a", "payload": joined}
        await client.tell(send="room:a", event="draw", payload={"pixels": b"\x00\xff", "size": 3}, ref=2)
        assert await client.hear() == {"topic": "room:a", "event": "drawn", "payload": {"pixels": b"\x00\xff"}}
        assert await client.hear() == {"reply": 2, "ok": True, "payload": 6}
        await client.tell(send="room:a", event="say", payload="hi")
        said = await client.hear()
        assert said.pop("position")
        assert said == {"topic": "room:a", "event": "said", "payload": {"text": "hi"}}
        await client.tell(send="room:a", event="leave me")
        assert (await client.hear())["error"]["code"] == "kicked"
        assert await client.hear() == {"bye": {"code": "kicked", "reason": "as you wish", "come_back": False}}
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear()
        assert closed.value.rcvd.code == 4403


@pytest.mark.parametrize(("message", "code"), [("{", 1007), (b"\x80", 1003), ('{"send":"room:a"}', 1002)])
async def test_a_client_that_breaks_the_protocol_is_told_how(url, message, code):
    async with connect(url.replace("http", "ws") + "/hubbub/websocket") as socket:
        await socket.recv()
        await socket.send(message)
        assert msgspec.json.decode(await socket.recv())["bye"]["code"] == "protocol_error"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == code
