"""What a node hears: the publications of each topic it subscribed to, in order, without a gap that nobody was told of.

Redis tells subscribers of a publication at most once, and not at all while a line is broken. But on a kept topic each
publication says its position. The node remembers the last one it delivered, and when the next does not follow, or when
a new line finds the log further on, it reads what lies between from the log before anything newer is delivered. What
the log has no longer is said to be missed.

It reads no further than it has to. What is newer comes by the line, and there between what is not kept, in the order in
which all of it was published.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from hubbub.brokers.base import Deliver
from hubbub.errors import BrokerError
from hubbub.history import NOWHERE, Page, Position

PIECE = 500
"""Entries that are read at once to fill a gap."""

WAITING = 1_000
"""Publications of a topic that may wait until a gap before them is filled. The log has them too; only what is not kept
is lost beyond that."""

SOON, LATE = 0.05, 1.0
"""Seconds in which what is in the log comes by itself, if it comes: for who waits for it, and for who only makes sure.
After that the line is asked whether it has told all. What is not kept has its place between what is, and keeps it only
if all of it comes by the line: so none is read from the log while the line is only late, be it by seconds."""

UNBORN = Position("", 0)
"""Where one is in a topic that had no log when it was asked."""


class Ear:
    """A subscribed topic."""

    __slots__ = ("begun", "fill", "last", "readers", "ready", "sure", "upto", "waiting")

    def __init__(self) -> None:
        self.ready: asyncio.Task[None] | None = None
        """The subscription, while it is under way."""
        self.begun = False
        """Whether ``last`` says where to go on."""
        self.last = UNBORN
        """The position that was delivered last, or where the log was when the subscription began."""
        self.sure = False
        """Whether everything since then was heard, as far as the line goes. It is not, after one has broken."""
        self.fill: asyncio.Task[None] | None = None
        self.upto = UNBORN
        """How far a gap is known to reach."""
        self.waiting: list[tuple[bytes, Position]] = []
        self.readers: list[tuple[Position, asyncio.Future[None]]] = []
        """Who has read so far, and may say so when it has been delivered."""

    def reach(self, position: Position) -> None:
        """The gap reaches as far as this."""
        if position.epoch != self.upto.epoch or position.offset > self.upto.offset:
            self.upto = position

    def reached(self, position: Position) -> bool:
        return self.last.epoch == position.epoch and self.last.offset >= position.offset

    def tell_readers(self, error: BrokerError | None = None, *, all: bool = False) -> None:
        """Let those go on for whom enough was delivered."""
        rest = []
        for position, future in self.readers:
            if not (all or error or self.reached(position)):
                rest.append((position, future))
            elif future.done():
                continue
            elif error is None:
                future.set_result(None)
            else:
                future.set_exception(BrokerError(error.reason))
        self.readers = rest


class Ears:
    """All subscribed topics. ``look`` gives a log's head, or UNBORN; ``read`` is the broker's; ``catch_up`` comes back
    when the line has told all that was said until now."""

    def __init__(
        self,
        deliver: Deliver,
        missed: Callable[[str], None],
        look: Callable[[str], Awaitable[Position]],
        read: Callable[[str, Position | None, int], Awaitable[Page]],
        catch_up: Callable[[], Awaitable[None]],
        complain: Callable[[str, BaseException], None],
    ) -> None:
        self.topics: dict[str, Ear] = {}
        self._deliver = deliver
        self._missed = missed
        self._look = look
        self._read = read
        self._catch_up = catch_up
        self._complain = complain

    def begin(self, topic: str, ear: Ear, head: Position) -> None:
        """What comes after ``head`` is to be heard."""
        ear.last, ear.begun = head, True

    async def reach(self, topic: str, position: Position, patience: float = SOON) -> None:
        """Come back when everything up to there was delivered here: by the line, or, if after ``patience`` seconds it
        says that it has told all, or breaks, from the log. Raises BrokerError."""
        ear = self.topics.get(topic)
        if ear is None or not ear.begun or not position.offset or ear.reached(position):
            return
        future = asyncio.get_running_loop().create_future()
        ear.readers.append((position, future))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.shield(future)
        if not future.done():
            with suppress(BrokerError):
                await self._catch_up()
        if not future.done() and self.topics.get(topic) is ear:
            self._begin(topic, ear, position)
        await future

    async def filled(self) -> None:
        """Come back when no gap is being filled."""
        if fills := [ear.fill for ear in self.topics.values() if ear.fill is not None]:
            await asyncio.wait(fills)

    def close(self) -> None:
        for topic in list(self.topics):
            self.forget(topic)

    def forget(self, topic: str) -> None:
        ear = self.topics.pop(topic, None)
        if ear is None:
            return
        if ear.fill is not None:
            ear.fill.cancel()
        ear.tell_readers(all=True)

    def doubt(self) -> None:
        """The line has broken: who knows what was said meanwhile."""
        for ear in self.topics.values():
            ear.sure = False

    def hear(self, topic: str, data: bytes, position: Position) -> None:
        """A publication came."""
        ear = self.topics.get(topic)
        if ear is None:
            return
        if ear.fill is not None:
            self._wait(ear, data, position)
        elif not position:
            self._deliver(topic, data, position)
        elif not ear.begun:
            return  # the check at its beginning finds it
        elif self._follows(ear, position):
            ear.last = position
            self._deliver(topic, data, position)
            if ear.readers:
                ear.tell_readers()
        elif position.epoch != ear.last.epoch or position.offset > ear.last.offset:
            self._wait(ear, data, position)
            self._begin(topic, ear, position)

    async def check(self, topic: str) -> None:
        """See whether the log is further than what was heard. Raises BrokerError when it cannot be asked."""
        ear = self.topics.get(topic)
        if ear is None or ear.fill is not None or not ear.begun:
            return
        before = ear.last
        head = await self._look(topic)
        if self.topics.get(topic) is not ear or ear.fill is not None:
            return
        if ear.last is not before:  # something came while we asked, and may be newer than the answer
            if head == before or (head.epoch == ear.last.epoch and head.offset <= ear.last.offset):
                ear.sure = True
                return
        elif head == ear.last:
            ear.sure = True
            return
        if ear.sure and head.offset:  # the line is whole, and perhaps only late, be it with a log's beginning
            await self.reach(topic, head, LATE)
        else:
            self._begin(topic, ear, head)

    def _follows(self, ear: Ear, position: Position) -> bool:
        """Whether nothing can lie between what was last and this: it is the next, or the first of a new log."""
        last = ear.last
        if position.epoch == last.epoch:
            return position.offset == last.offset + 1
        return position.offset == 1 and (ear.sure or last is UNBORN)

    def _wait(self, ear: Ear, data: bytes, position: Position) -> None:
        if len(ear.waiting) >= WAITING:
            ear.waiting.clear()
        ear.waiting.append((data, position))

    # -- gaps ------------------------------------------------------------------------------------------------------

    def _begin(self, topic: str, ear: Ear, upto: Position) -> None:
        ear.reach(upto)
        if ear.fill is None:
            ear.fill = asyncio.get_running_loop().create_task(self._fill(topic, ear))

    async def _fill(self, topic: str, ear: Ear) -> None:
        try:
            while True:
                before, upto = ear.last, ear.upto
                if await self._fill_some(topic, ear):
                    continue
                if self._release(topic, ear):
                    if ear.upto is upto:
                        break
                elif ear.last is before and ear.upto is upto:  # the log does not have what was said to be in it
                    self._skip(topic, ear)
            ear.sure = True
            ear.tell_readers(all=True)
        except BrokerError as error:  # the line is broken again; the next one checks again
            ear.waiting.clear()
            ear.sure = False
            ear.tell_readers(error)
        except Exception as error:
            self._complain(f"a gap in {topic} could not be filled", error)
            ear.tell_readers(BrokerError("a gap could not be filled"))
        finally:
            ear.fill = None

    async def _fill_some(self, topic: str, ear: Ear) -> bool:
        """Deliver what follows, as far as the gap reaches, and say whether there is more."""
        after = ear.last
        if after is UNBORN:
            head = await self._look(topic)
            if head is UNBORN:
                return False
            after = Position(head.epoch, 0)
        page = await self._read(topic, after, PIECE)
        for entry in page.entries:
            if page.position.epoch == ear.upto.epoch and entry.offset > ear.upto.offset:
                return False
            ear.last = Position(page.position.epoch, entry.offset)
            self._deliver(topic, entry.data, ear.last)
        if page.entries or page.complete:
            return not page.complete
        ear.last = page.position
        self._missed(topic)
        return False

    def _skip(self, topic: str, ear: Ear) -> None:
        """Go on at what waits, and do not hide that something before it is missing."""
        _, position = ear.waiting[0]
        ear.last = Position(position.epoch, position.offset - 1)
        self._missed(topic)

    def _release(self, topic: str, ear: Ear) -> bool:
        """Deliver what waited, and say whether that was all: it was not where there is another gap."""
        waiting, ear.waiting = ear.waiting, []
        for place, (data, position) in enumerate(waiting):
            last = ear.last
            if not position:
                self._deliver(topic, data, NOWHERE)
            elif position.epoch == last.epoch and position.offset == last.offset + 1:
                ear.last = position
                self._deliver(topic, data, position)
            elif position.epoch != last.epoch or position.offset > last.offset:
                ear.waiting = waiting[place:]
                ear.reach(position)
                return False
        return True
