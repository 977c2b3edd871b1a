"""What clients of every kind have in common: they come back by themselves, and go on where they were.

Each speaks in one topic: what it says it says again, under the same number, until it is acknowledged. What it sends and
hears goes into the record, and nothing is judged here.
"""

import asyncio
import random
import time
from collections import Counter

import msgspec

from .record import ACKED, Broken, Joined, Left, Turn, checksum, position
from .wires import DEADLINE

PAUSE = 0.1
"""Seconds before a client knocks again: up to this at first, then twice as many, up to ``LONGEST``."""
LONGEST = 1.0
AGAIN = 0.3
"""Seconds after which something that was refused for now is said again."""

encode = msgspec.json.encode
decode = msgspec.json.decode


class Life:
    """What comes in by a door, stays until its line is gone, and comes back. ``doors`` are ports to knock at."""

    def __init__(self, name, doors, seed):
        self.name = name
        self.doors = doors
        self.chance = random.Random(f"{name} {seed}")
        self.door = self.chance.randrange(len(doors))
        self.line = None
        self.task = None
        self.paused = False
        self.entered = 0
        """How often it was let in."""

    def begin(self):
        self.task = asyncio.get_running_loop().create_task(self.live())

    async def stop(self):
        self.task.cancel()
        await asyncio.wait((self.task,), timeout=DEADLINE)
        self.hang_up()

    async def live(self):
        pause = PAUSE
        while True:
            before = self.entered
            try:
                await self.visit(self.doors[self.door])
            except (OSError, TimeoutError):
                pass
            finally:
                self.hang_up()
                self.gone("the line broke")
            self.door = (self.door + 1) % len(self.doors)
            pause = PAUSE if self.entered > before else min(2 * pause, LONGEST)
            await asyncio.sleep(self.chance.uniform(0.2, 1.0) * pause)

    async def visit(self, port):
        """Come in, and stay until the line is gone. Raises OSError, TimeoutError."""
        raise NotImplementedError

    def gone(self, why):
        """It is no longer in."""
        raise NotImplementedError

    def hang_up(self):
        if self.line is not None:
            self.line.abort()
            self.line = None

    def pause(self, on):
        """Read nothing, as a phone in a pocket."""
        self.paused = on
        if self.line is not None:
            self.line.pause(on)


class Client(Life):
    """One client in one topic."""

    kind = ""
    tracked = True

    def __init__(self, record, name, topic, doors, seed=0):
        super().__init__(name, doors, seed)
        self.record = record
        self.topic = topic
        self.story = record.story(name, self.kind, topic)
        self.position = None
        self.joined = False
        self.leaving = False
        self.started = 0.0
        self.returns = []
        """Pairs of times: when it lost its line, and when it was back."""
        self.lost_at = None
        self.n = 0
        self.unanswered = {}
        self.pad = ""
        """What makes its messages longer."""
        self.codes = Counter()
        """What it was refused with, and how often."""
        self.turns = None
        """What it is told of presence, if that is to be recorded."""
        self.present = {}
        """By key: the refs of its metas."""

    def gone(self, why):
        self.leaving = False
        if self.joined:
            self.joined = False
            self.lost_at = time.monotonic()
            self.story.events.append(Broken(self.lost_at, why))

    def let_in(self, told, recovered):
        """It is in its topic, and stands at this position."""
        now, asked = time.monotonic(), position(self.position)
        fresh = asked is None
        self.story.events.append(Joined(now, self.started, asked, recovered, position(told), fresh))
        if not recovered:
            self.position = told
        self.joined, self.leaving = True, False
        self.entered += 1
        if self.lost_at is not None:
            self.returns.append((self.lost_at, now))
            self.lost_at = None
        for n in list(self.unanswered):
            self.send(n, self.unanswered[n])

    # -- what it says and hears ----------------------------------------------------------------------------------------

    def say(self):
        self.n += 1
        n = self.n
        payload = {"by": self.name, "n": n, "sum": checksum(self.topic, self.name, n), "pad": self.pad}
        self.unanswered[n] = payload
        self.record.invoke(self.name, n, self.topic)
        if self.joined:
            self.send(n, payload)

    def send(self, n, payload):
        raise NotImplementedError

    def acknowledged(self, n, at):
        if self.unanswered.pop(n, None) is not None:
            sent = self.record.sent[self.name, n]
            sent.answered, sent.outcome, sent.position = time.monotonic(), ACKED, position(at)

    def out(self):
        """It has left its topic, and been told so: what comes now came too late."""
        self.joined = False
        self.story.events.append(Left(time.monotonic()))

    def refused(self, n, code):
        """For now: it is said again, behind what was said since."""
        self.codes[code] += 1
        if n in self.unanswered:
            self.record.sent[self.name, n].again = True
            asyncio.get_running_loop().call_later(AGAIN, self.again, n)

    def again(self, n):
        if self.joined and n in self.unanswered:
            self.send(n, self.unanswered[n])

    def heard(self, payload, at):
        self.position = at
        self.story.heard(payload, position(at))

    def presence(self, event, told):
        """Keep the list as phoenix.js does, and write down which keys appear and disappear by it."""
        if self.turns is None:
            return
        now = time.monotonic()
        if event == "presence_state":
            self.present = {key: refs(each) for key, each in told.items()}
            self.turns.append(Turn(now, frozenset(told), frozenset(), state=True))
        elif event == "presence_diff":
            joins = {key for key, each in told["joins"].items() if self.appear(key, refs(each))}
            leaves = {key for key, each in told["leaves"].items() if self.disappear(key, refs(each))}
            if joins or leaves:
                self.turns.append(Turn(now, frozenset(joins), frozenset(leaves)))

    def appear(self, key, come):
        """Whether that is to be told: the key was not there, or this of it was already."""
        there = self.present.setdefault(key, set())
        told = not there or bool(there & come)
        there |= come
        return told

    def disappear(self, key, gone):
        there = self.present.get(key, set())
        told = not there or not gone <= there or gone == there
        there -= gone
        if not there:
            self.present.pop(key, None)
        return told


def refs(told):
    return {meta["phx_ref"] for meta in told["metas"]}
