"""Who is here, for all topics of this node: the gatherings, and the clients in them.

A *gathering* is a topic with presence that has clients on this node; an *attendee* is one of these clients: it stands
behind the verbs of its channel, ``track``, ``update``, ``untrack``, ``watch``.
"""

import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import msgspec

from hubbub.brokers.base import Done
from hubbub.connection import Connection
from hubbub.deadlines import Deadlines
from hubbub.errors import Invalid, TooBig, TooMany, UsageError
from hubbub.gathering import Gathering, Present, Terms
from hubbub.history import NOWHERE
from hubbub.hub import Hub
from hubbub.limits import Limits
from hubbub.messages import Push, encode, is_json
from hubbub.presence import Delta

DONE: Awaitable[Any] = Done(NOWHERE)
Hook = Callable[[str, str, tuple[Any, ...]], Coroutine[Any, Any, None]]
"""Calls ``online`` or ``offline`` of the channel of a topic; never raises."""


class Attendance:
    """All gatherings of one node. ``spread`` is told of each delta of this node's rows."""

    def __init__(
        self,
        node: str,
        hub: Hub,
        deadlines: Deadlines,
        limits: Limits,
        start: Callable[[Coroutine[Any, Any, None]], object],
        hook: Hook,
    ) -> None:
        self.node = node
        self.hub = hub
        self.deadlines = deadlines
        self.limits = limits
        self.numbers = itertools.count(1)
        self.gatherings: dict[str, Gathering] = {}
        self.spread: Callable[[Gathering, Delta], None] | None = None
        self._start = start
        self._hook = hook
        self._calls: dict[tuple[str, str], deque[tuple[str, tuple[Any, ...]]]] = {}

    def attend(self, topic: str, terms: Terms, connection: Connection) -> "Attendee":
        """A client that is joining."""
        gathering = self.gatherings.get(topic)
        if gathering is None:
            gathering = self.gatherings[topic] = Gathering(self, topic, terms)
        attendee = Attendee(gathering, connection)
        gathering.attendees.add(attendee)
        return attendee

    async def present(self, topic: str) -> Present:
        gathering = self.gatherings.get(topic)
        return gathering.present() if gathering is not None else Present(0, {})

    def call(self, topic: str, key: str, event: str, arguments: tuple[Any, ...]) -> None:
        """Call a hook, after those that were called of the same key before."""
        calls = self._calls.get((topic, key))
        if calls is not None:
            calls.append((event, arguments))
            return
        self._calls[topic, key] = deque([(event, arguments)])
        self._start(self._work(topic, key))

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
            if roster.rows(key) >= limits.metas:
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

    def admit(self) -> None:
        """It has joined, and been told so."""
        if not self.gone:
            self.gathering.welcome(self)

    def leave(self, reason: str) -> None:
        """It is out. Who was put out is so at once; others may be on their way back. Once is enough."""
        if self.gone:
            return
        gathering = self.gathering
        self.untrack(0.0 if reason in ("kicked", "refused") else None)
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
