"""A member of a topic that keeps the list of who is here, and an application that has such topics."""

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import count

from websockets.asyncio.client import connect

from hubbub import App, Banned, Channel, Kicked, Limits, on

DEADLINE = 20


class Member:
    """A client of the native protocol, in one topic, that keeps the list as phoenix.js would."""

    def __init__(self, socket, topic):
        self.socket = socket
        self.topic = topic
        self.refs = count(1)
        self.list = None
        self.events = []
        self.gone = []
        """Keys that were there, and were no longer."""

    async def hear(self):
        message = json.loads(await asyncio.wait_for(self.socket.recv(), DEADLINE))
        if "event" in message:
            self.learn(message["event"], message.get("payload"))
        return message

    def learn(self, event, payload):
        self.events.append((event, payload))
        if event == "presence_state":
            self.list = {key: {meta["phx_ref"]: meta for meta in told["metas"]} for key, told in payload.items()}
        elif event == "presence_diff":
            assert self.list is not None, "a diff came before the state"
            for key, told in payload["joins"].items():
                for meta in told["metas"]:
                    assert meta["phx_ref"] not in self.list.get(key, {}), "joined twice"
                    self.list.setdefault(key, {})[meta["phx_ref"]] = meta
            for key, told in payload["leaves"].items():
                for meta in told["metas"]:
                    del self.list[key][meta["phx_ref"]]
                if not self.list[key]:
                    del self.list[key]
                    self.gone.append(key)

    async def until(self, wanted):
        """Hear until this is true of the member."""
        while not wanted(self):
            await self.hear()

    async def ask(self, **message):
        ref = next(self.refs)
        await self.socket.send(json.dumps({**message, "ref": ref}))
        while True:
            heard = await self.hear()
            if heard.get("reply") == ref:
                return heard

    async def send(self, event, payload=None):
        return await self.ask(send=self.topic, event=event, payload=payload)

    @property
    def names(self):
        return {key: sorted(meta.get("name") for meta in metas.values()) for key, metas in (self.list or {}).items()}

    @property
    def frames(self):
        return [event for event, _ in self.events if event.startswith("presence")]


@asynccontextmanager
async def member(url, topic="room", **params):
    async with connect(url.replace("http", "ws") + "/hubbub/websocket") as socket:
        client = Member(socket, topic)
        await client.hear()
        client.joined = await client.ask(join=topic, params=params)
        yield client


def make_app(broker="memory://", **attributes):
    app = App(broker=broker, limits=Limits(rate=0, meta=100, tracked=3, metas=4, watched=3))

    class Room(Channel):
        presence = True
        presence_grace = 0.2

        async def join(self, key: str = "", name: str = "", quiet: bool = False, watch: list[str] | None = None):
            if not quiet:
                await self.track(key or None, name=name)
            if watch is not None:
                await self.watch(watch)
            if name == "refused":
                raise ValueError("after it was tracked")

        @on("track")
        async def show(self, key: str, meta: dict):
            await self.track(key, **meta)

        @on("update")
        async def change(self, meta: dict):
            await self.update(**meta)

        @on("hide")
        def hide(self):
            self.untrack()  # in a thread

        @on("watch")
        async def look(self, keys: list[str] | None):
            await self.watch(keys)

        @on("who")
        async def who(self):
            return await self.present()

        @on("say")
        async def say(self, text: str):
            await self.publish("said", text)

        @on("out")
        async def out(self, for_good: bool = False):
            raise Banned("out") if for_good else Kicked("out")

    for name, value in attributes.items():
        setattr(Room, name, value)
    app.channel("room")(Room)
    return app
