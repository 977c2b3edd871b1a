"""Several nodes are one hub: topics, their order, calls, and sending away, over a broker that joins them."""

import asyncio
import itertools
import json
import threading
from contextlib import asynccontextmanager

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub import App, Banned, Channel, Keep, Shutdown, TooSlow, UsageError, on
from hubbub import nodes as module

from .conftest import running


def application(url):
    app = App(broker=url, origins="*")

    @app.channel("room:{room}")
    class Room(Channel):
        history = Keep(count=100_000)

        def join(self, room: str, name: str = ""):
            self.connection.identity = name or None

        @on("say")
        async def say(self, text: str):
            return str(await self.publish("said", text))

    @app.channel("brief:{room}")
    class Brief(Channel):
        @on("say")
        async def say(self, text: str):
            await self.publish("said", text)

    return app


class Client:
    """A native client that remembers what it was told."""

    def __init__(self, socket):
        self.socket = socket
        self.told = []
        self.answers = None
        self.ended = None
        self._changed = asyncio.Event()

    async def read(self):
        try:
            async for text in self.socket:
                message = json.loads(text)
                self.told.append(message)
                if "call" in message and self.answers is not None:
                    answer = {"answer": message["call"], "topic": message["topic"], "payload": self.answers}
                    await self.socket.send(json.dumps(answer))
                self._changed.set()
            self.ended = self.socket.close_code
        except ConnectionClosed as error:
            self.ended = error.rcvd.code if error.rcvd else 1006
        self._changed.set()

    async def until(self, true):
        async with asyncio.timeout(15):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def ask(self, message, ref):
        await self.socket.send(json.dumps({**message, "ref": ref}))
        await self.until(lambda: any(told.get("reply") == ref for told in self.told))
        return next(told for told in self.told if told.get("reply") == ref)

    @property
    def heard(self):
        return [(told["payload"], told.get("position")) for told in self.told if told.get("event") == "said"]


@asynccontextmanager
async def client(url, topic, after=None, **params):
    async with connect(url.replace("http", "ws", 1) + "/hubbub/websocket", subprotocols=["hubbub.json"]) as socket:
        one = Client(socket)
        reading = asyncio.create_task(one.read())
        reply = one.joined = await one.ask({"join": topic, "params": params, "after": after}, "join")
        assert reply["ok"], reply
        one.id = one.told[0]["welcome"]
        yield one
        await socket.close()
        await reading


@pytest.fixture
def two(redis_url):
    """Two nodes: each an application, and where it is."""
    apps = [application(redis_url) for _ in range(2)]
    with running(apps[0]) as first, running(apps[1]) as second:
        yield list(zip(apps, (first, second), strict=True))


def on_its_loop(app, coroutine):
    return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, app._loop))


async def test_everyone_hears_everyone_in_one_order(two):
    (_, here), (_, there) = two
    async with client(here, "room:1") as ada, client(there, "room:1") as bob, client(there, "room:2") as eve:
        sends = [
            one.socket.send(json.dumps({"send": "room:1", "event": "say", "payload": f"{name} {n}"}))
            for n in range(50)
            for name, one in (("ada", ada), ("bob", bob))
        ]
        await asyncio.gather(*sends)
        for one in (ada, bob):
            await one.until(lambda one=one: len(one.heard) == 100)
        assert ada.heard == bob.heard
        for name in ("ada", "bob"):
            assert [text for text, _ in ada.heard if text.startswith(name)] == [f"{name} {n}" for n in range(50)]
        assert [int(position.rpartition(":")[2]) for _, position in ada.heard] == list(range(1, 101))
        assert eve.heard == []


async def test_what_is_not_kept_reaches_all_nodes_too(two):
    (_, here), (_, there) = two
    async with client(here, "brief:1") as ada, client(there, "brief:1") as bob:
        await ada.ask({"send": "brief:1", "event": "say", "payload": "hi"}, 1)
        for one in (ada, bob):
            await one.until(lambda one=one: one.heard == [("hi", None)])


async def test_who_comes_back_on_another_node_missed_nothing(two):
    (app, here), (_, there) = two
    async with client(here, "room:1") as ada:
        for n in range(5):
            await ada.ask({"send": "room:1", "event": "say", "payload": f"{n}"}, n)
        await ada.until(lambda: len(ada.heard) == 5)
        seen = ada.heard[2]
    enough = threading.Event()
    speaking = asyncio.create_task(asyncio.to_thread(speak, app, "room:1", enough))
    for _ in range(10):
        _, position = seen
        first = int(position.rpartition(":")[2])
        async with client(there, "room:1", after=position) as ada:
            assert ada.joined["recovered"] is True
            await ada.until(lambda ada=ada: len(ada.heard) >= 20)
            texts = [text for text, _ in ada.heard]
            assert texts == [str(n) for n in range(first, first + len(texts))]
            seen = ada.heard[-1]
    enough.set()
    await speaking


def speak(app, topic, enough):
    """Say 5, 6 and so on, in a thread, until it is enough."""
    for n in itertools.count(5):
        if enough.is_set():
            return
        app.publish(topic, "said", str(n))


async def test_who_cannot_be_given_what_was_missed_is_told_so(redis_server):
    with running(application(redis_server.url)) as url:
        async with client(url, "room:1") as ada:
            before = (await ada.ask({"send": "room:1", "event": "say", "payload": "hi"}, 1))["payload"]
        redis_server.ask("FLUSHALL")
        async with client(url, "room:1", after=before) as ada:
            assert ada.joined["recovered"] is False
            after = (await ada.ask({"send": "room:1", "event": "say", "payload": "new"}, 1))["payload"]
            await ada.until(lambda: ada.heard == [("new", after)])


async def test_a_send_that_is_tried_again_on_another_node_is_one_publication(two):
    (_, here), (_, there) = two
    say = {"send": "room:1", "event": "say", "payload": "once", "id": "the same"}
    async with client(here, "room:1") as ada, client(there, "room:1") as bob:
        replies = await asyncio.gather(*[one.ask(say, n) for n in range(5) for one in (ada, bob)])
        (position,) = {reply["payload"] for reply in replies}
        await ada.ask({"send": "room:1", "event": "say", "payload": "last"}, "last")
        for one in (ada, bob):
            await one.until(lambda one=one: len(one.heard) >= 2)
            assert [text for text, _ in one.heard] == ["once", "last"]
            assert one.heard[0][1] == position


async def test_requests_are_refused_while_redis_is_away_and_clients_stay(redis_server, monkeypatch):
    with running(application(redis_server.url)) as url:
        async with client(url, "room:1") as ada:
            for name in ("redis_line", "redis_listener"):
                monkeypatch.setattr(f"hubbub.brokers.{name}.PATIENCE", 0.3)
            redis_server.stop()
            reply = await ada.ask({"send": "room:1", "event": "say", "payload": "lost"}, 1)
            assert (reply["ok"], reply["error"]["code"]) == (False, "unavailable")
            reply = await ada.ask({"join": "room:2", "params": {}}, 2)
            assert (reply["ok"], reply["error"]["code"]) == (False, "unavailable")
            monkeypatch.undo()
            redis_server.start()
            reply = {"ok": False}
            for n in itertools.count(3):
                reply = await ada.ask({"join": "room:2", "params": {}}, n)
                if reply["ok"]:
                    break
            assert ada.ended is None


async def test_the_application_publishes_on_all_nodes(two):
    (app, _), (_, there) = two
    async with client(there, "room:1") as bob:
        position = await asyncio.to_thread(app.publish, "/room:1", "said", "hi")
        await bob.until(lambda: bob.heard == [("hi", str(position))])


async def test_a_call_gathers_the_answers_of_all_nodes(two):
    (app, here), (other, there) = two
    async with client(here, "room:1") as ada, client(there, "room:1") as bob, client(there, "room:1") as silent:
        ada.answers, bob.answers = {"name": "ada"}, ["bob", 1.5, None]
        answers = await on_its_loop(app, app.call("/room:1", "who?", timeout=3.0))
        assert sorted(answers, key=str) == [["bob", 1.5, None], {"name": "ada"}]
        assert await on_its_loop(other, other.call("room:2", "who?", timeout=5.0)) == []
        silent.answers = "me too"
        began = asyncio.get_running_loop().time()
        assert len(await on_its_loop(other, other.call("room:1", "who?", timeout=100.0))) == 3
        assert asyncio.get_running_loop().time() - began < 50  # nobody waits when all have answered


async def test_a_node_that_has_died_is_waited_for_only_as_long_as_the_question(two):
    (app, here), _ = two
    async with client(here, "room:1") as ada:
        ada.answers = 1
        app.nodes._others["a node that was killed"] = app._loop.time()
        assert await on_its_loop(app, app.call("room:1", "who?", timeout=3.0)) == [1]
        app.nodes._others["a node that was killed"] = app._loop.time() - module.SILENCE
        assert await on_its_loop(app, app.call("room:1", "who?", timeout=1_000.0)) == [1]


async def test_a_node_that_says_goodbye_is_not_waited_for(redis_url):
    apps = [application(redis_url) for _ in range(2)]
    for app in apps:
        await app.start()
    assert await apps[0].call("room:1", "who?", timeout=5.0) == []
    assert len(apps[0].nodes._others) == 1
    waiting = asyncio.create_task(apps[1].call("room:1", "who?", timeout=60.0))
    await apps[0].close()
    assert await waiting == []
    await apps[1].close()


async def test_a_connection_is_sent_away_wherever_it_is(two):
    (app, here), (_, there) = two
    async with client(here, "room:1") as ada, client(there, "room:1") as bob:
        assert await on_its_loop(app, app.disconnect(bob.id, "enough")) == 1
        await bob.until(lambda: bob.ended is not None)
        assert bob.told[-1] == {"bye": {"code": "kicked", "reason": "enough", "come_back": False}}
        assert bob.ended == 4403
        assert await on_its_loop(app, app.disconnect("nobody")) == 0
        assert ada.ended is None


async def test_an_identity_is_sent_away_from_everywhere(two):
    (app, here), (_, there) = two
    async with (
        client(here, "room:1", name="eve") as one,
        client(there, "room:2", name="eve") as two_,
        client(there, "room:2", name="ada") as ada,
    ):
        assert await on_its_loop(app, app.disconnect("eve", Banned("spam"))) == 2
        for gone in (one, two_):
            await gone.until(lambda gone=gone: gone.ended is not None)
            assert gone.told[-1]["bye"]["code"] == "banned"
        assert ada.ended is None


@pytest.mark.parametrize("error", [Shutdown("later"), "why not"])
async def test_how_one_is_sent_away_is_the_callers_choice(two, error):
    (_, here), (app, _) = two
    async with client(here, "room:1") as ada:
        assert await on_its_loop(app, app.disconnect(ada.id, error)) == 1
        await ada.until(lambda: ada.ended is not None)
        assert ada.told[-1]["bye"]["reason"] == str(error)


async def test_not_every_end_may_be_given(two):
    (app, _), _ = two
    with pytest.raises(UsageError, match="TooSlow"):
        await on_its_loop(app, app.disconnect("x", TooSlow()))


async def test_what_no_node_says_harms_nobody(two, caplog):
    (app, here), (other, _) = two
    strange = [
        msgspec.msgpack.encode((kind, "x", 1, body, 1.0))
        for kind, body in (
            ("call", b"[1]"), ("call", b"["), ("end", b'["a", "b"]'), ("end", b'["a", "no such end", "b"]'),
            ("answer", b"[1]"), ("answer", b"1"), ("other", b"[]"),
        )
    ]  # fmt: skip
    for words in (b"", b"\xff", b"\x93", b"hello", *strange):
        for node in (app, other):
            await on_its_loop(node, _say(node, words))
    async with client(here, "room:1") as ada:
        ada.answers = 1
        assert await on_its_loop(other, other.call("room:1", "who?", timeout=4.0)) == [1]
    assert "dropped what no node says" in caplog.text
    assert "could not answer another node" in caplog.text


async def _say(app, words):
    app.hub.broker.publish(module.ALL, words, None)


async def test_a_gap_that_cannot_be_filled_sends_its_members_to_come_back(two):
    (app, here), _ = two
    async with client(here, "room:1") as ada, client(here, "room:2") as bob:
        app._loop.call_soon_threadsafe(app.hub.broker.missed, "room:1")
        await ada.until(lambda: ada.ended is not None)
        bye = ada.told[-1]["bye"]
        assert (bye["code"], bye["come_back"], ada.ended) == ("missed", True, 4409)
        assert bob.ended is None


async def test_alone_there_is_nobody_else_to_ask():
    app = application("memory://")
    await app.start()
    assert await app.call("room:1", "who?", timeout=60.0) == []
    assert await app.disconnect("nobody") == 0
    await app.close()
