"""What presence other nodes have, and what they are told of ours.

What is told are publications on hidden topics:

    #presence            every node hears it: beats, and goodbyes
    #presence@{node}     one node hears it: the sheets that it asked for
    #presence:{topic}    those hear it that have the topic: deltas of sheets, and questions for them

So a node hears of the presence of those topics only that it has clients for, whatever goes on elsewhere, and an idle
topic costs nothing. Each beat names the versions of sheets that changed lately: who has missed a delta, asks. Who was
deaf for longer, asks for all that it has; who begins with a topic, asks those that have it.

A node that ends says so to everyone, and leaves its sheets in the topics' logs for a while, for nodes that have not
begun with them yet. Its rows are shown for that while, so that its clients can turn up elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

import msgspec

from hubbub.brokers.base import Broker, Done
from hubbub.errors import BrokerError
from hubbub.gathering import Gathering
from hubbub.history import Keep
from hubbub.nodes import Nodes
from hubbub.presence import Delta, Leases

if TYPE_CHECKING:
    from hubbub.attendance import Attendance

ALL = "#presence"
BEAT = 2.0
"""Seconds between two beats, and three of them are a lease: a busy loop may be late by one, a network may lose one."""
LEASE = 3 * BEAT
LATELY = LEASE + 2 * BEAT
"""How long a changed version is named in beats: whoever was deaf for longer knows it by its own beats."""
OPENING = 0.1
"""Seconds that the first join of a topic on this node waits for other nodes to say whom they have there. Most answer in
a few milliseconds; those that have nobody do not answer. What comes later is told as a difference."""
HANDOVER = 30.0
"""Seconds that the rows of a node that said goodbye are shown: clients come back at a time that is theirs to choose."""
FAREWELLS = Keep(count=100, seconds=HANDOVER)


class Beat(msgspec.Struct, frozen=True, array_like=True, tag="beat"):
    """A node lives. ``versions`` are those of its sheets that changed lately, by topic; with ``hello`` it is new, and
    asks the others to say so too."""

    node: str
    versions: dict[str, int] = {}
    hello: bool = False


class Bye(msgspec.Struct, frozen=True, array_like=True, tag="bye"):
    """A node ends."""

    node: str


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """A node wants the sheets of these topics; it has them now."""

    node: str
    topics: tuple[str, ...]


class Tell(msgspec.Struct, frozen=True, array_like=True, tag="tell"):
    """What changed in a node's sheet of a topic."""

    topic: str
    delta: Delta


class Shut(msgspec.Struct, frozen=True, array_like=True, tag="shut"):
    """A node no longer has this topic; its sheet is empty."""

    topic: str
    delta: Delta


class Farewell(msgspec.Struct, frozen=True, array_like=True, tag="farewell"):
    """The last sheet of a node that ends, at this time of day."""

    topic: str
    delta: Delta
    wall: float


Word = Beat | Bye | Ask | Tell | Shut | Farewell
_read = msgspec.msgpack.Decoder(Word)


class Abroad:
    """Presence on the other nodes, as this one knows it."""

    def __init__(
        self,
        nodes: Nodes,
        broker: Broker,
        attendance: "Attendance",
        complain: Callable[[str, BaseException], None],
    ) -> None:
        self.node = attendance.node
        self.attendance = attendance
        self.leases = Leases(self.node, LEASE, attendance.deadlines.now())
        self.deadline: float | None = None
        self._nodes = nodes
        self._broker = broker
        self._complain = complain
        self._known = attendance.deadlines.now() + 2 * BEAT
        """When all others have been heard, if there are any."""
        self._changed: dict[str, tuple[float, int]] = {}
        self._opening: dict[str, tuple[set[str], asyncio.Event]] = {}
        self._departed: dict[str, float] = {}
        self._asked: dict[tuple[str, str], float] = {}
        self._silent = False
        self._tasks: set[asyncio.Future[Any]] = set()
        self._words: dict[type, Callable[[Any], None]] = {
            Beat: self._beat, Bye: self._bye, Ask: self._ask, Tell: self._tell, Shut: self._shut,
            Farewell: self._farewell,
        }  # fmt: skip

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        for channel in (ALL, _own(self.node)):
            await self._nodes.listen(channel, partial(self.hear, channel))
        self._send(ALL, Beat(self.node, hello=True))
        self.deadline = self.attendance.deadlines.now() + BEAT
        self.attendance.deadlines.watch(self)

    def tick(self, now: float) -> None:
        """Say that we live, and see who does not."""
        self.deadline = now + BEAT
        self._changed = {topic: change for topic, change in self._changed.items() if change[0] > now - LATELY}
        # What changed just now may overtake its delta.
        versions = {topic: version for topic, (at, version) in self._changed.items() if at < now - BEAT / 4}
        self._send(ALL, Beat(self.node, versions))
        self._departed = {node: at for node, at in self._departed.items() if at > now - 10 * LEASE}
        self._asked = {asked: at for asked, at in self._asked.items() if at > now - BEAT}
        for node, heard in self.leases.lost():
            self._lose(node, time() - (now - heard), None)

    def goodbye(self) -> None:
        """This node ends: leave what it has to the others. From now on it listens, and says nothing more."""
        now, wall = self.attendance.deadlines.now(), time()
        for gathering in self.attendance.gatherings.values():
            farewell = Farewell(gathering.name, gathering.roster.whole(now), wall)
            if farewell.delta.rows:
                self._send(_channel(gathering.name), farewell, FAREWELLS)
        self._send(ALL, Bye(self.node))
        self._silent = True

    def _lose(self, node: str, wall: float, rest: float | None) -> None:
        now = self.attendance.deadlines.now()
        for gathering in self.attendance.gatherings.values():
            if node in gathering.roster.sheets:
                gathering.roster.lose(node, now, wall, rest if rest is None else max(rest, gathering.terms.grace))
                gathering.touch()

    # -- what gatherings ask ---------------------------------------------------------------------------------------

    async def open(self, gathering: Gathering) -> None:
        """This node begins with a topic: learn who is there. Raises BrokerError."""
        topic, channel = gathering.name, _channel(gathering.name)
        now = self.attendance.deadlines.now()
        awaited, answered = self._opening[topic] = (set(self.leases) if now > self._known else {""}, asyncio.Event())
        try:
            await self._nodes.listen(channel, partial(self.hear, channel))
            self._send(channel, Ask(self.node, (topic,)))
            page = await self._broker.read(channel, limit=FAREWELLS.count)
            for entry in page.entries:
                self.hear(channel, entry.data)
            if awaited:
                with suppress(TimeoutError):
                    async with asyncio.timeout(OPENING):
                        await answered.wait()
        finally:
            self._opening.pop(topic, None)

    def close(self, gathering: Gathering) -> None:
        """This node has nobody in that topic."""
        channel = _channel(gathering.name)
        self._send(channel, Shut(gathering.name, gathering.roster.last()))
        self._nodes.unlisten(channel)

    def tell(self, gathering: Gathering, delta: Delta) -> None:
        """Rows of this node changed."""
        self._changed[gathering.name] = (self.attendance.deadlines.now(), delta.version)
        self._send(_channel(gathering.name), Tell(gathering.name, delta))

    def speaks(self, gathering: Gathering, node: str) -> bool:
        """Whether it is for this node to act on what happened to a row of that one: it did so itself, or that node is
        gone and of those that have the topic this is the first by name."""
        if node == self.node or node in self.leases:
            return node == self.node
        sheets = gathering.roster.sheets
        return self.node == min(
            other for other, sheet in sheets.items() if other == self.node or (sheet.open and other in self.leases)
        )

    # -- what other nodes say --------------------------------------------------------------------------------------

    def hear(self, channel: str, data: bytes) -> None:
        try:
            word = _read.decode(data)
        except msgspec.MsgspecError as error:
            self._complain(f"dropped a word on {channel} that no node said", error)
            return
        self._words[type(word)](word)

    def _beat(self, beat: Beat) -> None:
        if beat.node == self.node:
            if self.leases.hear(self.node, self.attendance.deadlines.now()):  # we were deaf
                for topic in self.attendance.gatherings:
                    self._send(_channel(topic), Ask(self.node, (topic,)))
            return
        if self._meet(beat.node, ask=not beat.hello) and beat.hello:
            self._send(_own(beat.node), Beat(self.node))
        gatherings = self.attendance.gatherings
        self._want(beat.node, [
            topic for topic, version in beat.versions.items()
            if topic in gatherings and gatherings[topic].roster.behind(beat.node, version)
        ])  # fmt: skip

    def _meet(self, node: str, ask: bool = True) -> bool:
        """That node lives. False when it said goodbye: what is heard of it is late."""
        if node in self._departed:
            return False
        if self.leases.hear(node, self.attendance.deadlines.now()) and ask:
            self._want(node, self.attendance.gatherings)
        return True

    def _want(self, node: str, topics: Iterable[str]) -> None:
        """Ask a node for its sheets, but not again and again."""
        now = self.attendance.deadlines.now()
        wanted = tuple([topic for topic in topics if now - self._asked.get((node, topic), now - BEAT) >= BEAT / 2])
        if wanted:
            self._asked |= dict.fromkeys([(node, topic) for topic in wanted], now)
            self._send(_own(node), Ask(self.node, wanted))

    def _ask(self, ask: Ask) -> None:
        if ask.node == self.node or not self._meet(ask.node):
            return
        now = self.attendance.deadlines.now()
        for topic in ask.topics:
            gathering = self.attendance.gatherings.get(topic)
            if gathering is not None:
                gathering.roster.meet(ask.node)
                self._send(_own(ask.node), Tell(topic, gathering.roster.whole(now)))

    def _tell(self, tell: Tell) -> None:
        node = tell.delta.node
        gathering = self.attendance.gatherings.get(tell.topic)
        if node == self.node or gathering is None or not self._meet(node):
            return
        if not gathering.roster.merge(tell.delta, self.attendance.deadlines.now(), time()):
            self._want(node, (tell.topic,))
        gathering.touch()
        self._answered(node, tell.topic)

    def _answered(self, node: str, topic: str) -> None:
        if topic in self._opening:
            awaited, answered = self._opening[topic]
            awaited.discard(node)
            if not awaited:
                answered.set()

    def _shut(self, shut: Shut) -> None:
        gathering = self.attendance.gatherings.get(shut.topic)
        if gathering is not None and shut.delta.node != self.node:
            gathering.roster.part(shut.delta, self.attendance.deadlines.now(), time())
            gathering.touch()

    def _farewell(self, farewell: Farewell) -> None:
        """Heard as it was said, or read later."""
        node, rest = farewell.delta.node, HANDOVER - max(time() - farewell.wall, 0.0)
        gathering = self.attendance.gatherings.get(farewell.topic)
        if gathering is not None and node != self.node and rest > 0:
            now = self.attendance.deadlines.now()
            gathering.roster.merge(farewell.delta, now, farewell.wall)
            gathering.roster.lose(node, now, farewell.wall, max(rest, gathering.terms.grace))
            gathering.touch()

    def _bye(self, bye: Bye) -> None:
        if bye.node != self.node:
            self._departed[bye.node] = self.attendance.deadlines.now()
            self.leases.leave(bye.node)
            self._lose(bye.node, time(), HANDOVER)

    # -- the broker ------------------------------------------------------------------------------------------------

    def _send(self, channel: str, word: Word, keep: Keep | None = None) -> None:
        """What does not arrive is asked for later: nobody waits for it."""
        if self._silent:
            return
        with suppress(BrokerError):
            result = self._broker.publish(channel, msgspec.msgpack.encode(word), keep)
            if not isinstance(result, Done):
                self._hold(asyncio.ensure_future(_awaited(result)))

    def _hold(self, task: asyncio.Future[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _awaited(result: Awaitable[Any]) -> None:
    with suppress(BrokerError):
        await result


def _own(node: str) -> str:
    return f"#presence@{node}"


def _channel(topic: str) -> str:
    return f"#presence:{topic}"
