"""Five thousand joins in a second to one topic: what each member is told of them, and what it costs."""

import asyncio
import json
from collections import Counter

import pytest

from hubbub import App, Channel, Limits
from hubbub.protocols.base import Request
from hubbub.protocols.native import Native

CROWD, SECOND, SLICES = 5_000, 1.0, 50
FRAMES, SLOW = 20, 5.0
"""What each member is told at most; and the seconds that a storm may take for it, on a machine that has much to do."""
DEADLINE = 30.0


class Member:
    """A client, and the server's end of its line, in memory: it counts what it is told, and keeps the list."""

    line = "socket"
    once = False
    full = False
    wire = None

    def __init__(self, app, key, watch=None):
        self.told = Counter()
        self.count = None
        self.list = {}
        request = Request("GET", "/hubbub/websocket")
        self.connection = app.connect(Native, request)
        self.connection.attach(self, app.deadlines.now(), request)
        params = {"key": key} if watch is None else {"key": key, "watch": watch}
        self.connection.receive(json.dumps({"join": "room", "params": params, "ref": 1}), "socket", 0.0)

    def write(self, frames):
        for frame in frames:
            self.hear(json.loads(frame))

    def hear(self, told):
        match told:
            case {"event": "presence_state", "payload": state}:
                self.list = {key: len(someone["metas"]) for key, someone in state.items()}
            case {"event": "presence_diff", "payload": {"joins": joins, "leaves": leaves}}:
                for sign, part in ((1, joins), (-1, leaves)):
                    for key, someone in part.items():
                        self.list[key] = self.list.get(key, 0) + sign * len(someone["metas"])
                self.list = {key: count for key, count in self.list.items() if count}
            case {"event": "presence_count", "payload": {"count": count}}:
                self.count = count
        self.told[told.get("event", "reply" if "reply" in told else "welcome")] += 1

    def hold(self, on):
        """Nothing is read from it."""

    def close(self, frames, code, reason):
        self.write(frames)

    @property
    def presence(self):
        return sum(count for event, count in self.told.items() if event.startswith("presence"))


def make_app(broker="memory://", listed=1_000):
    app = App(broker=broker, limits=Limits(rate=0))

    @app.channel("room")
    class Room(Channel):
        presence = True
        presence_grace = 0.0
        presence_list = listed

        async def join(self, key: str, watch: list[str] | None = None):
            await self.track(key)
            if watch is not None:
                await self.watch(watch)

    return app


@pytest.fixture
async def apps(request):
    made = []

    async def start(*given, **settings):
        app = make_app(*given, **settings)
        made.append(app)
        await app.start()
        return app

    yield start
    for app in made:
        await app.close()


async def storm(app, crowd=CROWD):
    """So many come within a second. Gives them, and the frames that each may get."""
    loop, members = asyncio.get_running_loop(), []
    begun = loop.time()
    for number in range(SLICES):
        members += [Member(app, f"key{len(members) + each}") for each in range(crowd // SLICES)]
        await asyncio.sleep(max(0.0, begun + SECOND * (number + 1) / SLICES - loop.time()))
    took = loop.time() - begun
    return members, FRAMES * max(took / SLOW, 1.0)


async def until(wanted):
    async with asyncio.timeout(DEADLINE):
        while not wanted():  # noqa: ASYNC110 - thousands of members have no common event
            await asyncio.sleep(0.02)


async def test_each_member_is_told_in_a_few_frames(apps):
    app = await apps()
    first = Member(app, "first")
    friend = Member(app, "friend", watch=["key17", "key4321"])
    crowd, frames = await storm(app)
    members = [first, *crowd]
    await until(lambda: all(member.count == CROWD + 2 for member in members))
    assert max(member.told.total() for member in members) <= frames
    assert friend.list == {"key17": 1, "key4321": 1}
    assert friend.presence <= 3  # the state, and the two when they came
    before = first.told.total()
    for member in members[1:]:
        member.connection.detach(member, app.deadlines.now())
    await until(lambda: first.list == {"first": 1, "friend": 1})
    assert first.told.total() - before <= FRAMES


async def test_with_a_list_of_all_it_is_as_few(apps):
    app = await apps(listed=100_000)
    first = Member(app, "first")
    crowd, frames = await storm(app, 1_000)
    members = [first, *crowd]
    await until(lambda: all(len(member.list) == 1_001 for member in members))
    assert all(member.list == first.list for member in members)
    assert max(member.told.total() for member in members) <= frames


async def test_members_on_another_node_are_told_as_few(apps, redis_url):
    here, there = await apps(redis_url), await apps(redis_url)
    elsewhere = [Member(there, f"other{number}") for number in range(3)]
    await until(lambda: all(len(member.list) == 3 for member in elsewhere))
    crowd, frames = await storm(here)
    members = [*crowd, *elsewhere]
    await until(lambda: all(member.count == CROWD + 3 for member in members))
    assert max(member.told.total() for member in members) <= frames
    assert (await there.presence("room")).count == CROWD + 3
