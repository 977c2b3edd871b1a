"""Every client, one hub: all kinds of clients in one topic; each speaks, and each hears all of it in the same order."""

import asyncio
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from hubbub import hub
from hubbub.topics import Item
from tests.conftest import LANES, running
from tests.interop.one_room_app import app
from tests.interop.one_room_clients import CLIENTS, Curl, Native, PythonSocketIO, Slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "src" / "hubbub" / "static" / "hubbub" / "hubbub.min.js"
NODE = shutil.which("node")
COUNT = 5

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl"),
    pytest.mark.skipif(not BUILT.is_file(), reason="the browser clients are not built: `make test` does"),
]


class Script:
    """The clients in JavaScript."""

    async def start(self, url, topic):
        environment = {**os.environ, "CLIENT": str(BUILT), "WEB": str(ROOT / "web" / "package.json")}
        self.process = await asyncio.create_subprocess_exec(
            NODE, HERE / "one_room.mjs", url, topic, str(COUNT),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment, limit=1 << 24,
        )  # fmt: skip
        await self.expect("ready")

    async def expect(self, word):
        assert await self.line() == word

    async def line(self):
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().rstrip("\n")

    def go_on(self, word):
        self.process.stdin.write(f"{word}\n".encode())

    async def transcripts(self):
        told = [json.loads(line) async for line in self.process.stdout]
        assert await self.process.wait() == 0
        return {each["name"]: each["heard"] for each in told}

    async def stop(self):
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def come_and_go(url, topic):
    """Somebody who joins in the middle, and leaves again."""
    # with its queue full, this client would not read the server's Close
    async with connect(url.replace("http", "ws") + "/hubbub/websocket", max_queue=None) as socket:
        await socket.send(json.dumps({"join": topic, "params": {"name": "passing"}, "ref": 1}))
        while json.loads(await socket.recv()).get("reply") != 1:
            pass


async def speak(client):
    for number in range(COUNT):
        await client.say(number)


@pytest.mark.parametrize("lane", LANES)
async def test_everyone_hears_everything_in_the_same_order(lane):
    topic = f"room:{lane}"
    with running(app, lane=lane) as url:
        script, others = Script(), [kind(url, topic) for kind in CLIENTS]
        try:
            await asyncio.gather(script.start(url, topic), *(client.start() for client in others))
            script.go_on("speak")
            await asyncio.gather(*map(speak, others), *(come_and_go(url, topic) for _ in range(3)))
            await script.expect("said")
            slow = next(client for client in others if isinstance(client, Slow))
            slow.go.set()
            speakers = 14 + len(others) - 1
            script.go_on(speakers * COUNT)
            transcripts = await script.transcripts()
            assert len(transcripts) == 14
            await asyncio.gather(*(client.has_heard(speakers * COUNT) for client in others))
        finally:
            await asyncio.gather(script.stop(), *(client.stop() for client in others))
    transcripts |= {client.name: client.heard for client in others}
    spoken = transcripts["WebSocket"]
    assert len({who for who, *_ in spoken}) == speakers
    for who in {who for who, *_ in spoken}:
        assert [number for speaker, number, *_ in spoken if speaker == who] == list(range(COUNT))
    for name, heard in transcripts.items():
        assert heard == spoken, name


@pytest.mark.skipif(not hub.__file__.endswith(".py"), reason="what is compiled takes no patch; test_hub counts")
@pytest.mark.parametrize("lane", LANES)
async def test_a_publication_is_encoded_once_for_each_dialect(lane, monkeypatch):
    encoded = Counter()

    class Counting(dict):
        """What an item keeps of its frames, counting what is made."""

        def __setitem__(self, dialect, frames):
            encoded[dialect.name] += 1
            super().__setitem__(dialect, frames)

    begin = Item.__init__

    def counted(item, *given):
        begin(item, *given)
        item._frames = Counting()

    topic, kinds = f"room:once-{lane}", (PythonSocketIO, Native, Curl)
    with running(app, lane=lane) as url:
        clients = [kind(url, topic) for kind in kinds for _ in range(4)]
        try:
            await asyncio.gather(*(client.start() for client in clients))
            monkeypatch.setattr(Item, "__init__", counted)
            await clients[0].say(0)
            await asyncio.gather(*(client.has_heard(1) for client in clients))
        finally:
            await asyncio.gather(*(client.stop() for client in clients))
    assert set(encoded.values()) == {1}
    assert len(encoded) == len(kinds)
