"""What nodes tell each other of presence, and what they make of it: words in, words out. Pure.

What is said goes to hidden topics:

    #presence            every node hears it: beats, and goodbyes
    #presence@{node}     one node hears it: questions for it, and the sheets that it asked for
    #presence:{topic}    those hear it that have the topic: deltas of sheets, and who begins with it

So a node hears of the presence of those topics only that it has clients for, whatever goes on elsewhere, and an idle
topic costs next to nothing. Any word may be lost, doubled or late:

1. Each beat names the versions of sheets that changed lately: who has missed a delta, asks.
2. Who was deaf for longer asks everyone for everything; who begins with a topic, asks those that have it.
3. With each beat a node asks all others about some of the topics that it has, in turn: what slipped through is found.

A node that ends says so to everyone, and leaves its sheets in the topics' logs for a while, for nodes that have not
begun with them yet. Its rows are shown for that while, so that its clients can turn up elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from hubbub.leases import Leases
from hubbub.presence import HANDOVER, Delta, Roster

ALL = "#presence"
BEAT = 2.0
"""Seconds between two beats, and three of them are a lease: a busy loop may be late by one, a network may lose one."""
LEASE = 3 * BEAT
LATELY = LEASE + 2 * BEAT
"""How long a changed version is named in beats: whoever was deaf for longer knows it by its own beats."""
DOUBTS = 100
"""Topics that are asked about with one beat: a node with ten thousand is through in three minutes."""


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
    """A node, which has these topics, wants their sheets if they are newer than these versions. 0 is before any."""

    node: str
    versions: dict[str, int]


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
read = msgspec.msgpack.Decoder(Word).decode
write = msgspec.msgpack.Encoder().encode


def own(node: str) -> str:
    return f"#presence@{node}"


def about(topic: str) -> str:
    return f"#presence:{topic}"


class Gossip:
    """One node's part in it. ``say`` is called with a hidden topic and a word for it; ``heard`` with a topic, and the
    node whose rows there may have changed. ``numbers`` are those of its rosters."""

    def __init__(
        self,
        node: str,
        numbers: Iterator[int],
        now: float,
        say: Callable[[str, Word], None],
        heard: Callable[[str, str], None],
    ) -> None:
        self.node = node
        self.leases = Leases(node, LEASE, now)
        self.rosters: dict[str, Roster] = {}
        """By topic: those that this node has."""
        self._numbers = numbers
        self._say = say
        self._heard = heard
        self._changed: dict[str, tuple[float, int]] = {}
        self._asked: dict[tuple[str, str], float] = {}
        self._departed: dict[str, float] = {}
        self._doubtful: list[str] = []
        """Topics that are yet to be asked about."""
        self._words: dict[type, Callable[[Any, float, float], None]] = {
            Beat: self._beat, Bye: self._bye, Ask: self._ask, Tell: self._tell, Shut: self._shut,
            Farewell: self._farewell,
        }  # fmt: skip

    # -- what this node says ---------------------------------------------------------------------------------------

    def hello(self) -> None:
        """It is new."""
        self._say(ALL, Beat(self.node, hello=True))

    def begin(self, topic: str, roster: Roster) -> None:
        """It has this topic from now on."""
        self.rosters[topic] = roster
        self._say(about(topic), Ask(self.node, {topic: 0}))

    def finish(self, topic: str) -> None:
        """It has nobody in that topic."""
        self.rosters.pop(topic, None)
        self._say(about(topic), Shut(topic, self._empty()))

    def tell(self, topic: str, delta: Delta, now: float) -> None:
        """Rows of its own changed."""
        self._changed[topic] = (now, delta.version)
        self._say(about(topic), Tell(topic, delta))

    def tick(self, now: float, wall: float) -> None:
        """Every ``BEAT`` seconds: say that we live, and see who does not."""
        self._changed = {topic: change for topic, change in self._changed.items() if change[0] > now - LATELY}
        # What changed just now may overtake its delta.
        versions = {topic: version for topic, (at, version) in self._changed.items() if at < now - BEAT / 4}
        self._say(ALL, Beat(self.node, versions))
        self._departed = {node: at for node, at in self._departed.items() if at > now - 10 * LEASE}
        self._asked = {asked: at for asked, at in self._asked.items() if at > now - BEAT}
        for node, heard in self.leases.lost():
            self._lose(node, now, wall - (now - heard), None)
        self._doubt()

    def goodbye(self, now: float, wall: float) -> None:
        """It ends, and leaves what it has to the others."""
        for topic, roster in self.rosters.items():
            self._say(about(topic), Farewell(topic, roster.whole(now), wall))
        self._say(ALL, Bye(self.node))

    def speaks(self, topic: str, node: str) -> bool:
        """Whether it is for this node to act on what happened to a row of that one: it did so itself, or that node is
        gone and of those that have the topic this is the first by name."""
        if node == self.node or node in self.leases:
            return node == self.node
        sheets = self.rosters[topic].sheets
        return self.node == min(
            other for other, sheet in sheets.items() if other == self.node or (sheet.open and other in self.leases)
        )

    def _empty(self) -> Delta:
        """A sheet with nobody in it, newer than all before."""
        return Delta(self.node, 0, next(self._numbers), ())

    def _doubt(self) -> None:
        """Ask whether some of what is known is all there is: mostly there is no answer."""
        if not self._doubtful:
            self._doubtful = list(self.rosters)
        some, self._doubtful = self._doubtful[:DOUBTS], self._doubtful[DOUBTS:]
        for node in self.leases if some else ():
            versions = {topic: self.rosters[topic].known(node) for topic in some if topic in self.rosters}
            self._say(own(node), Ask(self.node, versions))

    def _want(self, node: str, topics: Iterable[str], now: float) -> None:
        """Ask a node for its sheets, but not again and again."""
        wanted = [topic for topic in topics if now - self._asked.get((node, topic), now - BEAT) >= BEAT / 2]
        if wanted:
            self._asked |= dict.fromkeys([(node, topic) for topic in wanted], now)
            self._say(own(node), Ask(self.node, {topic: self.rosters[topic].known(node) for topic in wanted}))

    # -- what it hears ---------------------------------------------------------------------------------------------

    def hear(self, word: Word, now: float, wall: float) -> None:
        """Its own words come back to it, too."""
        self._words[type(word)](word, now, wall)

    def _beat(self, beat: Beat, now: float, _wall: float) -> None:
        if beat.node == self.node:
            if self.leases.hear(self.node, now):  # we were deaf
                self._asked.clear()
                for node in self.leases:
                    self._want(node, self.rosters, now)
            return
        if self._meet(beat.node, now, ask=not beat.hello) and beat.hello:
            self._say(own(beat.node), Beat(self.node))
        rosters = self.rosters
        self._want(beat.node, [
            topic for topic, version in beat.versions.items()
            if topic in rosters and rosters[topic].known(beat.node) < version
        ], now)  # fmt: skip

    def _meet(self, node: str, now: float, ask: bool = True) -> bool:
        """That node lives. False when it said goodbye: what is heard of it is late."""
        if node in self._departed:
            return False
        if self.leases.hear(node, now) and ask:
            self._want(node, self.rosters, now)
        return True

    def _ask(self, ask: Ask, now: float, _wall: float) -> None:
        if ask.node == self.node or not self._meet(ask.node, now):
            return
        for topic, version in ask.versions.items():
            roster = self.rosters.get(topic)
            if roster is not None:
                roster.meet(ask.node)
                whole = roster.whole(now)
                if whole.version > version:
                    self._say(own(ask.node), Tell(topic, whole))
            elif version:
                self._say(own(ask.node), Shut(topic, self._empty()))

    def _tell(self, tell: Tell, now: float, wall: float) -> None:
        node, roster = tell.delta.node, self.rosters.get(tell.topic)
        if node == self.node or roster is None or not self._meet(node, now):
            return
        if not roster.merge(tell.delta, now, wall):
            self._want(node, (tell.topic,), now)
        self._heard(tell.topic, node)

    def _shut(self, shut: Shut, now: float, wall: float) -> None:
        node, roster = shut.delta.node, self.rosters.get(shut.topic)
        if node != self.node and roster is not None:
            roster.part(shut.delta, now, wall)
            self._heard(shut.topic, node)

    def _farewell(self, farewell: Farewell, now: float, wall: float) -> None:
        """Heard as it was said, or read later."""
        node, roster = farewell.delta.node, self.rosters.get(farewell.topic)
        then = now - max(wall - farewell.wall, 0.0)
        if node != self.node and roster is not None and now < then + HANDOVER:
            roster.merge(farewell.delta, then, farewell.wall)
            roster.lose(node, then, farewell.wall, max(HANDOVER, roster.grace))
            self._heard(farewell.topic, node)

    def _bye(self, bye: Bye, now: float, wall: float) -> None:
        if bye.node != self.node:
            self._departed[bye.node] = now
            self.leases.leave(bye.node)
            self._lose(bye.node, now, wall, HANDOVER)

    def _lose(self, node: str, now: float, wall: float, rest: float | None) -> None:
        for topic, roster in self.rosters.items():
            if node in roster.sheets:
                roster.lose(node, now, wall, rest if rest is None else max(rest, roster.grace))
                self._heard(topic, node)
