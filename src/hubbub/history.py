"""Where one is in a topic's log, how much of it is kept, and a bounded log in memory. Pure.

A kept topic is a log. Offsets are 1, 2, 3 ... without holes; the *epoch* names one life of the log and changes on
any doubt about the past. A ``Position`` (epoch, offset) is therefore a proof: who holds one can be given exactly
what came after it, or be told that this cannot be done.
"""

from collections import deque
from typing import Self

import msgspec


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in a topic's log: ``offset`` publications of the life ``epoch`` have been seen.

    Written as ``epoch:offset`` wherever a client sees it. ``NOWHERE``, which is false, is the position of what no
    log keeps.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    def __bool__(self) -> bool:
        return self.offset > 0 or bool(self.epoch)

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


class Log:
    """A topic's log in memory: the newest entries within a ``Keep``, and the ids that were seen lately.

    Time is given in seconds by the caller and never goes back.
    """

    __slots__ = ("entries", "epoch", "head", "ids")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.head = 0
        self.entries: deque[tuple[float, Entry]] = deque()
        self.ids: dict[str, tuple[float, int]] = {}

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.head)

    def append(self, data: bytes, keep: Keep, now: float, id: str | None = None, window: float = 600.0) -> tuple[Position, bool]:
        """Append, and say where it stands and whether it is new: the same ``id`` within ``window`` seconds is not."""
        if id is not None:
            self._forget(now - window)
            seen = self.ids.get(id)
            if seen is not None:
                return Position(self.epoch, seen[1]), False
            self.ids[id] = (now, self.head + 1)
        self.head += 1
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
        if after is not None:
            if after.epoch != self.epoch or after.offset > self.head or after.offset < first - 1:
                return Page((), self.position, complete=False)
            skip = after.offset - first + 1
            found = tuple(entry for _, entry in list(self.entries)[skip : skip + limit])
            return Page(found, self.position, complete=after.offset + len(found) == self.head)
        stop = self.head if before is None else min(before.offset - 1, self.head)
        if before is not None and before.epoch != self.epoch:
            return Page((), self.position, complete=False)
        start = max(stop - limit, first - 1)
        found = tuple(entry for _, entry in self.entries if start < entry.offset <= stop)
        return Page(found, self.position, complete=start == 0)

    def _forget(self, before: float) -> None:
        while self.ids:
            oldest = next(iter(self.ids))
            if self.ids[oldest][0] >= before:
                return
            del self.ids[oldest]
