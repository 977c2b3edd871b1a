"""Bugs, each planted into a real run: into a client's line, into the broker, or into the application itself.

They are the checker's own test: one that it does not find in every run is one that it would not find in earnest.
"""

import json

from hubbub.attendance import Attendee
from hubbub.brokers.base import Done
from hubbub.errors import BrokerError
from hubbub.history import Keep, Page, Position

from .checker import Promise
from .stage import SETTLE, TOPICS, Bug


class One(Bug):
    """Something happens to one publication of many on its way to one client."""

    verdict = "lost"
    among = 200

    def __init__(self, chance):
        super().__init__(chance)
        self.left = chance.randrange(self.among // 2, self.among)

    def line(self, client, frame):
        if '"event":"said"' not in frame:
            return (frame,)
        self.left -= 1
        return self.befall(client, frame) if self.left == 0 else (frame,)

    def befall(self, client, frame):
        raise NotImplementedError


class DropsOneInTenThousand(One):
    among = 10_000
    clients = 10
    messages = 560

    def befall(self, client, frame):
        return ()


class Doubles(One):
    verdict = "double"

    def befall(self, client, frame):
        return frame, frame


class Swaps(One):
    verdict = "order"
    held = None

    def line(self, client, frame):
        if self.held is not None and self.held[0] is client and '"event":"said"' in frame:
            (_, first), self.held = self.held, None
            return frame, first
        return super().line(client, frame)

    def befall(self, client, frame):
        self.held = (client, frame)
        return ()


class Spoils(One):
    verdict = "phantom"

    def befall(self, client, frame):
        told = json.loads(frame)
        told["payload"]["sum"] ^= 1 << self.chance.randrange(32)
        return (json.dumps(told),)


class Strays(One):
    """It goes to a client of another topic as well."""

    verdict = "phantom"

    def befall(self, client, frame):
        stranger = self.chance.choice([other for other in client.stage.clients if other.topic != client.topic])
        stranger.hear(json.loads(frame))
        return (frame,)


class ForgetsItsPlace(One):
    verdict = "offsets"

    def befall(self, client, frame):
        told = json.loads(frame)
        told["position"] = ""
        return (json.dumps(told),)


class ComesBackInSilence(Bug):
    """Who comes back is not told how that went."""

    verdict = "gap"

    def line(self, client, frame):
        return (frame.replace('"recovered":true,', "").replace(',"recovered":true', ""),)


class LiveBeforeWelcome(Bug):
    """What is live arrives before the answer to the join."""

    verdict = "authority"

    def __init__(self, chance):
        super().__init__(chance)
        self.early = {}

    def line(self, client, frame):
        if '"reply":"join"' in frame and '"recovered":true' in frame:
            self.early[client.name] = frame
            return ()
        welcome = self.early.pop(client.name, None)
        return (frame,) if welcome is None else (frame, welcome)


# -- brokers that do wrong --------------------------------------------------------------------------------------------


class DeliversNot(Bug):
    """One publication is stored, acknowledged, and delivered to nobody."""

    verdict = "lost"

    class Broker(Bug.Broker):
        async def start(self, deliver):
            left = self.chance.randrange(20, 60)

            def sometimes(topic, data, position):
                nonlocal left
                left -= 1
                if left != 0:
                    deliver(topic, data, position)

            await super().start(sometimes)


class UsesOffsetsAgain(Bug):
    """A restart gives it back older than it was: the last publications are gone, their offsets are given again."""

    verdict = "agreement"

    class Broker(Bug.Broker):
        async def close(self):
            await super().close()
            for log in self._logs.values():
                for _ in range(self.chance.randrange(1, 6)):
                    log.entries.pop()
                    log.head -= 1


class KeepsItsEpoch(Bug):
    """It may lose everything when it is started again, and says so; but not by a new epoch."""

    verdict = "agreement"
    promise = Promise(durable=False, settle=SETTLE)

    class Broker(Bug.Broker):
        async def close(self):
            await super().close()
            for log in self._logs.values():
                log.entries.clear()
                log.head = 0


class AcknowledgesTooEarly(Bug):
    """What is acknowledged is stored a little later, or, if it is stopped before, not at all."""

    verdict = "lost"

    class Broker(Bug.Broker):
        def __init__(self, chance, logs):
            super().__init__(chance, logs)
            self.late = []

        def publish(self, topic, data, keep, id=None):
            if keep is None or topic not in self._logs:
                return super().publish(topic, data, keep, id)
            log = self._logs[topic]
            position = Position(log.epoch, log.head + 1 + sum(each[0] == topic for each in self.late))
            self.late.append((topic, data, keep, id))
            if len(self.late) > 8:
                self.store()
            return Done(position)

        def store(self):
            while len(self.late) > 2:
                super().publish(*self.late.pop(0))


class StoresARetryTwice(Bug):
    verdict = "double"

    class Broker(Bug.Broker):
        def publish(self, topic, data, keep, id=None):
            return super().publish(topic, data, keep, None)


class RefusesWhatItDelivers(Bug):
    verdict = "phantom"

    class Broker(Bug.Broker):
        async def publish(self, topic, data, keep, id=None):
            position = await super().publish(topic, data, keep, id)
            if position.offset == 30:
                raise BrokerError("it could not be stored")
            return position


class AcknowledgesAnotherPlace(Bug):
    verdict = "double"

    class Broker(Bug.Broker):
        def publish(self, topic, data, keep, id=None):
            position = super().publish(topic, data, keep, id).position
            return Done(Position(position.epoch, position.offset + (position.offset % 20 == 0)))


class Reading(Bug.Broker):
    """One whose answer to who comes back is wrong."""

    async def read(self, topic, *, after=None, before=None, limit=1_000):
        page = await super().read(topic, after=after, before=before, limit=limit)
        return page if after is None else self.wrong(topic, after, page)

    def wrong(self, topic, after, page):
        raise NotImplementedError


class RecoversInPart(Bug):
    """Who comes back gets all that it missed, but for the first of it."""

    verdict = "lost"

    class Broker(Reading):
        def wrong(self, topic, after, page):
            return Page(page.entries[len(page.entries) > 1 :], page.position, page.complete)


class RecoversTooMuch(Bug):
    """Who comes back gets its last one once more."""

    verdict = "double"

    class Broker(Reading):
        def wrong(self, topic, after, page):
            first = after.offset - (page.entries[0].offset - 1 if page.entries else after.offset)
            entries = [entry for _, entry in self._logs[topic].entries][after.offset - 1 + first :]
            return Page(tuple(entries), page.position, page.complete)


class RecoversOutOfOrder(Bug):
    verdict = "order"

    class Broker(Reading):
        def wrong(self, topic, after, page):
            return Page(page.entries[::-1], page.position, page.complete)


class RecoversNothing(Bug):
    """It promises that all can be had, and has let go of it."""

    verdict = "told"

    class Broker(Bug.Broker):
        def publish(self, topic, data, keep, id=None):
            return super().publish(topic, data, keep and Keep(count=1), id)


class ReadsWhatWas(Bug):
    """A page of the log ends before what was acknowledged already."""

    verdict = "real time"

    class Broker(Bug.Broker):
        async def read(self, topic, *, after=None, before=None, limit=1_000):
            page = await super().read(topic, after=after, before=before, limit=limit)
            return page if after is not None else Page(page.entries[:-3], page.position, page.complete)


class ReadsAnotherOrder(Bug):
    """The log is not what was delivered."""

    verdict = "agreement"

    class Broker(Bug.Broker):
        def publish(self, topic, data, keep, id=None):
            done = super().publish(topic, data, keep, id)
            log = self._logs[topic]
            if log.head == 40:
                (first, one), (second, other) = log.entries[-2], log.entries[-1]
                log.entries[-2] = (first, type(one)(one.offset, other.data))
                log.entries[-1] = (second, type(other)(other.offset, one.data))
            return done


# -- an application that does wrong -----------------------------------------------------------------------------------


class SendsAfterLeave(Bug):
    """Who has left is let in again by nobody's wish."""

    verdict = "authority"

    def started(self, app):
        for topic in TOPICS:
            blueprint, _ = app.reception.channels.find(topic)
            blueprint.leave = lambda channel, _: app.hub.enter(channel.connection, channel.topic, "disconnect")


class Ghost(Attendee):
    __slots__ = ()

    async def untrack(self, rest=0.0):
        """It stays."""

    def leave(self, reason):
        """Here, too."""


class Unseen(Attendee):
    __slots__ = ()

    async def track(self, key, meta):
        """It is shown to nobody."""


class Flapping(Attendee):
    __slots__ = ()

    def leave(self, reason):
        """Without grace: who is on its way back is seen to leave."""
        super().leave("kicked")


class Attending(Bug):
    """Some clients are another kind of attendee."""

    verdict = "presence"
    presence = True
    kind = Attendee

    def started(self, app):
        attend = app.attendance.attend

        def attending(*given):
            attendee = attend(*given)
            attendee.__class__ = self.kind
            return attendee

        app.attendance.attend = attending


class LeavesAGhost(Attending):
    kind = Ghost


class MissesAMember(Attending):
    kind = Unseen


class Flaps(Attending):
    kind = Flapping


class Leaks(Bug):
    """Clients that have gone are not forgotten."""

    verdict = "bounds"

    class Hoard(dict):
        def pop(self, key, default=None):
            return self.get(key, default)

    def started(self, app):
        app.reception.connections = self.Hoard(app.reception.connections)


BUGS = (
    DropsOneInTenThousand, Doubles, Swaps, Spoils, Strays, ForgetsItsPlace, ComesBackInSilence, LiveBeforeWelcome,
    DeliversNot, UsesOffsetsAgain, KeepsItsEpoch, AcknowledgesTooEarly, StoresARetryTwice, RefusesWhatItDelivers,
    AcknowledgesAnotherPlace, RecoversInPart, RecoversTooMuch, RecoversOutOfOrder, RecoversNothing, ReadsWhatWas,
    ReadsAnotherOrder, SendsAfterLeave, LeavesAGhost, MissesAMember, Flaps, Leaks,
)  # fmt: skip
