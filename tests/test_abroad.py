"""Presence over several nodes: two applications that are joined by a real Redis."""

import asyncio
import time

import pytest
from websockets.asyncio.client import connect

import hubbub.abroad
from hubbub import gossip
from tests.attending import DEADLINE, make_app, member
from tests.conftest import running
from tests.faults.proxy import FaultProxy


class Nodes:
    """Nodes over one Redis: the URL of each, and a way to end it as a deploy does."""

    def __init__(self, broker):
        self.broker = broker
        self.hooks = []
        self.contexts = {}
        self.apps = {}

    def start(self, name, **attributes):
        def online(channel, key):
            self.hooks.append((name, "online", key))

        def offline(channel, key, last_seen):
            self.hooks.append((name, "offline", key))

        app = self.apps[name] = make_app(self.broker, online=online, offline=offline, **attributes)
        context = self.contexts[name] = running(app)
        return context.__enter__()

    def stop(self, name):
        self.contexts.pop(name).__exit__(None, None, None)

    def stop_all(self):
        for name in list(self.contexts):
            self.stop(name)


@pytest.fixture
def nodes(redis_url):
    nodes = Nodes(redis_url)
    yield nodes
    nodes.stop_all()


@pytest.fixture
def hasty(monkeypatch):
    """Leases that run out in less than two seconds."""
    for name in ("BEAT", "LEASE", "LATELY"):
        monkeypatch.setattr(gossip, name, getattr(gossip, name) / 4)
    monkeypatch.setattr(hubbub.abroad, "BEAT", gossip.BEAT)


async def eventually(wanted):
    """For what no client is told."""
    async with asyncio.timeout(DEADLINE):
        while not wanted():  # noqa: ASYNC110 - another thread's loop has no event for it
            await asyncio.sleep(0.02)


async def test_members_on_two_nodes_see_each_other(nodes, monkeypatch):
    monkeypatch.setattr(hubbub.abroad, "OPENING", 1.5)  # a machine that is busy answers late
    one, two = nodes.start("one"), nodes.start("two")
    async with member(one, key="ada", name="Ada") as ada:
        await ada.until(lambda ada: ada.names == {"ada": ["Ada"]})
        async with member(two, key="bob", name="Bob") as bob:
            await bob.until(lambda bob: bob.names == {"ada": ["Ada"], "bob": ["Bob"]})
            assert bob.frames == ["presence_state"]  # the other node's were in it
            await ada.until(lambda ada: ada.list == bob.list)
            await bob.send("update", {"name": "Robert"})
            await ada.until(lambda ada: ada.names["bob"] == ["Robert"])
            assert (await ada.send("who"))["payload"] == (await bob.send("who"))["payload"]
        await ada.until(lambda ada: ada.names == {"ada": ["Ada"]})
        await eventually(lambda: ("two", "offline", "bob") in nodes.hooks)
    await eventually(lambda: len(nodes.hooks) == 4)
    assert sorted(nodes.hooks) == [
        ("one", "offline", "ada"), ("one", "online", "ada"), ("two", "offline", "bob"), ("two", "online", "bob"),
    ]  # fmt: skip


async def test_who_returns_on_another_node_was_never_gone(nodes):
    one, two = nodes.start("one", presence_grace=4.0), nodes.start("two", presence_grace=4.0)
    async with member(one, quiet=True) as here, member(two, quiet=True) as there:
        async with member(one, key="ada", name="Ada"):
            for watcher in (here, there):
                await watcher.until(lambda watcher: watcher.names == {"ada": ["Ada"]})
        async with member(two, key="ada", name="Ada"):
            for _ in range(2):
                async with member(one, key="bob", name="Bob") as bob:
                    await bob.until(lambda bob: set(bob.names) == {"ada", "bob"})
            async with member(two, key="eve", name="Eve"):
                for watcher in (here, there):
                    await watcher.until(lambda watcher: set(watcher.names) == {"ada", "bob", "eve"})
            for watcher in (here, there):  # the rows on the first node are dropped by now, or soon
                await watcher.until(lambda watcher: set(watcher.names) == {"ada"})
                assert sorted(watcher.gone) == ["bob", "eve"]
        assert [hook for hook in nodes.hooks if "ada" in hook] == [("one", "online", "ada")]


async def test_one_comes_online_once_and_goes_offline_once(nodes):
    one, two = nodes.start("one", presence_grace=0.3), nodes.start("two", presence_grace=0.3)
    async with member(one, quiet=True), member(two, quiet=True) as watcher:
        await watcher.until(lambda watcher: watcher.list == {})

        async def tab(url):
            async with member(url, key="ada", name=url) as ada:
                await ada.until(lambda ada: len(ada.names.get("ada", ())) == 2)
                await gate.wait()

        gate = asyncio.Event()
        tabs = [asyncio.create_task(tab(url)) for url in (one, two)]  # at the same time, on both
        await watcher.until(lambda watcher: len(watcher.names.get("ada", ())) == 2)
        await eventually(lambda: len(nodes.hooks) == 1)
        gate.set()
        await asyncio.gather(*tabs)
        await watcher.until(lambda watcher: watcher.list == {})
        await eventually(lambda: len(nodes.hooks) == 2)
    assert [event for _, event, _ in nodes.hooks] == ["online", "offline"]


async def test_a_restart_hands_its_clients_over(nodes):
    one, two = nodes.start("one"), nodes.start("two")
    async with member(two, quiet=True) as watcher:
        async with member(one, key="ada", name="Ada") as ada, member(one, key="bob", name="Bob"):
            await watcher.until(lambda watcher: set(watcher.names) == {"ada", "bob"})
            told = len(watcher.events)
            await asyncio.to_thread(nodes.stop, "one")
            with pytest.raises(Exception, match="1012"):
                while True:
                    await ada.hear()
        async with member(two, key="ada", name="Ada"), member(two, key="bob", name="Bob") as bob:
            await bob.until(lambda bob: bob.names == {"ada": ["Ada"], "bob": ["Bob"]})
            await bob.send("update", {"name": "Robert"})
            await watcher.until(lambda watcher: watcher.names["bob"] == ["Robert"])
            (update,) = watcher.events[told:]
            assert (set(update[1]["joins"]), set(update[1]["leaves"])) == ({"bob"}, {"bob"})
        assert sorted(event for _, event, _ in nodes.hooks) == ["online", "online"]


async def test_a_node_that_begins_with_a_topic_is_told_whom_an_ended_one_had(nodes):
    one = nodes.start("one")
    async with member(one, key="ada", name="Ada"), member(one, key="bob", name="Bob") as bob:
        await bob.until(lambda bob: set(bob.names) == {"ada", "bob"})
        ref = next(iter(bob.list["ada"]))
        two = nodes.start("two")
        await asyncio.to_thread(nodes.stop, "one")
    async with member(two, key="bob", name="Bob") as bob:
        await bob.until(lambda bob: set(bob.names) == {"ada", "bob"})
        assert set(bob.list["ada"]) == {ref}
        async with member(two, key="ada", name="Ada"):
            await bob.send("say", "hello")
            await bob.until(lambda bob: ("said", "hello") in bob.events)
            assert bob.frames == ["presence_state"]


async def test_an_application_asks_on_a_node_without_clients(nodes):
    one, _ = nodes.start("one"), nodes.start("two")
    app = nodes.apps["two"]

    def ask():
        return asyncio.run_coroutine_threadsafe(app.presence("room"), app._loop).result(DEADLINE)

    async with member(one, key="ada", name="Ada") as ada:
        await ada.until(lambda ada: "ada" in ada.names)
        present = await asyncio.to_thread(ask)
        assert (present.count, present.who) == (1, {"ada": [{"name": "Ada"}]})


async def test_what_a_broken_line_lost_is_asked_for(nodes, shared_redis):
    one, two = nodes.start("one"), nodes.start("two")
    async with member(one, quiet=True) as watcher, member(two, key="ada", name="0") as ada:
        await watcher.until(lambda watcher: "ada" in watcher.names)
        for number in range(1, 6):
            shared_redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await ada.send("update", {"name": str(number)})
        await watcher.until(lambda watcher: watcher.names == {"ada": ["5"]})


async def test_words_that_no_node_said_are_dropped(nodes, shared_redis, redis_url, caplog):
    url = nodes.start("one")
    prefix = redis_url.partition("prefix=")[2]
    async with member(url, key="ada", name="Ada") as ada:
        await ada.until(lambda ada: "ada" in ada.names)
        for word in (b"", b"\xc1", b"\x92\xa4beat\x01", b"\x91\xa3bye", b"{}"):
            shared_redis.ask("PUBLISH", f"{prefix}@0:#presence", b"1\n" + word)
        await eventually(lambda: caplog.text.count("that no node said") == 5)
        async with member(url, key="bob", name="Bob"):
            await ada.until(lambda ada: "bob" in ada.names)


async def test_rows_of_a_lost_node_go_after_a_lease_and_the_grace(nodes, hasty):
    """The node is not ended: it falls silent, as one that is stopped does."""
    one, two = nodes.start("one", presence_grace=0.2), nodes.start("two", presence_grace=0.2)
    async with member(one, key="ada", name="Ada"), member(two, key="bob", name="Bob") as bob:
        await bob.until(lambda bob: set(bob.names) == {"ada", "bob"})
        app = nodes.apps["one"]
        app.attendance.abroad._silent = True
        start = time.monotonic()
        await bob.until(lambda bob: set(bob.names) == {"bob"})
        assert time.monotonic() - start > 0.5  # the grace alone is less
        await eventually(lambda: ("two", "offline", "ada") in nodes.hooks)
        app.attendance.abroad._silent = False  # it is there again
        await bob.until(lambda bob: set(bob.names) == {"ada", "bob"})


async def test_nobody_goes_because_redis_is_away(redis_server, hasty):
    nodes = Nodes(redis_server.url)
    try:
        one, two = nodes.start("one", presence_grace=0.2), nodes.start("two", presence_grace=0.2)
        async with member(one, key="ada", name="Ada") as here, member(two, key="bob", name="Bob") as there:
            async with member(one, key="eve", name="Eve"):
                for watcher in (here, there):
                    await watcher.until(lambda watcher: set(watcher.names) == {"ada", "bob", "eve"})
                redis_server.kill()
            await here.until(lambda here: set(here.names) == {"ada", "bob"})
            await asyncio.sleep(2 * gossip.LEASE + 0.2)  # leases would run out, if it were not for this
            redis_server.start()
            await there.until(lambda there: set(there.names) == {"ada", "bob"})
            async with member(two, key="zoe", name="Zoe") as zoe:
                await zoe.until(lambda zoe: set(zoe.names) == {"ada", "bob", "zoe"})
                await here.until(lambda here: set(here.names) == {"ada", "bob", "zoe"})
            assert set(here.gone) == set(there.gone) == {"eve"}
    finally:
        nodes.stop_all()


async def test_a_node_that_is_cut_off_keeps_what_it_knows_and_learns_the_truth(redis_server, hasty):
    proxy = await FaultProxy(redis_server.port).start()
    nodes, cut_off = Nodes(redis_server.url), Nodes(f"redis://127.0.0.1:{proxy.port}/0")
    try:
        one = nodes.start("one", presence_grace=0.2)
        two = await asyncio.to_thread(cut_off.start, "two", presence_grace=0.2)  # the proxy is on this loop
        async with member(one, key="ada", name="Ada") as here, member(two, key="bob", name="Bob") as there:
            async with member(two, key="eve", name="Eve"):
                for watcher in (here, there):
                    await watcher.until(lambda watcher: set(watcher.names) == {"ada", "bob", "eve"})
                proxy.swallow("up", "down")
                await here.until(lambda here: set(here.names) == {"ada"})
            await there.until(lambda there: set(there.names) == {"ada", "bob"})  # of its own it knows
            async with member(one, key="zoe", name="Zoe"):
                await here.until(lambda here: set(here.names) == {"ada", "zoe"})
                proxy.heal()
                for watcher in (here, there):
                    await watcher.until(lambda watcher: set(watcher.names) == {"ada", "bob", "zoe"})
            assert "ada" not in there.gone
    finally:
        nodes.stop_all()
        await asyncio.to_thread(cut_off.stop_all)
        await proxy.close()


async def test_who_leaves_while_a_node_still_asks_around_leaves_nothing_behind(redis_server):
    proxy = await FaultProxy(redis_server.port).start()
    nodes = Nodes(f"redis://127.0.0.1:{proxy.port}/0")
    try:
        url = await asyncio.to_thread(nodes.start, "one")
        app = nodes.apps["one"]
        async with connect(url.replace("http", "ws") + "/hubbub/websocket") as socket:
            proxy.delay(up=0.2, down=0.2)
            await socket.send('{"join": "room", "params": {"key": "ada"}, "ref": 1}')
            await eventually(lambda: app.attendance.gatherings)
            gathering = app.attendance.gatherings["room"]
        await eventually(lambda: not app.reception.connections)
        assert not gathering._opening.done()
        proxy.heal()
        await eventually(gathering._opening.done)
        await eventually(lambda: not app.attendance.gatherings)
        assert not app.attendance.abroad.gossip.rosters
        assert "#presence:room" not in app.nodes._hidden
    finally:
        await asyncio.to_thread(nodes.stop_all)
        await proxy.close()
