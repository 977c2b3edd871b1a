"""One run in a world of processes: clients of all kinds talk while faults come and go; at the end everybody is given
the time to hear the last word, the logs are read, and the checker says what it found."""

import asyncio
import random
import time
from math import inf

from .app import app
from .checker import Promise, check
from .clients import decode, encode
from .http_clients import KINDS
from .kinds import NETWORK, kinds_for
from .record import Bound, Heard, Joined, Left, Past, Record, View, position
from .socket_clients import Native, Packed
from .wires import Http, open_line

LAST = 60.0
"""Seconds that everybody has to hear the last word, when all faults are healed."""
PAGE = 1_000
SHORT = 150
"""Publications that a short log surely has; a third of it, while a client is on its way in."""
WANDER = 0.5
"""Seconds at most from one client that leaves to the next."""
TOGETHER = 0.3
"""The share of faults that do not come alone."""


class Run:
    """Clients, ``each`` of each kind in each topic, and what they say in a second, all together."""

    def __init__(
        self, world, seed, topics=1, each=1, rate=100.0, window=8, kinds=KINDS, hosts=(), durable=None, short=False
    ):
        # Who fills a backlog is refused for now, which no node logs: the checker would call it disorder, were the reply
        # lost. So nobody may.
        assert window <= app.limits.backlog
        self.world = world
        self.chance = random.Random(f"run {seed}")
        self.record = Record()
        self.topics = [f"{'short' if short else 'log'}:{number}" for number in range(topics)]
        self.short = short
        self.rate = rate
        self.window = window
        self.long = 1.5
        """Seconds that a fault takes, about."""
        self.killed = []
        self.wandering = True
        self.talking = False
        self.work = ()
        self.durable = world.broker != "memory" if durable is None else durable
        self.clients = [
            kind(self.record, f"{kind.__name__}{topic[-1]}.{number}", topic, world.ports, seed)
            for topic in self.topics
            for number in range(each)
            for kind in kinds
        ]
        self.clients += [
            member
            for host in hosts
            for number in range(each)
            for member in host(self.record, f"{host.__name__}.{number}", self.topics, world.ports, seed).members
        ]

    # -- what happens --------------------------------------------------------------------------------------------------

    async def __aenter__(self):
        for client in self.clients:
            client.begin()
        await self.until(lambda: all(client.joined for client in self.clients), "everybody came in", LAST)
        self.talking = True
        self.work = [asyncio.create_task(work) for work in (self.speak(), self.wander())]
        return self

    async def __aexit__(self, *exception):
        self.talking = False
        for task in self.work:
            task.cancel()
        await asyncio.gather(*(client.stop() for client in self.clients))

    async def speak(self):
        """Somebody says something, so often as the rate says; who waits for too many answers says nothing."""
        begun, said = time.monotonic(), 0
        while self.talking:
            due = int((time.monotonic() - begun) * self.rate)
            if due - said > self.rate:  # this process was busy: what was not said then is not said now
                said = due
            while said < due:
                client = self.chance.choice(self.clients)
                said += 1
                if len(client.unanswered) < self.window:
                    client.say()
            await asyncio.sleep(0.01)

    def watch_presence(self):
        """Some clients in each topic write down what they are told of it."""
        for client in self.clients:
            if type(client) in (Native, Packed):
                client.turns = self.record.turns[client.name, client.topic] = []

    async def wander(self):
        """Now and then somebody leaves, and comes back."""
        while self.talking:
            await asyncio.sleep(self.chance.uniform(0.0, WANDER))
            inside = [client for client in self.clients if client.joined and not client.leaving]
            wanderers = [client for client in inside if self.wandering and hasattr(client, "step_out")]
            if wanderers:
                self.chance.choice(wanderers).step_out()

    async def until(self, true, what, seconds):
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                for client in self.clients:
                    if client.task is not None and client.task.done():
                        client.task.result()  # a client of ours is at fault, and says how
                raise AssertionError(f"in {seconds:g} seconds it did not come to pass that {what}")
            await asyncio.sleep(0.05)

    @property
    def door(self):
        return self.chance.choice(self.world.doors)

    @property
    def back(self):
        return self.chance.choice(self.world.backs)

    async def during(self, share=1.0):
        """A fault lasts."""
        await asyncio.sleep(self.long * share * self.chance.uniform(0.5, 1.5))

    async def suffer(self, name, act):
        """One fault, from its beginning until it is healed."""
        self.record.faults.append((time.monotonic(), name))
        try:
            await act(self)
        finally:
            self.world.heal()

    async def misfortunes(self, count, quiet=0.7):
        """So many faults, of every kind that there is, in an order left to chance; some with another one beside."""
        possible = kinds_for(self.world.broker, self.durable)
        names = []
        while len(names) < count:
            names += self.chance.sample(sorted(possible), len(possible))
        for name in names[:count]:
            together = [self.suffer(name, possible[name])]
            if self.chance.random() < TOGETHER:
                other = self.chance.choice(sorted(NETWORK))
                together.append(self.suffer(other, NETWORK[other]))
            await asyncio.gather(*together)
            await asyncio.sleep(quiet * self.chance.uniform(0.5, 1.5))

    # -- how it ends ---------------------------------------------------------------------------------------------------

    async def finish(self):
        """Heal everything, let everybody speak and hear the last word, read the logs, and judge."""
        self.world.heal()
        self.talking = False
        await self.until(lambda: all(client.joined for client in self.clients), "everybody came back", LAST)
        await self.until(lambda: not any(client.unanswered for client in self.clients), "all was answered", LAST)
        for topic in self.topics:  # the last word, which everybody is to hear
            next(client for client in self.clients if client.topic == topic).say()
        await self.until(lambda: not any(client.unanswered for client in self.clients), "all was answered", LAST)
        try:
            await self.until(self.all_is_heard, "everybody heard everything", LAST)
        except AssertionError:
            pass  # the checker says who did not, and what
        for topic in self.topics:
            self.record.pasts.append(await self.past(topic))
        for node in self.world.nodes:
            errors = node.errors()
            for refused in node.refusals():
                self.record.sent[refused].again = True
            self.bound(f"errors logged by {node.log.stem}: {' '.join(errors[:1])[:1_500]}", len(errors), 0)
        self.record.ended = True
        return self.judge()

    def judge(self, settle=2.0, late=0.0):
        reach = SHORT // 3 if self.short else inf
        return check(self.record, Promise(self.durable, settle=settle, late=late, reach=reach))

    def all_is_heard(self):
        heads = {}
        for sent in self.record.sent.values():
            if sent.position is not None:
                epoch, offset = sent.position
                heads[sent.topic, epoch] = max(offset, heads.get((sent.topic, epoch), 0))
        return all(
            (at := position(client.position)) is not None and at[1] >= heads.get((client.topic, at[0]), 0)
            for client in self.clients
        )

    async def past(self, topic):
        """The whole log, page by page."""
        started = time.monotonic()
        line = await open_line(Http, self.world.nodes[0].port)
        epoch, head = position((await self.asked(line, topic, "past", {"after": None, "limit": 0}))["head"])
        at, entries = max(head - SHORT, 0) if self.short else 0, []
        while at < head:
            page = await self.asked(line, topic, "past", {"after": f"{epoch}:{at}", "limit": PAGE})
            assert page["said"], f"the log of {topic} ends at {at} of {head}"
            entries += [(position(where)[1], (by, n)) for where, by, n in page["said"]]
            at = entries[-1][0]
        line.abort()
        return Past(topic, started, epoch, entries)

    async def asked(self, line, topic, event, payload):
        headers = ("content-type: application/json",)
        status, body = await line.ask("POST", f"/topics/{topic}/{event}", headers, encode(payload), deadline=LAST)
        assert status == 200, body
        return decode(body)

    async def view(self, node, topic):
        """Who this node says is in the topic."""
        line = await open_line(Http, node.port)
        keys = (await self.asked(line, topic, "who", {}))["keys"]
        line.abort()
        self.record.views.append(View(time.monotonic(), node.log.stem, topic, frozenset(keys)))

    async def views(self):
        """Of all nodes and topics, when everybody is there."""
        await self.until(lambda: all(client.joined for client in self.clients), "everybody is there", LAST)
        for node in self.world.nodes:
            for topic in self.topics:
                await self.view(node, topic)

    # -- what it was ---------------------------------------------------------------------------------------------------

    def bound(self, what, value, most):
        self.record.bounds.append(Bound(what, value, most))

    def numbers(self):
        events = [event for story in self.record.stories for event in story.events]
        resumed = [event.recovered for event in events if type(event) is Joined and not event.fresh]
        return {
            "clients": len(self.clients),
            "acknowledged": sum(sent.position is not None for sent in self.record.sent.values()),
            "delivered": sum(type(event) is Heard for event in events),
            "read in the logs": sum(len(past.entries) for past in self.record.pasts),
            "faults": len(self.record.faults),
            "kinds of faults": len({name for _, name in self.record.faults}),
            "left and joined again": sum(type(event) is Left for event in events),
            "came back": len(resumed),
            "recovered": sum(recovered is True for recovered in resumed),
        }
