"""Where one is in a topic's log, how much of it is kept, and a bounded log in memory. Pure.

A kept topic is a log. Offsets are 1, 2, 3 ... without holes; the *epoch* names one life of the log and changes on
any doubt about the past. A ``Position`` (epoch, offset) is therefore a proof: who holds one can be given exactly
what came after it, or be told that this cannot be done.
"""

from collections import deque
from functools import total_ordering
from itertools import islice
from typing import Generic, Self, TypeVar

import msgspec

K = TypeVar("K")


@total_ordering
class Position:
    """A place in a topic's log: ``offset`` publications of the life ``epoch`` have been seen.

    Written as ``epoch:offset`` wherever a client sees it, in payloads too. ``NOWHERE``, which is false, is the
    position of what no log keeps.
    """

    __slots__ = ("epoch", "offset")

    def __init__(self, epoch: str, offset: int) -> None:
        self.epoch = epoch
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    def __repr__(self) -> str:
        return f"Position({self.epoch!r}, {self.offset})"

    def __bool__(self) -> bool:
        return self.offset > 0 or bool(self.epoch)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and self.offset == other.offset and self.epoch == other.epoch

    def __lt__(self, other: "Position") -> bool:
        return (self.epoch, self.offset) < (other.epoch, other.offset)

    def __hash__(self) -> int:
        return hash((self.epoch, self.offset))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``epoch:offset``. Raises ValueError for anything else."""
        epoch, colon, digits = text.rpartition(":")
        if not colon or not epoch or len(epoch) > 64 or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            raise ValueError("a position is written epoch:offset")
        return cls(epoch, int(digits))


NOWHERE = Position("", 0)


class Keep(msgspec.Struct, frozen=True):
    """How much of a topic's log is kept: the last ``count`` publications, none older than ``seconds``."""

    count: int = 1_000
    seconds: float = 86_400.0


class Entry(msgspec.Struct, frozen=True):
    """One publication in a log: its offset, and the bytes that the hub gave the broker."""

    offset: int
    data: bytes


class Page(msgspec.Struct, frozen=True):
    """A piece of a log, oldest entry first.

    ``position`` is the head of the log at the moment of reading: the cursor at which a live stream goes on.
    ``complete`` is true when ``entries`` hold everything between the asked ``after`` (or the log's beginning) and
    the head; false when retention, another epoch or ``limit`` left something out.
    """

    entries: tuple[Entry, ...]
    position: Position
    complete: bool


WINDOW = 600.0
"""Seconds during which an id is known again. Clients that retry do so within a minute or two; ten is what a phone in a
tunnel needs, and what the brokers promise."""


class Seen(Generic[K]):
    """The ids that came within a window of time, each with what it stood for.

    Time is given in seconds by the caller and never goes back.
    """

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[K, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, id: K, now: float, window: float = WINDOW) -> int | None:
        """What this id stood for, or None when it is new."""
        self.forget(now - window)
        seen = self._ids.get(id)
        return None if seen is None else seen[1]

    def add(self, id: K, offset: int, now: float) -> None:
        self._ids[id] = (now, offset)

    def forget(self, before: float) -> None:
        """Drop what came earlier than this. Ids lie in the order of their coming, so only the dropped are looked at."""
        while self._ids:
            oldest = next(iter(self._ids))
            if self._ids[oldest][0] >= before:
                return
            del self._ids[oldest]


class Log:
    """A topic's log in memory: the newest entries within a ``Keep``, and the ids that were seen lately.

    Time is given in seconds by the caller and never goes back.
    """

    __slots__ = ("entries", "epoch", "head", "ids", "keep", "touched")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.head = 0
        self.entries: deque[tuple[float, Entry]] = deque()
        self.ids: Seen[str] = Seen()
        self.keep = Keep()
        """What the latest publication asked for."""
        self.touched = 0.0
        """When that came."""

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.head)

    def append(
        self, data: bytes, keep: Keep, now: float, id: str | None = None, window: float = WINDOW
    ) -> tuple[Position, bool]:
        """Append, and say where it stands and whether it is new: the same ``id`` within ``window`` seconds is not."""
        if id is not None:
            offset = self.ids.find(id, now, window)
            if offset is not None:
                return Position(self.epoch, offset), False
            self.ids.add(id, self.head + 1, now)
        self.head += 1
        self.keep = keep
        self.touched = now
        self.entries.append((now, Entry(self.head, data)))
        self.trim(keep, now)
        return self.position, True

    def trim(self, keep: Keep, now: float) -> None:
        entries = self.entries
        while entries and (len(entries) > keep.count or entries[0][0] < now - keep.seconds):
            entries.popleft()

    def read(self, after: Position | None, before: Position | None, limit: int) -> Page:
        """The entries that follow ``after``, or the last ones before ``before``; with neither, the newest."""
        first = self.entries[0][1].offset if self.entries else self.head + 1
        start, stop, complete = span(self.position, first, after, before, limit)
        found = islice(self.entries, start - first + 1, stop - first + 1) if start < stop else ()
        return Page(tuple([entry for _, entry in found]), self.position, complete)


def span(
    head: Position, first: int, after: Position | None, before: Position | None, limit: int
) -> tuple[int, int, bool]:
    """Which entries answer a read: the offsets ``start < offset <= stop``, and whether these are all there were.

    ``first`` is the oldest offset that the log still has; one past the head when it has none. This is the law of
    every broker's ``read``, in one place.
    """
    limit = max(limit, 0)
    if after is not None:
        if after.epoch != head.epoch or not first - 1 <= after.offset <= head.offset:
            return 0, 0, False
        stop = min(after.offset + limit, head.offset)
        return after.offset, stop, stop == head.offset
    if before is not None and before.epoch != head.epoch:
        return 0, 0, False
    stop = head.offset if before is None else max(min(before.offset - 1, head.offset), 0)
    start = min(max(stop - limit, first - 1), stop)
    return start, stop, start == 0
