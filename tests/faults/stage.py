"""A small run of the real thing in one process: an application with hub and broker, and clients on lines in memory.

What happens is its seed's: who says what when, whose line breaks with replies under way, who leaves, who comes back,
when the node is started again over the same broker. A ``Bug`` makes one part of it do wrong.
"""

import asyncio
import json
import random
import time
from unittest.mock import patch

import msgspec

from hubbub import App, Channel, Keep, Limits, on
from hubbub.bodies import values
from hubbub.brokers.memory import MemoryBroker
from hubbub.envelope import unseal
from hubbub.errors import Forbidden
from hubbub.protocols.base import Request
from hubbub.protocols.native import Native

from .checker import Promise, check
from .record import ACKED, REFUSED, Bound, Broken, Here, Joined, Left, Past, Record, Turn, View, checksum, position

TOPICS = ("log:a", "log:b")
GRACE = 20.0
"""Seconds: nobody in a run is away for so long, however slow the machine is."""
AWAY = 0.2
"""Seconds that somebody is gone who comes back within the grace: more than a round of presence."""
SETTLE = 1.0
"""Seconds until presence is true, for who leaves without grace."""
DEADLINE = 120.0


class Bug:
    """One thing that goes wrong. The verdict that is to find it, and how much has to be said for it to show."""

    verdict = None
    promise = Promise(settle=SETTLE)
    messages = 48
    clients = 3
    presence = False
    """Whether the run waits for presence to show, and to be true."""

    def __init__(self, chance):
        self.chance = chance

    class Broker(MemoryBroker):
        """One whose logs outlive its node."""

        def __init__(self, chance, logs):
            super().__init__()
            self.chance = chance
            self._logs = logs

    def line(self, client, frame):
        """What of a frame reaches this client."""
        return (frame,)

    def started(self, app):
        """The application has started (again)."""


def make_app():
    app = App(limits=Limits(rate=0))

    @app.channel("log:{name}")
    class Log(Channel):
        history = Keep(count=100_000)
        presence = True
        presence_grace = GRACE

        async def join(self, name: str, key: str):
            await self.track(key)

        @on("hide")
        async def hide(self):
            await self.untrack()

        @on("say")
        async def say(self, said: dict):
            if said.get("forbidden"):
                raise Forbidden
            return await self.publish("said", said)

    return app


class Line:
    """The server's end of a client's line, and all of it."""

    line = "socket"
    once = False
    full = False
    wire = None

    def __init__(self, hear):
        self.hear = hear

    def write(self, frames):
        for frame in frames:
            self.hear(frame)

    def hold(self, on):
        """Nothing is read from it."""

    def close(self, frames, code, reason):
        self.write(frames)


class Client:
    """One client in one topic, which says what it is told to say until it is answered."""

    def __init__(self, stage, name, topic):
        self.stage = stage
        self.name = name
        self.topic = topic
        self.story = stage.record.story(name, "native", topic)
        self.turns = stage.record.turns.setdefault((name, topic), [])
        self.connection = None
        self.line = None
        self.position = None
        self.joined = False
        self.started = self.since = 0.0
        self.n = 0
        self.unanswered = {}

    def tell(self, **message):
        if self.connection is not None and not self.connection.ended:
            self.connection.receive(json.dumps(message), "socket", self.stage.now())

    def come(self):
        app, request = self.stage.app, Request("GET", "/hubbub/websocket")
        line = self.line = Line(lambda frame: self.arrived(frame, line))
        self.connection = app.connect(Native, request)
        self.connection.attach(line, self.stage.now(), request)
        self.started = time.monotonic()
        self.tell(join=self.topic, ref="join", after=self.position, params={"key": self.name})
        for payload in list(self.unanswered.values()):
            self.send(payload)

    def cut(self):
        """Its line breaks: what is on it is lost."""
        if self.connection is not None and not self.connection.ended:
            line, self.line = self.line, None
            self.connection.detach(line, self.stage.now())
        self.gone("cut")

    def gone(self, why):
        if self.joined:
            self.joined = False
            self.story.events.append(Broken(time.monotonic(), why))

    def leave(self):
        """For good, and without grace."""
        self.stage.record.here.append(Here(self.topic, self.name, self.since, time.monotonic()))
        self.tell(send=self.topic, event="hide")
        self.tell(leave=self.topic, ref="leave")

    def say(self, forbidden=False):
        self.n += 1
        payload = {"by": self.name, "n": self.n, "sum": checksum(self.topic, self.name, self.n)}
        if forbidden:
            payload["forbidden"] = True
        self.stage.record.invoke(self.name, self.n, self.topic)
        self.unanswered[self.n] = payload
        self.send(payload)

    def send(self, payload):
        n = payload["n"]
        self.tell(send=self.topic, event="say", payload=payload, ref=n, id=f"{self.name}.{n}")

    def arrived(self, frame, line):
        if line is self.line:
            for each in self.stage.bug.line(self, frame):
                self.hear(msgspec.json.decode(each))

    def hear(self, told):
        match told:
            case {"event": "said", "payload": payload}:
                self.position = told["position"] or self.position
                self.story.heard(payload, position(told["position"]))
            case {"event": "presence_state", "payload": state}:
                self.turns.append(Turn(time.monotonic(), frozenset(state), frozenset(), state=True))
            case {"event": "presence_diff", "payload": diff}:
                joins, leaves = frozenset(diff["joins"]), frozenset(diff["leaves"])
                self.turns.append(Turn(time.monotonic(), joins, leaves))
            case {"reply": "join", "ok": True}:
                self.let_in(told)
            case {"reply": "leave"}:
                self.joined = False
                self.story.events.append(Left(time.monotonic()))
            case {"reply": int(n)}:
                self.answered(n, told)
            case {"bye": error}:
                self.gone(error["code"])

    def let_in(self, told):
        asked, at = position(self.position), time.monotonic()
        self.joined = True
        self.since = self.since or at
        self.story.events.append(
            Joined(at, self.started, asked, told.get("recovered"), position(told["position"]), fresh=asked is None)
        )
        self.position = told["position"]

    def answered(self, n, told):
        sent = self.stage.record.sent[self.name, n]
        if self.unanswered.pop(n, None) is None:
            return
        sent.answered = time.monotonic()
        sent.outcome = ACKED if told["ok"] else REFUSED
        sent.position = position(told.get("payload"))


class Stage:
    """One run, from its beginning to what the checker says of it."""

    def __init__(self, seed, bug=Bug):
        self.chance = random.Random(f"{bug.__name__} {seed}")
        self.bug = bug(self.chance)
        self.record = Record()
        self.logs = {}
        self.app = None
        self.clients = [
            Client(self, f"{topic[-1]}{number}", topic) for topic in TOPICS for number in range(self.bug.clients)
        ]

    def now(self):
        return self.app.deadlines.now()

    async def start(self):
        self.app = make_app()
        self.broker = self.bug.Broker(self.chance, self.logs)
        with patch("hubbub.brokers.create", lambda url: self.broker):
            await self.app.start()  # over a broker in memory it waits for nothing: so stages can stand side by side
        self.bug.started(self.app)

    async def restart(self):
        self.record.faults.append((time.monotonic(), "restart"))
        await self.app.close()
        await self.start()

    async def play(self):
        """Rounds of talk, each with its misfortunes; then the end. Gives the findings."""
        async with asyncio.timeout(DEADLINE):
            await self.start()
            try:
                for client in self.clients:
                    client.come()
                await turn()
                for number in range(6):
                    await self.round(number)
                await self.end()
            finally:
                await self.app.close()
        return check(self.record, self.bug.promise)

    async def round(self, number):
        chance = self.chance
        for _ in range(self.bug.messages // 6):
            for topic in TOPICS:
                mine = [client for client in self.clients if client.topic == topic]
                chance.choice(mine).say(forbidden=chance.random() < 0.02)
            if chance.random() < 0.7:
                await turn()
        victims = chance.sample(self.clients, 2)
        for victim in victims:
            victim.say()  # its reply is lost
            victim.cut()
        for client in self.clients:
            if client not in victims:
                client.say()
        await turn()
        if number == 2 and self.bug.presence:
            await asyncio.sleep(AWAY)
        if number == 3:
            await self.restart()
        for client in self.clients:
            if not client.joined:
                client.come()
        await turn()

    async def end(self):
        """Some leave, the others have the last word; then all that is left is looked at."""
        leaving = [next(client for client in self.clients if client.topic == topic) for topic in TOPICS]
        for client in leaving:
            client.story.expected = False
            client.leave()
        await turn()
        for client in self.clients:
            if client not in leaving:
                client.say()
        await turn()
        for client in self.clients:
            if client not in leaving:
                self.record.here.append(Here(client.topic, client.name, client.since))
        if self.bug.presence:
            await asyncio.sleep(SETTLE)
        for topic in TOPICS:
            present = await self.app.presence(topic)
            self.record.views.append(View(time.monotonic(), "the node", topic, frozenset(present.who)))
            self.record.pasts.append(await self.past(topic))
        there = [connection for client in self.clients if (connection := client.connection) and not connection.ended]
        self.record.bounds.append(Bound("connections", len(self.app.reception.connections), len(there)))
        self.record.ended = True

    async def past(self, topic):
        started = time.monotonic()
        page = await self.app.hub.read(topic, limit=1_000_000)
        entries = []
        for entry in page.entries:
            said = values(unseal(entry.data)[1])[1]
            entries.append((entry.offset, (said["by"], said["n"])))
        return Past(topic, started, page.position.epoch, entries)


async def turn():
    """Let everything happen that has to: a handler's steps, the end of the tick."""
    for _ in range(4):
        await asyncio.sleep(0)
