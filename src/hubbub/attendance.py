"""Who is here, for all topics of this node: the gatherings, and the clients in them.

A *gathering* is a topic with presence that has clients on this node; an *attendee* is one of these clients: it stands
behind the verbs of its channel, ``track``, ``update``, ``untrack``, ``watch``.
"""

import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from hubbub.abroad import Abroad
from hubbub.bodies import encode, is_json
from hubbub.brokers.base import Done
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines
from hubbub.eager import Eager
from hubbub.errors import Invalid, TooBig, TooMany, UsageError
from hubbub.gathering import Gathering, Present, Terms
from hubbub.history import NOWHERE
from hubbub.hub import Hub
from hubbub.limits import Limits
from hubbub.messages import Push
from hubbub.nodes import Nodes
from hubbub.presence import HANDOVER

DONE: Awaitable[Any] = Done(NOWHERE)
Hook = Callable[[str, str, tuple[Any, ...]], Coroutine[Any, Any, None]]
"""Calls ``online`` or ``offline`` of a topic's channel; never raises."""


class House(Protocol):
    """The application, as far as presence needs it."""

    hub: Hub
    nodes: Nodes
    deadlines: Deadlines
    eager: Eager
    limits: Limits

    def complain(self, what: str, error: BaseException) -> None:
        """Tell the operator."""


class Attendance:
    """All gatherings of one node."""

    def __init__(self, house: House, hook: Hook) -> None:
        self.node = house.nodes.id
        self.hub = house.hub
        self.limits = house.limits
        self.numbers = itertools.count(1)
        self.gatherings: dict[str, Gathering] = {}
        self.abroad: Abroad | None = None
        """The other nodes, where the broker joins several."""
        self.ending = False
        self._house = house
        self._hook = hook
        self._calls: dict[tuple[str, str], deque[tuple[str, tuple[Any, ...]]]] = {}

    @property
    def deadlines(self) -> Deadlines:
        return self._house.deadlines

    async def start(self) -> None:
        """Hear of the other nodes, if the broker joins several. Raises BrokerError."""
        house = self._house
        if house.hub.broker.distributed:
            self.abroad = Abroad(house.nodes, house.hub.broker, self, house.complain)
            await self.abroad.start()

    def goodbye(self) -> None:
        """This node ends: its clients may be on their way to another one."""
        if self.ending:
            return
        for gathering in self.gatherings.values():
            gathering.settle()
        if self.abroad is not None:
            self.abroad.goodbye()
        self.ending = True

    def attend(self, topic: str, terms: Terms, connection: Connection) -> "Attendee":
        """A client that is joining."""
        attendee = Attendee(self._gathering(topic, terms), connection)
        attendee.gathering.attendees.add(attendee)
        return attendee

    async def present(self, topic: str, terms: Terms | None) -> Present:
        """Who is in this topic. A node that has no client there asks the others."""
        gathering = self.gatherings.get(topic)
        if gathering is None:
            if self.abroad is None or terms is None:
                return Present(0, {})
            gathering = self._gathering(topic, terms)
        gathering.visit()
        await gathering.ready()
        return gathering.present()

    def _gathering(self, topic: str, terms: Terms) -> Gathering:
        gathering = self.gatherings.get(topic)
        if gathering is None:
            gathering = self.gatherings[topic] = Gathering(self, topic, terms)
        return gathering

    def call(self, gathering: Gathering, key: str, event: str, arguments: tuple[Any, ...]) -> None:
        """Call a hook, after those that were called of the same key before."""
        if self.ending:
            return
        topic = gathering.name
        calls = self._calls.get((topic, key))
        if calls is not None:
            calls.append((event, arguments))
            return
        self._calls[topic, key] = deque([(event, arguments)])
        self._house.eager.start(self._work(topic, key))

    async def _work(self, topic: str, key: str) -> None:
        calls = self._calls[topic, key]
        try:
            while calls:
                await self._hook(topic, *calls.popleft())
        finally:
            del self._calls[topic, key]


class Attendee:
    """One client in one gathering: its rows, and what it hears."""

    __slots__ = ("connection", "gathering", "gone", "greeted", "rows", "watched")

    def __init__(self, gathering: Gathering, connection: Connection) -> None:
        self.gathering = gathering
        self.connection = connection
        self.rows: dict[str, int] = {}
        """Its rows in the roster, by key."""
        self.watched: frozenset[str] | None = None
        """The keys it wants to hear of; None for all."""
        self.greeted = False
        self.gone = False

    def push(self, body: bytes) -> None:
        self.connection.tell(Push(self.gathering.name, body))

    # -- the verbs of a channel ------------------------------------------------------------------------------------

    def track(self, key: str | None, meta: Mapping[str, Any]) -> Awaitable[None]:
        """Raises UsageError for what no meta can be; Invalid, TooBig and TooMany at what a client made too large."""
        if self.gone:
            return DONE
        limits, roster = self.gathering.attendance.limits, self.gathering.roster
        key = self._own_key() if key is None else key
        text = self._written(meta)
        now, wall = self._times()
        number = self.rows.get(key)
        if number is not None:
            roster.update(number, text, now, wall)
        else:
            if not 0 < len(key) <= limits.topic_length:
                raise Invalid(f"a presence key has 1 to {limits.topic_length} characters")
            if len(self.rows) >= limits.tracked:
                raise TooMany(f"more than {limits.tracked} presence keys of one client in a topic")
            if len(roster.shown(key)) >= limits.metas:
                raise TooMany(f"more than {limits.metas} connections of one presence key in a topic")
            self.rows[key] = roster.track(key, text, now, wall)
        self.gathering.touch()
        return DONE

    def update(self, meta: Mapping[str, Any]) -> Awaitable[None]:
        """Change these fields of its metas. Raises as ``track`` does, and UsageError when it tracks nothing."""
        if self.gone:
            return DONE
        if not self.rows:
            raise UsageError("there is nothing to update: call track first")
        roster = self.gathering.roster
        for number in self.rows.values():
            old = msgspec.json.decode(roster.sheets[roster.node].rows[number].meta)
            roster.update(number, self._written({**old, **meta}), *self._times())
        self.gathering.touch()
        return DONE

    def untrack(self, rest: float | None = 0.0) -> Awaitable[None]:
        """It is no longer here."""
        for number in self.rows.values():
            self.gathering.roster.untrack(number, *self._times(), rest)
        if self.rows:
            self.rows = {}
            self.gathering.touch()
        return DONE

    def watch(self, keys: Iterable[str] | None) -> Awaitable[None]:
        """Hear of these keys alone; with None, of all."""
        wanted = None if keys is None else frozenset(keys)
        limit = self.gathering.attendance.limits.watched
        if wanted is not None and len(wanted) > limit:
            raise TooMany(f"more than {limit} presence keys to watch")
        if not self.gone:
            self.gathering.overlook(self)
            self.watched = wanted
            if self.greeted:
                self.gathering.welcome(self)
        return DONE

    # -- its life --------------------------------------------------------------------------------------------------

    def ready(self) -> Awaitable[None]:
        """Wait until this node knows who is here. Raises BrokerError."""
        return self.gathering.ready()

    def admit(self) -> None:
        """It has joined, and been told so."""
        if not self.gone:
            self.gathering.welcome(self)

    def leave(self, reason: str) -> None:
        """It is out. Who was put out is so at once; others may be on their way back. Once is enough."""
        if self.gone:
            return
        gathering = self.gathering
        if reason in ("kicked", "banned", "refused"):
            self.untrack()
        else:
            self.untrack(HANDOVER if gathering.attendance.ending else None)
        self.gone = True
        gathering.attendees.discard(self)
        gathering.newcomers.pop(self, None)
        gathering.overlook(self)
        gathering.attendance.hub.leave(self.connection, gathering.room)
        gathering.retire()

    def _own_key(self) -> str:
        identity = self.connection.identity
        return self.connection.id if identity is None else str(getattr(identity, "id", identity))

    def _times(self) -> tuple[float, float]:
        return self.gathering.attendance.deadlines.now(), time.time()

    def _written(self, meta: Mapping[str, Any]) -> bytes:
        if "phx_ref" in meta or "phx_ref_prev" in meta:
            raise UsageError("phx_ref and phx_ref_prev are names of ours in a meta")
        body = encode((meta,))
        if not is_json(body):
            raise UsageError("a meta is JSON, and holds no bytes")
        limit = self.gathering.attendance.limits.meta
        if len(body) - 2 > limit:
            raise TooBig(f"a presence meta of {len(body) - 2} bytes; {limit} are allowed")
        return body[1:-1]
