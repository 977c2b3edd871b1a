"""Coming back: all that was missed, in order, once; or a plain no."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect

from hubbub import App, Channel, Keep, Limits, on
from tests.conftest import LANES


class Room(Channel):
    history = Keep(count=10)

    async def join(self, room="", rooms=()):
        for name in rooms:
            self.enter(name)
        if not self.resumed:
            await self.push("fresh")

    @on("say")
    async def say(self, text: str, to: str = ""):
        await self.publish("said", text, to=to)

    @on("twice")
    async def twice(self, text: str):
        return [str(await self.publish("said", text)), str(await self.publish("said", text))]


class Counter(Channel):
    history = Keep(count=2)
    total = 0

    @on("add")
    async def add(self, number: int):
        Counter.total += number
        await self.publish("added", number)

    async def recover(self, since):
        await self.push("total", self.total)
        return True


class Passing(Channel):
    """Keeps nothing."""


def application(broker="memory://", **limits):
    app = App(broker=broker, limits=Limits(**limits))
    app.channel("room:{room}")(Room)
    app.channel("counter")(Counter)
    app.channel("passing")(Passing)
    return app


class Client:
    def __init__(self, socket):
        self.socket = socket

    async def next(self):
        return json.loads(await asyncio.wait_for(self.socket.recv(), 20))

    async def ask(self, **message):
        await self.socket.send(json.dumps({"ref": 1} | message))
        while (answer := await self.next()).get("reply") != 1:
            pass
        assert answer["ok"], answer
        return answer

    async def said(self, count):
        return [(await self.next())["payload"] for _ in range(count)]


@pytest.fixture
async def client():
    """Clients that are closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def at(url):
            socket = connect(url.replace("http", "ws") + "/hubbub/websocket")
            made = Client(await stack.enter_async_context(socket))
            assert "welcome" in await made.next()
            return made

        yield at


@pytest.fixture(params=LANES)
def url(request, serve):
    return serve(application(), lane=request.param)


async def test_who_joins_a_kept_topic_is_told_where_it_stands(url, client):
    ada = await client(url)
    first = await ada.ask(join="room:a")
    assert "recovered" not in first
    assert (await ada.next())["event"] == "fresh"
    await ada.ask(send="room:a", event="say", payload="one")
    ben = await client(url)
    assert (await ben.ask(join="room:a"))["position"] == first["position"].replace(":0", ":1")
    assert "position" not in await ben.ask(join="passing")


async def test_who_comes_back_gets_all_it_missed_in_order_and_once(url, client):
    ada, ben = await client(url), await client(url)
    await ada.ask(join="room:a")
    position = (await ben.ask(join="room:a"))["position"]
    await ben.socket.close()
    for number in range(9):
        await ada.ask(send="room:a", event="say", payload=str(number))
    again = await client(url)
    answer = await again.ask(join="room:a", after=position)
    assert (answer["recovered"], answer["position"]) == (True, position)
    await ada.ask(send="room:a", event="say", payload="live")
    assert await again.said(10) == [*"012345678", "live"]


async def test_what_was_for_a_room_comes_to_who_is_in_it(url, client):
    ada = await client(url)
    position = (await ada.ask(join="room:a"))["position"]
    await ada.ask(send="room:a", event="say", payload={"text": "all"})
    await ada.ask(send="room:a", event="say", payload={"text": "red", "to": "red"})
    await ada.ask(send="room:a", event="say", payload={"text": "end"})
    outside, inside = await client(url), await client(url)
    await outside.ask(join="room:a", after=position)
    await inside.ask(join="room:a", after=position, params={"rooms": ["red"]})
    assert await outside.said(2) == ["all", "end"]
    assert await inside.said(3) == ["all", "red", "end"]


@pytest.mark.parametrize("after", ["another-epoch:3", "{epoch}:0", "{epoch}:99"])
async def test_what_cannot_be_had_is_said_plainly(url, after, client):
    ada = await client(url)
    epoch, _, _ = (await ada.ask(join="room:a"))["position"].rpartition(":")
    for number in range(12):
        await ada.ask(send="room:a", event="say", payload=str(number))
    ben = await client(url)
    answer = await ben.ask(join="room:a", after=after.format(epoch=epoch))
    assert (answer["recovered"], answer["position"]) == (False, f"{epoch}:12")
    assert (await ben.next())["event"] == "fresh"


async def test_who_must_start_afresh_is_told_where_the_log_is_now(serve, client):
    app = application()
    url = serve(app)
    ada = await client(url)
    before = (await ada.ask(join="room:a"))["position"]
    app.hub.broker._promises._epochs.clear()  # as if it had more promises to keep than it can
    ben = await client(url)
    told = await ben.ask(join="room:a", after=before)
    assert told["recovered"] is False
    assert told["position"] != before, "else it would come back with that, again and again"
    assert (await ben.ask(join="room:a", after=told["position"]))["recovered"] is True


async def test_a_topic_that_keeps_nothing_recovers_nothing(url, client):
    ada = await client(url)
    assert (await ada.ask(join="passing", after="epoch:1"))["recovered"] is False


async def test_more_than_the_limit_is_not_sent(serve, client):
    url = serve(application(recovery=1_000))
    ada = await client(url)
    position = (await ada.ask(join="room:a"))["position"]
    for _ in range(3):
        await ada.ask(send="room:a", event="say", payload="x" * 400)
    ben = await client(url)
    assert (await ben.ask(join="room:a", after=position))["recovered"] is False


async def test_a_channel_may_answer_with_a_snapshot(url, client):
    ada = await client(url)
    position = (await ada.ask(join="counter"))["position"]
    for number in range(1, 5):
        await ada.ask(send="counter", event="add", payload=number)
    ben = await client(url)
    answer = await ben.ask(join="counter", after=position)
    assert (answer["recovered"], answer["position"]) == (True, position.replace(":0", ":4"))
    assert (await ben.next())["payload"] == Counter.total


async def test_a_restart_loses_nothing(serve, tmp_path, client):
    broker = f"sqlite:///{tmp_path}/room.db"
    ada = await client(serve(application(broker)))
    position = (await ada.ask(join="room:a"))["position"]
    await ada.ask(send="room:a", event="say", payload="one")
    serve.stop()
    ben = await client(serve(application(broker)))
    assert (await ben.ask(join="room:a", after=position))["recovered"] is True
    assert await ben.said(1) == ["one"]


async def test_a_send_that_is_repeated_is_one_publication_for_each_that_it_makes(url, client):
    ada = await client(url)
    await ada.ask(join="room:a")
    once = await ada.ask(send="room:a", event="twice", payload="x", id="abc")
    assert len(set(once["payload"])) == 2
    assert await ada.ask(send="room:a", event="twice", payload="x", id="abc") == once
