"""The npm socket.io-client and the PyPI python-socketio client, unmodified, in both lanes."""

import asyncio
import os
import re
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import socketio

from tests.conftest import LANES, running
from tests.interop.app import app

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web" / "package.json"
PAGE = HERE.parents[1] / "docs" / "protocols" / "socketio.md"
NODE = shutil.which("node")


@pytest.fixture(scope="module", params=LANES)
def url(request):
    with running(app, lane=request.param) as url:
        yield url


@pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")
@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
@pytest.mark.parametrize("build", ["json", "msgpack"])
def test_the_javascript_client(url, transports, build):
    ended = subprocess.run(
        [NODE, HERE / "socketio_client.mjs", url, transports, build],
        capture_output=True, text=True, timeout=120, env={**os.environ, "WEB": str(WEB)}, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("ok ") == 17


@pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one")
@pytest.mark.parametrize("lane", LANES)
def test_the_client_and_the_channel_of_the_page(lane):
    names = {}
    page = PAGE.read_text(encoding="utf-8")
    python, script = (
        re.search(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1] for language in ("python", "js")
    )
    exec(python, names)
    with running(names["app"], lane=lane) as url:
        talk = f"""
          const io = (namespace, options) => require("socket.io-client").io({url!r} + namespace, options);
          {script}
          socket.on("said", (...values) => console.log(values.length, typeof values[1]));
          socket.on("connect", async () => {{
            await say("hello");
            await say(5);
            const stranger = io("/nowhere");
            stranger.on("connect_error", ({{ message, data }}) => {{
              console.log(message, data);
              stranger.disconnect();
              socket.disconnect();
            }});
          }});
        """
        command = [NODE, "--input-type=commonjs", "--eval", talk]
        ended = subprocess.run(command, cwd=WEB.parent, capture_output=True, text=True, timeout=30)
    assert ended.stderr == "text: expected str, got int\n"
    assert ended.stdout.splitlines() == ["hello", "2 string", "Invalid namespace undefined"]


@asynccontextmanager
async def connected(url, transports, **options):
    """A client, and the queue of the events that it hears."""
    client = socketio.AsyncClient(reconnection=False)
    heard = asyncio.Queue()
    client.on("*", lambda event, *values: heard.put_nowait((event, *values)))
    try:
        await client.connect(url, transports=transports, namespaces=["/"], **options)
        yield client, heard
    finally:
        await client.disconnect()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
class TestPythonClient:
    async def test_events_acks_and_bytes(self, url, transports):
        async with connected(url, transports, auth={"name": "Ada"}) as (client, heard):
            assert await asyncio.wait_for(heard.get(), 20) == ("welcome", {"name": "Ada"})
            assert await client.call("text", "hi", timeout=20) == "HI"
            assert await client.call("echo", ("a", b"\x00\xff"), timeout=20) == ("a", b"\x00\xff")
            await client.emit("bounce", {"deep": [b"\x01"]})
            assert await asyncio.wait_for(heard.get(), 20) == ("bounced", {"deep": [b"\x01"]})

    async def test_a_burst_arrives_whole_and_in_order(self, url, transports):
        async with connected(url, transports) as (client, heard):
            await asyncio.wait_for(heard.get(), 20)
            for number in range(200):
                await client.emit("bounce", number)
            got = [await asyncio.wait_for(heard.get(), 20) for _ in range(200)]
            assert got == [("bounced", number) for number in range(200)]

    async def test_it_is_refused_in_words(self, url, transports):
        client = socketio.AsyncClient(reconnection=False)
        refused = []
        client.on("connect_error", refused.append)
        try:
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(url, transports=transports, auth={"secret": "wrong"})
        finally:
            await client.disconnect()
        assert [error["message"] for error in refused] == ["that is not the secret"]
