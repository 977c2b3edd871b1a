"""Who is in a topic, on which node; merge and diff. Pure.

A topic has a *roster* of rows on every node that has the topic: a row says that a key (a person, say) is there, with a
*meta*, a small JSON object about it. Several rows of one key are several connections of one person. It is a CRDT by the
simplest of rules:

1. A node is the only writer of its own rows. Each state of its part of the roster, its *sheet*, has a version that
   grows, so that of two states of a sheet everyone knows the newer.
2. Sheets travel as deltas from one version to a later one. A delta that has been seen, in whole, changes nothing; one
   that builds on a version that one has not is not merged, and the whole sheet is asked for.
3. A node that has not been heard for a lease is lost. Its rows are treated as if all its clients had left; should it
   be heard again, its sheet is asked for.
4. A row that left is shown for a time of *grace*. A row of the same key that comes within it takes its *seat*: with the
   same meta nobody is told anything, with another it is a change of the meta. Every node counts that time by itself.
5. Two nodes may give the same seat away at the same time. When they hear of each other, one of them gives its client
   another. Who had a seat before others is not shown again, even if word of it comes late: so *turns* are counted.
6. What members are told are differences between what they were told before and what is shown now.

Times are given: ``now`` is a monotonic clock, ``wall`` the time of day that other nodes can read too.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping

import msgspec

Place = tuple[str, int]
"""A node, and the number of a row in its sheet."""

HANDOVER = 30.0
"""Seconds that the rows of a node that said goodbye are shown: clients come back at a time that is theirs to choose."""


class Row(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One connection of a key. ``ref`` names it to clients, ``previous`` is what it was called before its last change.
    Its ``seat`` it may have from one that left: it is the ref of the first who had it, taken ``since`` then; ``turn``
    counts the nodes it has been handed to. ``left`` is when its client left, 0 while it is there; it is shown for
    ``rest`` more seconds then."""

    number: int
    key: str
    ref: str
    meta: bytes
    since: float
    seat: str
    turn: int = 0
    previous: str = ""
    left: float = 0.0
    rest: float = 0.0

    @property
    def first(self) -> str:
        """The node on which its seat was taken first."""
        return self.seat.rpartition(".")[0]


class Delta(msgspec.Struct, frozen=True, array_like=True, tag="delta"):
    """What changed in a node's sheet from the version ``base`` to ``version``. From 0 on it is the whole sheet."""

    node: str
    base: int
    version: int
    rows: tuple[Row, ...]


class Changes(msgspec.Struct, frozen=True):
    """What became different since it was last asked. ``online`` are keys that came, each with the node on which it came
    first; ``offline`` are keys that are gone, each with when it was last seen and on which node."""

    joins: dict[str, list[Row]]
    leaves: dict[str, list[Row]]
    online: list[tuple[str, str]]
    offline: list[tuple[str, float, str]]


class Sheet:
    """The rows of one node. ``open`` while that node has the topic."""

    __slots__ = ("open", "rows", "version")

    def __init__(self) -> None:
        self.open = True
        self.version = 0
        self.rows: dict[int, Row] = {}


class Roster:
    """Who is in one topic, as the node ``node`` knows it. ``numbers`` grow, and none comes twice in the life of the
    node: rows and versions are numbered with them, so that a roster can be thrown away and begun again."""

    __slots__ = (
        "_base", "_changed", "_dirty", "_keys", "_memory", "_numbers", "_order", "_parted", "_shown", "_until", "grace",
        "node", "sheets", "told",
    )  # fmt: skip

    def __init__(self, node: str, grace: float, numbers: Iterator[int]) -> None:
        self.node = node
        self.grace = grace
        self._memory = grace + HANDOVER
        """How long a row that has come to its end is remembered, if others may still show who had its seat before."""
        self._numbers = numbers
        self.sheets: dict[str, Sheet] = {node: Sheet()}
        """By node: also of those that have the topic and nobody in it."""
        self.sheets[node].version = next(numbers)  # what an earlier roster of this topic told is older
        self._base = 0
        """The version of the last delta."""
        self._changed: dict[int, Row] = {}
        self._keys: dict[str, dict[Place, Row]] = {}
        self._shown: dict[str, tuple[Row, ...]] = {}
        self._until: dict[Place, float] = {}
        """Until when a row that left is shown, or remembered."""
        self._order: list[tuple[float, Place]] = []
        self.told: dict[str, dict[str, Row]] = {}
        """What members have been told, and not been told is over: by key and ref."""
        self._dirty: set[str] = set()
        self._parted: dict[str, tuple[float, str]] = {}
        """By key, the row that left last: when, and of which node."""

    # -- one's own rows --------------------------------------------------------------------------------------------

    def track(self, key: str, meta: bytes, now: float, wall: float) -> int:
        """A row for a client of this node, in the seat of one that left lately if there is one. Gives its number."""
        free = self._free(key, meta)
        number = free[0][1] if free is not None and free[0][0] == self.node else next(self._numbers)
        self._write(self._seated(number, key, meta, free, wall), now, wall)
        return number

    def _seated(self, number: int, key: str, meta: bytes, free: tuple[Place, Row] | None, wall: float) -> Row:
        """A row in the seat of this one, or in a new one."""
        if free is None:
            ref = self._ref(next(self._numbers))
            return Row(number, key, ref, meta, wall, ref)
        (node, _), left = free
        turn = left.turn + (node != self.node)
        if left.meta == meta:
            return Row(number, key, left.ref, meta, left.since, left.seat, turn, left.previous)
        ref = self._ref(next(self._numbers))
        return Row(number, key, ref, meta, left.since, left.seat, turn, left.ref)

    def _free(self, key: str, meta: bytes) -> tuple[Place, Row] | None:
        """Who left and whose seat is free: best one with this meta, and the one that would be gone first."""
        if key not in self._shown:
            return None
        shown = self._shown[key]
        free = [(place, row) for place, row in self._keys[key].items() if row.left and row in shown]
        return min(free, key=lambda item: (item[1].meta != meta, self._until[item[0]], item[0]), default=None)

    def update(self, number: int, meta: bytes, now: float, wall: float) -> None:
        """Another meta for this row."""
        row = self.sheets[self.node].rows[number]
        if row.meta != meta:
            ref = self._ref(next(self._numbers))
            self._write(Row(number, row.key, ref, meta, row.since, row.seat, row.turn, row.ref), now, wall)

    def untrack(self, number: int, now: float, wall: float, rest: float | None = None) -> None:
        """Its client left. It is shown for ``rest`` more seconds, or for the time of grace."""
        row = self.sheets[self.node].rows.get(number)
        if row is not None and not row.left:
            rest = self.grace if rest is None else rest
            self._write(msgspec.structs.replace(row, left=wall, rest=rest), now, wall)

    def delta(self, now: float) -> Delta | None:
        """What changed in this node's sheet since the last call."""
        if not self._changed:
            return None
        sheet = self.sheets[self.node]
        base, self._base = self._base, next(self._numbers)
        sheet.version = self._base
        changed, self._changed = self._changed, {}
        return Delta(self.node, base, sheet.version, self._dated(changed.values(), now))

    def whole(self, now: float) -> Delta:
        """This node's sheet as its last delta left it, or newer: whoever merges it takes later deltas as seen."""
        sheet = self.sheets[self.node]
        return Delta(self.node, 0, sheet.version, self._dated(sheet.rows.values(), now))

    def _ref(self, number: int) -> str:
        return f"{self.node}.{number}"

    def _write(self, row: Row, now: float, wall: float) -> None:
        self._changed[row.number] = row
        self._put(self.node, row, now, wall)

    def _dated(self, rows: Iterable[Row], now: float) -> tuple[Row, ...]:
        """These, with the rest of their time as it is now: below 0 where it is over."""
        return tuple([msgspec.structs.replace(row, rest=self._rest(row, now)) if row.left else row for row in rows])

    def _rest(self, row: Row, now: float) -> float:
        until = self._until.get((self.node, row.number))
        if until is None:
            return -self._memory
        return max(until - now, 0.0) if row.rest > 0 else until - now - self._memory

    # -- the rows of others ----------------------------------------------------------------------------------------

    def merge(self, delta: Delta, now: float, wall: float) -> bool:
        """Take over what changed on another node. False when something before it is missing."""
        sheet = self.sheets.setdefault(delta.node, Sheet())
        if 0 <= delta.version <= sheet.version:
            return True
        if delta.base and delta.base > sheet.version:
            return False
        if not delta.base:
            for number in sheet.rows.keys() - {row.number for row in delta.rows}:
                self._drop(delta.node, number, wall)
        sheet.version, sheet.open = delta.version, True
        for row in delta.rows:
            self._put(delta.node, row, now, wall)
            self._yield(delta.node, row, now, wall)
        return True

    def _yield(self, node: str, other: Row, now: float, wall: float) -> None:
        """Somebody of this node may sit where that row of another does, and has to go if that one comes first, or has
        left meanwhile: it may be on the way back."""
        for (mine, number), row in list(self._keys.get(other.key, {}).items()):
            both = mine == self.node and row.seat == other.seat and not row.left
            if both and (-other.turn, "" if other.left else node) < (-row.turn, mine):
                self._write(self._seated(number, row.key, row.meta, self._free(row.key, row.meta), wall), now, wall)

    def meet(self, node: str) -> None:
        """That node has the topic."""
        self.sheets.setdefault(node, Sheet()).open = True

    def part(self, delta: Delta, now: float, wall: float) -> None:
        """That node no longer has the topic. Its sheet is kept, lest an older one be taken for new."""
        if self.merge(delta, now, wall) and self.sheets[delta.node].version == delta.version:
            self.sheets[delta.node].open = False

    def known(self, node: str) -> int:
        """The version of that node's sheet; 0 if there is none, or none any more."""
        sheet = self.sheets.get(node)
        return max(sheet.version, 0) if sheet is not None and sheet.open else 0

    def lose(self, node: str, now: float, wall: float, rest: float | None = None) -> None:
        """That node is gone, and with it its clients, at the time of day ``wall``. Others may take their places for
        ``rest`` seconds, or for the time of grace."""
        sheet = self.sheets.get(node)
        if sheet is None or node == self.node:
            return
        sheet.version = -1
        for row in list(sheet.rows.values()):
            if not row.left:
                left = msgspec.structs.replace(row, left=wall, rest=self.grace if rest is None else rest)
                self._put(node, left, now, wall)
                self._yield(node, left, now, wall)
        self._forget(node)

    def _forget(self, node: str) -> None:
        sheet = self.sheets[node]
        if sheet.version < 0 and not sheet.rows:
            del self.sheets[node]

    def _put(self, node: str, row: Row, now: float, wall: float) -> None:
        place = (node, row.number)
        sheet = self.sheets[node]
        over = row.left and row.rest <= 0
        memory = self._memory if over and row.turn else 0.0
        if over and row.rest + memory <= 0:
            if row.number in sheet.rows:
                self._drop(node, row.number, row.left)
            return
        sheet.rows[row.number] = row
        self._keys.setdefault(row.key, {})[place] = row
        if row.left:
            self._until[place] = until = now + row.rest + memory
            heapq.heappush(self._order, (until, place))
            self._part(row.key, row.left, node)
        else:
            self._until.pop(place, None)
        self._look(row.key)

    def _drop(self, node: str, number: int, wall: float) -> None:
        row = self.sheets[node].rows.pop(number)
        rows = self._keys[row.key]
        del rows[node, number]
        if not rows:
            del self._keys[row.key]
        self._until.pop((node, number), None)
        self._part(row.key, row.left or wall, node)
        self._look(row.key)

    def _part(self, key: str, wall: float, node: str) -> None:
        self._parted[key] = max(self._parted.get(key, (0.0, "")), (wall, node))

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        while self._order and self._until.get(self._order[0][1]) != self._order[0][0]:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else None

    def expire(self, now: float) -> None:
        """Whoever left and has not returned in time is no longer shown."""
        while (until := self.deadline) is not None and until <= now:
            node, number = heapq.heappop(self._order)[1]
            row = self.sheets[node].rows[number]
            if row.rest > 0:
                self._put(node, msgspec.structs.replace(row, rest=0.0), now, 0.0)
            else:
                self._drop(node, number, 0.0)
            self._forget(node)

    # -- who is here -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many keys are shown."""
        return len(self._shown)

    def __contains__(self, key: str) -> bool:
        return key in self._shown

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown)

    def shown(self, key: str) -> tuple[Row, ...]:
        """The rows of a key that are shown: those that are here, and of those that left one for each free seat."""
        return self._shown.get(key, ())

    def _look(self, key: str) -> None:
        """Which rows of this key are shown now."""
        self._dirty.add(key)
        rows = self._keys.get(key, {})
        shown = tuple(rows.values())
        if len(shown) > 1 or (shown and shown[0].left):
            shown = _visible(rows)
        if shown:
            self._shown[key] = shown
        else:
            self._shown.pop(key, None)

    @property
    def changed(self) -> bool:
        """Whether ``changes`` or ``delta`` might have something to say."""
        return bool(self._dirty or self._changed)

    @property
    def settled(self) -> bool:
        """Whether all that is shown has been told."""
        return not self._dirty

    def changes(self) -> Changes:
        """What became different since the last call."""
        changes = Changes({}, {}, [], [])
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            old = self.told.get(key, {})
            new = {row.ref: row for row in self.shown(key)}
            if joins := [row for ref, row in new.items() if ref not in old]:
                changes.joins[key] = joins
            if leaves := [row for ref, row in old.items() if ref not in new]:
                changes.leaves[key] = leaves
            if new:
                self.told[key] = new
                if not old:
                    changes.online.append((key, self.oldest(key)))
            elif old:
                del self.told[key]
                changes.offline.append((key, *self._parted[key]))
            if not new:
                self._parted.pop(key, None)
        return changes

    def oldest(self, key: str) -> str:
        """The node on which the oldest row of this key was first."""
        return min((row.since, row.first) for row in self._shown[key])[1]


def _visible(rows: Mapping[Place, Row]) -> tuple[Row, ...]:
    """Those of a key's rows that are shown."""
    ordered = [rows[place] for place in sorted(rows)]
    here = {row.ref: row for row in ordered if not row.left}
    taken = {row.seat: math.inf for row in here.values()}
    for row in ordered:
        taken[row.seat] = max(taken.get(row.seat, 0), row.turn)
    left = sorted(
        (row for row in ordered if row.left and row.rest > 0 and row.turn == taken[row.seat]),
        key=lambda row: row.left,
    )
    return (*here.values(), *{row.seat: row for row in left}.values())


# -- the form in which clients are told -----------------------------------------------------------------------------


def written(rows: Mapping[str, Iterable[Row]]) -> bytes:
    """``{key: {"metas": [{"phx_ref": ..., ...meta}]}}`` as JSON: Phoenix's form, and everyone's."""
    told = [
        msgspec.json.encode(key) + b':{"metas":[' + b",".join(map(_meta, metas)) + b"]}" for key, metas in rows.items()
    ]
    return b"{" + b",".join(told) + b"}"


def _meta(row: Row) -> bytes:
    text = b'{"phx_ref":"' + row.ref.encode() + b'"'
    if row.previous:
        text += b',"phx_ref_prev":"' + row.previous.encode() + b'"'
    return text + (b"," + row.meta[1:] if len(row.meta) > 2 else b"}")
