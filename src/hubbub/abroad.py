"""Presence on the other nodes: the gossip, carried by the broker.

Nobody waits for a word to arrive: what is lost is asked for later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

import msgspec

from hubbub.brokers.base import Broker, Done
from hubbub.errors import BrokerError
from hubbub.gathering import Gathering
from hubbub.gossip import ALL, BEAT, Farewell, Gossip, Word, about, own, read, write
from hubbub.history import Keep
from hubbub.nodes import Nodes
from hubbub.presence import HANDOVER, Delta

if TYPE_CHECKING:
    from hubbub.attendance import Attendance

OPENING = 0.1
"""Seconds that the first join of a topic on this node waits for other nodes to say whom they have there. Most answer in
a few milliseconds; those that have nobody do not answer. What comes later is told as a difference."""
FAREWELLS = Keep(count=100, seconds=HANDOVER)


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
        self.deadline: float | None = None
        self._nodes = nodes
        self._broker = broker
        self._complain = complain
        now = attendance.deadlines.now()
        self.gossip = Gossip(self.node, attendance.numbers, now, self._send, self._heard)
        self._known = now + 2 * BEAT
        """When all others have been heard, if there are any."""
        self._opening: dict[str, tuple[set[str], asyncio.Event]] = {}
        self._silent = False
        self._tasks: set[asyncio.Future[Any]] = set()

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises BrokerError."""
        for channel in (ALL, own(self.node)):
            await self._nodes.listen(channel, partial(self.hear, channel))
        self.gossip.hello()
        self.deadline = self.attendance.deadlines.now() + BEAT
        self.attendance.deadlines.watch(self)

    def tick(self, now: float) -> None:
        self.deadline = now + BEAT
        self.gossip.tick(now, time())

    def goodbye(self) -> None:
        """This node ends. From now on it listens, and says nothing more."""
        self.gossip.goodbye(*self._times())
        self._silent = True

    # -- what gatherings ask ---------------------------------------------------------------------------------------

    async def open(self, gathering: Gathering) -> None:
        """This node begins with a topic: learn who is there. Raises BrokerError."""
        topic, channel = gathering.name, about(gathering.name)
        others = set(self.gossip.leases) if self.attendance.deadlines.now() > self._known else {""}
        awaited, answered = self._opening[topic] = (others, asyncio.Event())
        try:
            await self._nodes.listen(channel, partial(self.hear, channel))
            self.gossip.begin(topic, gathering.roster)
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
        self.gossip.finish(gathering.name)
        self._nodes.unlisten(about(gathering.name))

    def tell(self, gathering: Gathering, delta: Delta) -> None:
        """Rows of this node changed."""
        self.gossip.tell(gathering.name, delta, self.attendance.deadlines.now())

    def speaks(self, gathering: Gathering, node: str) -> bool:
        """Whether this node calls the hook for a row of that one."""
        return self.gossip.speaks(gathering.name, node)

    # -- the broker ------------------------------------------------------------------------------------------------

    def hear(self, channel: str, data: bytes) -> None:
        try:
            word = read(data)
        except msgspec.MsgspecError as error:
            self._complain(f"dropped a word on {channel} that no node said", error)
            return
        self.gossip.hear(word, *self._times())

    def _heard(self, topic: str, node: str) -> None:
        self.attendance.gatherings[topic].touch()
        if topic in self._opening:
            awaited, answered = self._opening[topic]
            awaited.discard(node)
            if not awaited:
                answered.set()

    def _send(self, channel: str, word: Word) -> None:
        if self._silent:
            return
        keep = FAREWELLS if type(word) is Farewell and word.delta.rows else None
        with suppress(BrokerError):
            result = self._broker.publish(channel, write(word), keep)
            if not isinstance(result, Done):
                self._hold(asyncio.ensure_future(_awaited(result)))

    def _hold(self, task: asyncio.Future[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _times(self) -> tuple[float, float]:
        return self.attendance.deadlines.now(), time()


async def _awaited(result: Awaitable[Any]) -> None:
    with suppress(BrokerError):
        await result
