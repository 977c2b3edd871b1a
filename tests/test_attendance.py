"""Who is here, as real clients are told it: state and diffs, rounds, grace, watching, counts, hooks."""

import asyncio
import re
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import socketio
from websockets.asyncio.client import connect

from hubbub import App, Channel, on
from tests.attending import DEADLINE, Member, make_app, member
from tests.conftest import LANES


@pytest.mark.parametrize("lane", LANES)
async def test_a_member_is_told_the_state_and_then_the_differences(serve, lane):
    url = serve(make_app(), lane=lane)
    async with member(url, key="ada", name="Ada") as ada:
        assert ada.events == []  # the state comes after the reply
        await ada.until(lambda ada: ada.names == {"ada": ["Ada"]})
        assert ada.frames == ["presence_state"]
        async with member(url, key="bob", name="Bob") as bob:
            await bob.until(lambda bob: bob.names == {"ada": ["Ada"], "bob": ["Bob"]})
            await ada.until(lambda ada: ada.names == bob.names)
            assert ada.list == bob.list
            assert ada.frames == ["presence_state", "presence_diff"]
            assert bob.frames == ["presence_state"]
            await bob.send("update", {"name": "Robert", "busy": True})
            await ada.until(lambda ada: ada.names["bob"] == ["Robert"])
            (meta,) = ada.list["bob"].values()
            assert meta["busy"] is True
            assert meta["phx_ref_prev"] in ada.events[1][1]["joins"]["bob"]["metas"][0]["phx_ref"]
            await bob.send("hide")
            await ada.until(lambda ada: "bob" not in ada.names)


async def test_socketio_hears_the_same(serve):
    url = serve(make_app())
    heard = asyncio.Queue()
    client = socketio.AsyncClient(reconnection=False)
    client.on("*", lambda event, *values: heard.put_nowait((event, *values)), namespace="/room")
    await client.connect(url, namespaces=["/room"], auth={"key": "ada", "name": "Ada"})
    event, state = await asyncio.wait_for(heard.get(), DEADLINE)
    (meta,) = state["ada"]["metas"]
    assert (event, set(state), meta["name"], set(meta)) == ("presence_state", {"ada"}, "Ada", {"phx_ref", "name"})
    async with member(url, key="bob", name="Bob") as bob:
        await bob.until(lambda bob: bob.names == {"ada": ["Ada"], "bob": ["Bob"]})
        event, diff = await asyncio.wait_for(heard.get(), DEADLINE)
        (meta,) = diff["joins"]["bob"]["metas"]
        assert (event, diff["leaves"], meta["name"]) == ("presence_diff", {}, "Bob")
    event, diff = await asyncio.wait_for(heard.get(), DEADLINE)
    assert (event, diff) == ("presence_diff", {"joins": {}, "leaves": {"bob": {"metas": [meta]}}})
    await client.disconnect()


async def test_who_reloads_was_never_gone(serve):
    heard = []
    url = serve(
        make_app(
            presence_grace=60.0,
            online=lambda self, key: heard.append(("online", key)),
            offline=lambda self, key, last_seen: heard.append(("offline", key)),
        )
    )
    async with member(url, quiet=True) as watcher:
        async with member(url, key="ada", name="Ada"):
            await watcher.until(lambda watcher: watcher.names == {"ada": ["Ada"]})
        for _ in range(4):
            async with member(url, key="ada", name="Ada") as ada:
                await ada.until(lambda ada: ada.names == {"ada": ["Ada"]})
        async with member(url, key="ada", name="Lovelace") as ada:  # another name: that is told
            await watcher.until(lambda watcher: watcher.names == {"ada": ["Lovelace"]})
            assert watcher.frames == ["presence_state", "presence_diff", "presence_diff"]
            assert heard == [("online", "ada")]


async def test_one_key_has_several_connections(serve):
    url = serve(make_app(presence_grace=0.0))
    async with member(url, quiet=True) as watcher:
        async with member(url, key="ada", name="laptop"):
            async with member(url, key="ada", name="phone") as phone:
                await watcher.until(lambda watcher: watcher.names == {"ada": ["laptop", "phone"]})
                assert (await phone.send("who"))["payload"] == {
                    "count": 1,
                    "who": {"ada": [{"name": "laptop"}, {"name": "phone"}]},
                }
            await watcher.until(lambda watcher: watcher.names == {"ada": ["laptop"]})
        await watcher.until(lambda watcher: watcher.names == {})


async def test_who_leaves_is_shown_for_the_time_of_grace(serve):
    heard = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def offline(self, key, last_seen):
        count = (await self.present()).count
        loop.call_soon_threadsafe(heard.put_nowait, (key, last_seen, count, self.topic))

    url = serve(make_app(presence_grace=0.5, offline=offline))
    async with member(url, quiet=True) as watcher:
        async with member(url, key="ada", name="Ada"):
            await watcher.until(lambda watcher: "ada" in watcher.names)
            left = loop.time()
        await watcher.until(lambda watcher: "ada" not in watcher.names)
        assert loop.time() - left >= 0.4
        key, last_seen, count, topic = await asyncio.wait_for(heard.get(), DEADLINE)
        assert (key, count, topic) == ("ada", 0, "room")
        assert last_seen > 1_700_000_000


@pytest.mark.parametrize("for_good", [False, True])
async def test_who_is_put_out_or_hides_is_gone_at_once(serve, for_good):
    url = serve(make_app(presence_grace=60.0))
    async with member(url, quiet=True) as watcher, member(url, key="ada", name="Ada") as ada:
        await watcher.until(lambda watcher: "ada" in watcher.names)
        await ada.send("hide")
        await watcher.until(lambda watcher: "ada" not in watcher.names)
        await ada.send("track", {"key": "ada", "meta": {"name": "again"}})
        await watcher.until(lambda watcher: watcher.names == {"ada": ["again"]})
        await ada.ask(send="room", event="out", payload={"for_good": for_good})
        await watcher.until(lambda watcher: "ada" not in watcher.names)


async def test_who_was_refused_is_not_here(serve):
    url = serve(make_app(presence_grace=60.0))
    async with member(url, quiet=True) as watcher, member(url, key="x", name="refused") as refused:
        assert refused.joined["ok"] is False
        async with member(url, key="ada", name="Ada"):
            await watcher.until(lambda watcher: "ada" in watcher.names)
            assert watcher.names == {"ada": ["Ada"]}


async def test_without_a_key_it_is_the_connection(serve):
    url = serve(make_app())
    async with connect(url.replace("http", "ws") + "/hubbub/websocket") as socket:
        client = Member(socket, "room")
        welcome = (await client.hear())["welcome"]
        await client.ask(join="room", params={"name": "Ada"})
        await client.until(lambda client: client.names == {welcome: ["Ada"]})


async def test_a_client_may_hear_of_some_keys_alone(serve):
    url = serve(make_app(presence_grace=0.0))
    async with member(url, quiet=True, watch=["bob", "eve"]) as friend:
        await friend.until(lambda friend: friend.list == {})
        async with member(url, key="ada", name="Ada"), member(url, key="bob", name="Bob") as bob:
            await friend.until(lambda friend: friend.names == {"bob": ["Bob"]})
            await bob.until(lambda bob: set(bob.names) == {"ada", "bob"})
            await friend.send("watch", ["ada"])
            await friend.until(lambda friend: friend.names == {"ada": ["Ada"]})
            await friend.send("watch", None)
            await friend.until(lambda friend: friend.names == bob.names)
            too_many = await friend.send("watch", ["a", "b", "c", "d"])
            assert too_many["error"]["code"] == "too_many"
        await friend.until(lambda friend: friend.names == {})


async def test_a_large_topic_is_told_a_count(serve):
    url = serve(make_app(presence_grace=0.0, presence_list=2))
    async with member(url, key="ada", name="Ada") as ada, member(url, key="bob", name="Bob") as bob:
        await ada.until(lambda ada: set(ada.names) == {"ada", "bob"})
        async with member(url, key="eve", name="Eve") as eve:
            for client in (ada, bob, eve):
                await client.until(lambda client: client.events[-1:] == [("presence_count", {"count": 3})])
                assert client.list == {}
            present = (await eve.send("who"))["payload"]
            assert (present["count"], len(present["who"])) == (3, 2)
            async with member(url, quiet=True, watch=["eve"]) as friend:
                await friend.until(lambda friend: friend.names == {"eve": ["Eve"]})
                assert "presence_count" not in friend.frames
        await ada.until(lambda ada: ada.events[-1] == ("presence_count", {"count": 2}))
        await bob.send("hide")
        await ada.until(lambda ada: ada.names == {"ada": ["Ada"]})


async def test_presence_stands_in_order_with_what_is_said(serve):
    url = serve(make_app(presence_grace=0.0))
    async with member(url, quiet=True) as watcher:
        await watcher.until(lambda watcher: watcher.list == {})
        async with member(url, key="ada", name="Ada") as ada:
            await ada.until(lambda ada: "ada" in ada.names)
            await ada.send("say", "hello")
            await watcher.until(lambda watcher: ("said", "hello") in watcher.events)
            assert "ada" in watcher.names


async def test_limits_and_mistakes_are_told(serve):
    url = serve(make_app())
    async with member(url, key="ada", name="Ada") as ada:
        codes = []
        for key, meta in [
            ("ada", {"text": "x" * 200}), ("", {}), ("x" * 300, {}), ("b", {}), ("c", {}), ("d", {}), ("b", {"n": 1}),
            ("ada", {"phx_ref": "mine"}),
        ]:  # fmt: skip
            reply = await ada.send("track", {"key": key, "meta": meta})
            codes.append("ok" if reply["ok"] else reply["error"]["code"])
        assert codes == ["too_big", "invalid", "invalid", "ok", "ok", "too_many", "ok", "internal"]
        await ada.until(lambda ada: set(ada.names) == {"ada", "b", "c"})
        codes = []
        for _ in range(5):
            async with member(url, key="many", name="tab") as tab:
                codes.append(tab.joined["ok"])
                await ada.until(lambda ada: "many" in ada.names)
        assert codes == [True] * 5  # the same tab, come back


async def test_one_key_has_a_bounded_number_of_connections(serve):
    url = serve(make_app())
    async with AsyncExitStack() as tabs:
        joined = [(await tabs.enter_async_context(member(url, key="ada"))).joined for _ in range(5)]
    assert [reply["ok"] for reply in joined] == [True] * 4 + [False]
    assert joined[4]["error"]["code"] == "too_many"


@pytest.mark.parametrize("key", ["__proto__", "constructor", 'quo"te', "a\\b", "\u2028", "presence_state"])
async def test_any_key_is_an_ordinary_key(serve, key):
    url = serve(make_app())
    async with member(url, key=key, name=key) as client:
        await client.until(lambda client: client.names == {key: [key]})


async def test_a_channel_without_presence_says_so(serve, caplog):
    app = App()

    @app.channel("plain")
    class Plain(Channel):
        @on("track")
        async def show(self):
            await self.track("x")

    async with member(serve(app), "plain") as client:
        assert (await client.send("track"))["error"]["code"] == "internal"
    assert "Plain.presence = True" in caplog.text


async def test_an_application_asks_from_outside():
    app = make_app()
    await app.start()
    present = await app.presence("/room")
    assert (present.count, present.who) == (0, {})
    await app.close()


GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "presence.md"


def shown_in_the_guide(number, **names):
    """What a block of the guide makes."""
    exec(
        re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[number],
        names,
    )
    return names


async def test_the_room_of_the_guide_shows_who_is_here(serve):
    url = serve(shown_in_the_guide(0)["app"])
    async with member(url, "room:lobby", name="Ada") as ada, member(url, "room:lobby", name="Bob") as bob:
        await ada.until(lambda ada: set(ada.names) == {"Ada", "Bob"})
        await bob.send("away")
        await ada.until(lambda ada: [meta["status"] for meta in ada.list["Bob"].values()] == ["away"])


async def test_the_hooks_of_the_guide_are_called(serve):
    executed = asyncio.Queue()
    loop = asyncio.get_running_loop()

    class Database:
        async def execute(self, statement, *values):
            loop.call_soon_threadsafe(executed.put_nowait, values)

    room = shown_in_the_guide(2, Channel=Channel, database=Database())["Room"]

    class Tracked(room):
        presence_grace = 0.1

        async def join(self, name: str):
            await self.track(name)

    app = App()
    app.channel("room")(Tracked)
    url = serve(app)
    async with member(url, name="Ada") as ada:
        await ada.until(lambda ada: ("came", "Ada") in ada.events)
        left = time.time()
    key, last_seen = await asyncio.wait_for(executed.get(), DEADLINE)
    assert key == "Ada"
    assert left - 2 < last_seen <= time.time()


async def test_friends_of_the_guide_are_watched(serve):
    company = shown_in_the_guide(3, Channel=Channel)["Company"]
    app = App()
    app.channel("company")(company)
    async with member(serve(app), "company", friends=["nobody"]) as ada:
        await ada.until(lambda ada: ada.list == {})


async def test_what_nobody_attends_is_forgotten(serve):
    app = make_app(presence_grace=0.1)
    url = serve(app)
    async with member(url, quiet=True) as watcher, member(url, key="ada") as ada:
        await watcher.until(lambda watcher: "ada" in watcher.names)
        assert set(app.attendance.gatherings) == {"room"}
        await ada.ask(leave="room")
        await watcher.until(lambda watcher: "ada" not in watcher.names)
        await watcher.ask(leave="room")
        assert not app.attendance.gatherings
        assert not app.hub.topics
