"""One topic with presence, as this node tells it: the roster's changes, in rounds.

The first change is told at the end of the tick, those that follow it together, a little later. So five thousand joins
in a second are some ten frames for each member, not five thousand.

A member is told the whole state once, after the reply to its join, and from then on the differences to it. All who
hear the same differences are in a room of the topic that has no name a channel could give, ``topic##``: so their frames
are encoded once, and stand in one order with everything else that is said in the topic. Nothing of it is in the log.
"""

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from hubbub.bodies import encode
from hubbub.envelope import Envelope, seal
from hubbub.history import NOWHERE
from hubbub.presence import Changes, Roster, Row, written

if TYPE_CHECKING:
    from hubbub.attendance import Attendance, Attendee

PACE = 0.1
"""Seconds between two rounds in a small topic: what a person still takes for "at once"."""
CROWD = 5_000.0
"""Members that make it a second more. A round costs a frame for each of them, so its price a second stays level."""
BELOW = 0.8
"""A list that was given up for a count comes back when so much of the bound is left: not at each coming and going."""
SETTLE = 0.25
"""Seconds before a hook is called where there are other nodes: by then they agree whose call it is."""
VISIT = 10.0
"""Seconds that a topic is kept which was only asked about: who asks once asks again."""

STATE, DIFF, COUNT = "presence_state", "presence_diff", "presence_count"


class Present(msgspec.Struct, frozen=True):
    """Who is here: ``count`` keys, and the metas of each. Of a topic with more than ``presence_list`` keys, ``who`` has
    only so many."""

    count: int
    who: dict[str, list[dict[str, Any]]]


class Terms(msgspec.Struct, frozen=True):
    """What a channel class says of presence: the grace for who leaves, how many keys are told by name, and whether it
    wants to hear of keys that come and go."""

    grace: float
    listed: int
    online: bool
    offline: bool


class Gathering:
    """Who is in one topic, and who of this node is told."""

    def __init__(self, attendance: "Attendance", name: str, terms: Terms) -> None:
        self.attendance = attendance
        self.name = name
        self.terms = terms
        self.roster = Roster(attendance.node, terms.grace, attendance.numbers)
        self.attendees: set[Attendee] = set()
        self.newcomers: dict[Attendee, None] = {}
        """Those who have joined and have not been told the state yet."""
        self.watchers: dict[str, set[Attendee]] = {}
        self.deadline: float | None = None
        self.room = f"{name}##"
        self._envelope = Envelope(room="#")
        self._brief = False
        """Whether it is so large that members are told a count instead of a list."""
        self._count = 0
        self._state: bytes | None = None
        self._next = 0.0
        self._soon = False
        self._opening: asyncio.Task[None] | None = None
        self._visited = 0.0
        self._settling: dict[str, asyncio.TimerHandle] = {}
        """Keys that came, until it is clear which node calls the hook."""

    async def ready(self) -> None:
        """Wait until this node has heard from the others. Raises BrokerError."""
        abroad = self.attendance.abroad
        if abroad is not None:
            if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
                self._opening = asyncio.get_running_loop().create_task(abroad.open(self))
                self._opening.add_done_callback(self._opened)
            await asyncio.shield(self._opening)

    def _opened(self, opening: "asyncio.Task[None]") -> None:
        if opening.cancelled():
            return
        opening.exception()  # told to those who wait for it, if anybody does
        self.tick(self.attendance.deadlines.now())

    @property
    def _is_opening(self) -> bool:
        return self._opening is not None and not self._opening.done()

    def visit(self) -> None:
        """Somebody asks who is here: be kept for a while."""
        self._visited = self.attendance.deadlines.now() + VISIT
        self._wake(self._visited)

    def present(self) -> Present:
        keys = itertools.islice(self.roster, self.terms.listed)
        who = {key: [msgspec.json.decode(row.meta) for row in self.roster.shown(key)] for key in keys}
        return Present(len(self.roster), who)

    # -- rounds ----------------------------------------------------------------------------------------------------

    def touch(self) -> None:
        """Something changed: let it be told in the next round."""
        if self._soon:
            return
        now = self.attendance.deadlines.now()
        if now >= self._next:
            self._soon = True
            asyncio.get_running_loop().call_soon(self.tick, now)
        else:
            self._wake(self._next)

    def tick(self, now: float) -> None:
        self._soon = False
        self.deadline = None
        if self._is_opening:
            return  # what is known is half of it
        self.roster.expire(now)
        if self.roster.changed or self.newcomers:
            if now >= self._next:
                self._next = now + PACE + len(self.roster) / CROWD
                self._round(now)
            else:
                self._wake(self._next)
        for later in (self.roster.deadline, self._visited):
            if later is not None and later > now:
                self._wake(later)
        self.retire()

    def _wake(self, at: float) -> None:
        if self.deadline is None or at < self.deadline:
            self.deadline = at
            self.attendance.deadlines.watch(self)

    def retire(self) -> None:
        """End, if nobody of this node is here, nor was lately."""
        attendance, roster = self.attendance, self.roster
        if self.attendees or roster.sheets[roster.node].rows or roster.changed or self._settling or self._is_opening:
            return
        if self._visited <= attendance.deadlines.now() and attendance.gatherings.get(self.name) is self:
            self.deadline = None
            del attendance.gatherings[self.name]
            if attendance.abroad is not None:
                attendance.abroad.close(self)

    def _round(self, now: float) -> None:
        delta = self.roster.delta(now)
        if delta is not None and self.attendance.abroad is not None:
            self.attendance.abroad.tell(self, delta)
        changes = self.roster.changes()
        if changes.joins or changes.leaves:
            self._state = None
            self._tell(changes)
            self._tell_watchers(changes)
        self._call(changes)
        newcomers, self.newcomers = self.newcomers, {}
        for attendee in newcomers:
            self._greet(attendee)

    # -- hooks -----------------------------------------------------------------------------------------------------

    def _call(self, changes: Changes) -> None:
        """Each node sees the same keys come and go; one of them calls the hook."""
        attendance, terms, abroad = self.attendance, self.terms, self.attendance.abroad
        for key, node in changes.online if terms.online else ():
            if abroad is None:
                attendance.call(self, key, "online", (key,))
            elif node == attendance.node:  # another may have thought the same
                loop = asyncio.get_running_loop()
                self._settling[key] = loop.call_later(SETTLE, self._settle, key)
        for key, seen, node in changes.offline:
            settling = self._settling.pop(key, None)
            if settling is not None:
                settling.cancel()
            elif terms.offline and (abroad is None or abroad.speaks(self, node)):
                attendance.call(self, key, "offline", (key, seen))

    def settle(self) -> None:
        """Call now what waits to be called."""
        for key, timer in list(self._settling.items()):
            timer.cancel()
            self._settle(key)

    def _settle(self, key: str) -> None:
        del self._settling[key]
        if key in self.roster and self.roster.oldest(key) == self.attendance.node:
            self.attendance.call(self, key, "online", (key,))
        self.retire()

    # -- what is told ----------------------------------------------------------------------------------------------

    def _tell(self, changes: Changes) -> None:
        count = len(self.roster)
        brief = count > self.terms.listed * (BELOW if self._brief else 1)
        heard = self.room in self.attendance.hub.topics
        if brief != self._brief:
            self._brief = brief
            self._publish(self.state())
        elif heard and not brief:
            self._publish(_event(DIFF, _diff(changes.joins, changes.leaves)))
        if brief and count != self._count:
            self._publish(self.count())
        self._count = count

    def _publish(self, body: bytes) -> None:
        """To the members of this node who hear of everyone: each node tells its own."""
        self.attendance.hub.deliver(self.name, seal(self._envelope, body), NOWHERE)

    def _tell_watchers(self, changes: Changes) -> None:
        if not self.watchers:
            return
        told: dict[Attendee, tuple[dict[str, list[Row]], dict[str, list[Row]]]] = {}
        for part, rows in enumerate((changes.joins, changes.leaves)):
            for key in rows.keys() & self.watchers.keys():
                for attendee in self.watchers[key]:
                    told.setdefault(attendee, ({}, {}))[part][key] = rows[key]
        for attendee, (joins, leaves) in told.items():
            attendee.push(_event(DIFF, _diff(joins, leaves)))

    def state(self) -> bytes:
        """What has been told so far, as a body; nobody by name where a count is told instead."""
        if self._state is None:
            self._state = _event(STATE, b"{}" if self._brief else _listed(self.roster.told))
        return self._state

    def count(self) -> bytes:
        return encode((COUNT, {"count": len(self.roster)}))

    def welcome(self, attendee: "Attendee") -> None:
        """Tell it the state: now, if all that is in it has been told to the others; else with the next round."""
        if self.roster.settled:
            self._greet(attendee)
        else:
            self.newcomers[attendee] = None
            self.touch()

    def _greet(self, attendee: "Attendee") -> None:
        hub = self.attendance.hub
        attendee.greeted = True
        if attendee.watched is None:
            attendee.push(self.state())
            if self._brief:
                attendee.push(self.count())
            hub.enter(attendee.connection, self.room, "disconnect")
            return
        hub.leave(attendee.connection, self.room)
        for key in attendee.watched:
            self.watchers.setdefault(key, set()).add(attendee)
        told = self.roster.told
        attendee.push(_event(STATE, _listed({key: told[key] for key in attendee.watched if key in told})))

    def overlook(self, attendee: "Attendee") -> None:
        """It no longer watches what it watched."""
        for key in attendee.watched or ():
            watching = self.watchers.get(key)
            if watching is not None:
                watching.discard(attendee)
                if not watching:
                    del self.watchers[key]


def _event(name: str, payload: bytes) -> bytes:
    return b'["' + name.encode() + b'",' + payload + b"]"


def _listed(told: Mapping[str, Mapping[str, Row]]) -> bytes:
    return written({key: rows.values() for key, rows in told.items()})


def _diff(joins: Mapping[str, Iterable[Row]], leaves: Mapping[str, Iterable[Row]]) -> bytes:
    return b'{"joins":' + written(joins) + b',"leaves":' + written(leaves) + b"}"
