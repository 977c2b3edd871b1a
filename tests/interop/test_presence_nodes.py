"""Who is here, on two nodes in processes of their own over Redis, for clients of seven kinds: through reloads, a killed
node, and a rolling restart."""

import asyncio
import json
import os
import shutil
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hubbub.gossip import LEASE
from tests.faults.world import Node

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "src" / "hubbub" / "static" / "hubbub" / "hubbub.min.js"
NODE = shutil.which("node")
TOLD = ("phoenix", "longpoll", "hubbub", "socketio", "sse", "native")
"""Kinds of watchers that hear of each difference, once. One that polls is told the state each time; and a difference,
too, if that is told in the very tick in which its poll is answered."""
KINDS = (*TOLD, "polling")
GRACE = 3.0
DEADLINE = 60.0

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no Node: `make test` brings one"),
    pytest.mark.skipif(not BUILT.is_file(), reason="the browser clients are not built: `make test` does"),
]


class Script:
    """The clients: what each watcher sees, and what it was told."""

    def __init__(self, process):
        self.process = process
        self.lists = {}
        """By watcher, all that it saw: the number of metas by key."""
        self.gone = []
        self.news = asyncio.Condition()
        self.arrived = []
        self.reading = asyncio.create_task(self.read())

    async def read(self):
        async for line in self.process.stdout:
            told = json.loads(line)
            async with self.news:
                if "done" in told:
                    self.arrived.append(told["done"])
                elif "gone" in told:
                    self.gone.append((told["watcher"], told["gone"], time.monotonic()))
                else:
                    self.lists.setdefault(told["watcher"], []).append(told["list"])
                self.news.notify_all()

    async def until(self, wanted):
        try:
            async with asyncio.timeout(DEADLINE), self.news:
                await self.news.wait_for(wanted)
        except TimeoutError:
            seen = {watcher: lists[-1] for watcher, lists in self.lists.items()}
            raise AssertionError(f"not in time; seen is {seen}, gone are {self.gone}") from None

    async def see(self, *nodes, **present):
        """Until all watchers of these nodes see so many metas of each key."""
        watchers = [f"{kind} {node}" for kind in KINDS for node in nodes]
        await self.until(lambda: all(self.lists.get(watcher, [None])[-1] == present for watcher in watchers))

    async def do(self, name, **command):
        count = self.arrived.count(name)
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.until(lambda: self.arrived.count(name) > count)

    async def enter(self, name, node, key=None):
        await self.do(name, enter=name, key=key or name, url=node.url)

    async def reload(self, name, node):
        await self.do(name, reload=name, url=node.url)

    async def leave(self, name):
        await self.do(name, leave=name)

    def were_gone(self, *keys):
        return [(watcher, key) for watcher, key, _ in self.gone if key in keys]

    def told_gone(self, key):
        """When each watcher of a kind that must be told was told that this key is gone, by their names in order."""
        return sorted((watcher, at) for watcher, gone, at in self.gone if gone == key and watcher.split()[0] in TOLD)

    async def stop(self):
        if self.process.returncode is None:
            self.process.kill()
        await asyncio.wait_for(self.process.wait(), DEADLINE)
        await asyncio.wait_for(self.reading, DEADLINE)


@pytest.fixture
async def nodes(tmp_path, redis_url, monkeypatch):
    monkeypatch.setenv("GRACE", str(GRACE))
    nodes = [Node(tmp_path, f"node{number}", redis_url, app=HERE / "presence_app.py") for number in range(2)]
    try:
        for node in nodes:
            node.url = f"http://127.0.0.1:{node.port}"
        await asyncio.gather(*(node.start() for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            await node.kill()


@asynccontextmanager
async def watching(nodes):
    environment = {**os.environ, "CLIENT": str(BUILT), "WEB": str(ROOT / "web" / "package.json")}
    guide = ROOT / "docs" / "guides" / "presence.md"
    process = await asyncio.create_subprocess_exec(
        NODE, HERE / "presence.mjs", "room:lobby", guide, *(node.url for node in nodes),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    script = Script(process)
    try:
        await script.see(0, 1)
        yield script
    finally:
        await script.stop()


def hooks(nodes, key):
    """How often each hook was called for this key, on all nodes together."""
    said = [line for node in nodes for line in node.complaints().splitlines()]
    return said.count(f"online {key}"), said.count(f"offline {key}")


async def eventually(wanted):
    """For what no client is told."""
    async with asyncio.timeout(DEADLINE):
        while not wanted():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)


async def test_who_reloads_was_never_gone(nodes):
    one, two = nodes
    async with watching(nodes) as script:
        await asyncio.gather(script.enter("ada", one), script.enter("bob", two))
        await script.see(0, 1, ada=1, bob=1)
        await script.reload("ada", one)
        await script.reload("ada", two)  # and now on the other node
        await script.enter("eve", one)
        await script.see(0, 1, ada=1, bob=1, eve=1)
        await script.enter("ada's phone", one, key="ada")
        await script.see(0, 1, ada=2, bob=1, eve=1)
        await asyncio.gather(script.leave("ada's phone"), script.leave("eve"))
        await script.see(0, 1, ada=1, bob=1)  # by now the grace of the reloads is over, too
        assert not script.were_gone("ada", "bob")
        told = [watcher for watcher, _ in script.told_gone("eve")]
        assert told == sorted(f"{kind} {node}" for kind in TOLD for node in (0, 1))
    await eventually(lambda: hooks(nodes, "eve") == (1, 1) and hooks(nodes, "ada")[1] == hooks(nodes, "bob")[1] == 1)
    assert hooks(nodes, "ada") == hooks(nodes, "bob") == (1, 1)


async def test_who_was_on_a_killed_node_goes_after_the_lease(nodes):
    one, two = nodes
    async with watching(nodes) as script:
        for name, node in (("ada", one), ("bob", two), ("dan", one)):
            await script.enter(name, node)
        await script.see(0, 1, ada=1, bob=1, dan=1)
        killed = time.monotonic()
        await one.kill()
        await script.leave("dan")  # it notices, and turns to the other node
        await script.enter("dan", two)
        await script.see(1, bob=1, dan=1)
        gone = [(watcher, at - killed) for watcher, at in script.told_gone("ada") if watcher.endswith("1")]
        assert [watcher for watcher, _ in gone] == sorted(f"{kind} 1" for kind in TOLD)
        assert min(after for _, after in gone) >= LEASE / 2 + GRACE
        assert not script.were_gone("bob", "dan")
        await eventually(lambda: hooks([two], "ada") == (0, 1))
        await one.start()  # ada's client still tries, and so do those who watch there
        await script.see(0, 1, ada=1, bob=1, dan=1)
        assert not script.were_gone("bob", "dan")


async def test_a_rolling_restart_is_not_noticed(nodes):
    one, two = nodes
    async with watching(nodes) as script:
        for name, node in (("ada", one), ("bob", two), ("dan", one), ("eve", two)):
            await script.enter(name, node)
        await script.see(0, 1, ada=1, bob=1, dan=1, eve=1)
        for node in nodes:
            arrived = len(script.arrived)
            await node.stop()
            await node.start()
            await script.until(lambda before=arrived: len(script.arrived) >= before + 2)
        await script.see(0, 1, ada=1, bob=1, dan=1, eve=1)
        await script.enter("zoe", one)
        await script.see(0, 1, ada=1, bob=1, dan=1, eve=1, zoe=1)
        await script.leave("zoe")
        await script.see(0, 1, ada=1, bob=1, dan=1, eve=1)
        assert not script.were_gone("ada", "bob", "dan", "eve")
        for watcher, lists in script.lists.items():
            full = next(at for at, seen in enumerate(lists) if len(seen) == 4)
            assert all(len(seen) >= 4 for seen in lists[full:]), watcher
        for name in ("ada", "bob", "dan", "eve"):
            assert hooks(nodes, name) == (1, 0)
