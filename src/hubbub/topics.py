"""Topics with members on this node, and how those are grouped: by what their wires take."""

import asyncio
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from hubbub.connection import Connection
from hubbub.envelope import Envelope
from hubbub.history import Position
from hubbub.messages import Frame, Publication
from hubbub.protocols.base import Dialect

Write = Callable[[bytes], None]
Make = Callable[[Frame], bytes]


class Item:
    """One publication on its way: when in the tick, to whom not, and how it looks on each wire that asked."""

    __slots__ = ("_frames", "envelope", "number", "publication")

    def __init__(self, number: int, publication: Publication, envelope: Envelope) -> None:
        self.number = number
        self.publication = publication
        self.envelope = envelope
        self._frames: dict[Dialect, tuple[Frame, ...]] = {}

    def frames(self, dialect: Dialect) -> tuple[Frame, ...]:
        frames = self._frames.get(dialect)
        if frames is None:
            frames = self._frames[dialect] = dialect.encode(self.publication)
        return frames


def pieces_of(items: Iterable[Item], dialect: Dialect, frame: Make) -> list[bytes]:
    """What a wire of this dialect takes of each."""
    return [b"".join(map(frame, item.frames(dialect))) for item in items]


class Joined:
    """What everyone of one dialect hears of a topic in one tick, in one piece: the frames of its items, side by side.
    Who hears nearly the same gets a copy of it with something put in, or left out."""

    __slots__ = ("_ends", "_frame", "_numbers", "_places", "left_out", "whole")

    def __init__(self, items: Sequence[Item], dialect: Dialect, frame: Make) -> None:
        pieces = pieces_of(items, dialect, frame)
        self.whole = b"".join(pieces)
        self.left_out = 0
        """How many items were left out of all copies."""
        self._frame = frame
        self._numbers = [item.number for item in items]
        self._ends = [0, *accumulate(map(len, pieces))]
        self._places: dict[str, list[int]] = {}
        """Where the items are that leave somebody out, by whom they leave out."""
        for place, item in enumerate(items):
            if item.envelope.sender:
                self._places.setdefault(item.envelope.sender, []).append(place)

    def varied(self, added: Iterable[tuple[int, tuple[Frame, ...]]], without: str) -> bytes:
        """The same with these frames, each in the place of its number, and without what leaves out this sender."""
        whole, ends, numbers = self.whole, self._ends, self._numbers
        cuts = [(ends[bisect(numbers, number)], 0, b"".join(map(self._frame, frames))) for number, frames in added]
        for place in self._places.get(without, ()):
            cuts.append((ends[place], ends[place + 1] - ends[place], b""))
            self.left_out += 1
        cuts.sort(key=_start)  # what is added before an item that is left out stays before it
        varied: list[bytes] = []
        at = 0
        for start, skipped, put_in in cuts:
            varied += (whole[at:start], put_in)
            at = start + skipped
        varied.append(whole[at:])
        return b"".join(varied)


def _start(cut: tuple[int, int, bytes]) -> int:
    return cut[0]


class Group:
    """The members of a topic who share a dialect. ``wires`` take joined bytes at once, by what makes frames for them;
    ``others`` are asked."""

    __slots__ = ("others", "wires")

    def __init__(self) -> None:
        self.wires: dict[Make, dict[Connection, Write]] = {}
        self.others: dict[Connection, None] = {}

    def __bool__(self) -> bool:
        return bool(self.wires or self.others)

    def __iter__(self) -> Iterator[Connection]:
        for wires in self.wires.values():
            yield from wires
        yield from self.others

    def __contains__(self, connection: object) -> bool:
        return connection in self.others or any(connection in wires for wires in self.wires.values())

    def place(self, connection: Connection) -> None:
        """Put it where its wire belongs."""
        self.remove(connection)
        wire = connection.wire
        if wire is None:
            self.others[connection] = None
            return
        wires = self.wires.get(connection.frame)
        if wires is None:
            wires = self.wires[connection.frame] = {}
        wires[connection] = wire

    def remove(self, connection: Connection) -> None:
        self.others.pop(connection, None)
        for frame, wires in self.wires.items():
            if wires.pop(connection, None) is not None:
                if not wires:
                    del self.wires[frame]
                return


class Topic:
    """A topic with members here. ``held`` collects for those who are still joining; ``newcomers`` were let in during
    this tick, after the item of that number; ``shared`` are those who hear other topics, too. ``head`` is the log's, as
    far as this node has heard of it."""

    __slots__ = ("groups", "head", "held", "name", "newcomers", "overflow", "pending", "ready", "shared")

    def __init__(self, name: str, overflow: str) -> None:
        self.name = name
        self.overflow = overflow
        self.groups: dict[Dialect, Group] = {}
        self.pending: list[Item] = []
        self.head: Position | None = None
        self.held: dict[Connection, list[Item]] = {}
        self.newcomers: dict[Connection, int] = {}
        self.shared: dict[Connection, None] = {}
        self.ready: asyncio.Task[None] | None = None
        """The subscription at the broker, while it is under way."""

    def __contains__(self, connection: Connection) -> bool:
        group = self.groups.get(connection.protocol.dialect)
        return group is not None and connection in group

    def members(self) -> Iterable[Connection]:
        for group in self.groups.values():
            yield from group

    def place(self, connection: Connection) -> None:
        """Put it where its wire belongs."""
        group = self.groups.get(connection.protocol.dialect)
        if group is None:
            group = self.groups[connection.protocol.dialect] = Group()
        group.place(connection)

    def remove(self, connection: Connection) -> None:
        group = self.groups.get(connection.protocol.dialect)
        if group is not None:
            group.remove(connection)
            if not group:
                del self.groups[connection.protocol.dialect]

    @property
    def empty(self) -> bool:
        return not self.groups and not self.held
