"""Topics in one SQLite file: what ``publish`` has returned survives this process, and the machine losing its power.

``publish`` puts the publication into a queue, which fixes the order. One thread takes all that waits into one
transaction, and when that is on disk, tells the event loop, once: deliver these, in this order, and resolve their
results. A publication that is not kept is delivered at once; only where kept ones of its topic are under way does it
go behind them, for one caller's publications arrive in the order of the calls.

Reads are made by the same thread, between two commits. So a page never shows what was not delivered yet.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from hubbub.brokers.base import Broker, Deliver, Done
from hubbub.brokers.sqlite_file import path_of
from hubbub.brokers.sqlite_logs import BATCH, Draft, Logs, Outcome
from hubbub.errors import BrokerError
from hubbub.history import NOWHERE, Keep, Page, Position, Seen

WAITING = 100_000
"""Publications that may wait for the disk. It is seconds behind by then, and more would only wait longer."""

READS = 16
"""Reads between two commits. A page of 50 entries takes 0.1 ms, one of 1,000 takes 1.5 ms."""

CHECKPOINT = 4_000
"""Pages in the write-ahead log (16 MiB) that are brought into the database even when there is no quiet moment."""

QUIET = 0.2
"""Seconds without anything to do that make a quiet moment."""

SWEEP = 60.0
"""Seconds from one sweep to the next. What has expired is never shown; it only takes room until then."""

SENT = Done(NOWHERE)


def steady_clock() -> Callable[[], float]:
    """Seconds since 1970 as they are now, counted on: who sets the clock of the machine later moves nothing."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()


class SqliteBroker(Broker):
    """``sqlite:///chat.db``. ``clock`` gives seconds since 1970 and never goes back."""

    durable = True

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None) -> None:
        self.path = path_of(url)
        self._clock = clock or steady_clock()
        self._queue: deque[Draft] = deque()
        self._reads: deque[tuple[str, Position | None, Position | None, int, asyncio.Future[Page]]] = deque()
        self._pending: dict[str, int] = {}
        """How many of a topic are in the queue or on their way to the disk."""
        self._unkept: Seen[tuple[str, str]] = Seen()
        self._wake = threading.Event()
        self._running = False
        self._deliver: Deliver
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        started = self._loop.create_future()
        threading.Thread(target=self._work, args=(started,), name=f"hubbub {self.path}", daemon=True).start()
        await started

    async def close(self) -> None:
        if self._running:
            self._running = False
            self._wake.set()
            await asyncio.shield(self._ended)

    def publish(self, topic: str, data: bytes, keep: Keep | None, id: str | None = None) -> Awaitable[Position]:
        if not self._running:
            raise BrokerError("the broker is not running")
        if keep is None:
            self._pass(topic, data, id)
            return SENT
        if len(self._queue) >= WAITING:
            raise BrokerError("the disk is too slow for what is published")
        if not (topic.isascii() and (id is None or id.isascii())):
            _check_text(topic, id)
        result = self._loop.create_future()
        self._enqueue((topic, data, keep, id, result))
        return result

    async def read(
        self, topic: str, *, after: Position | None = None, before: Position | None = None, limit: int = 1_000
    ) -> Page:
        if not self._running:
            raise BrokerError("the broker is not running")
        result: asyncio.Future[Page] = self._loop.create_future()
        self._reads.append((topic, after, before, limit, result))
        self._wake.set()
        return await result

    # -- on the loop -----------------------------------------------------------------------------------------------

    def _pass(self, topic: str, data: bytes, id: str | None) -> None:
        if id is not None:
            now = self._clock()
            if self._unkept.find((topic, id), now) is not None:
                return
            self._unkept.add((topic, id), 0, now)
        if topic not in self._pending:
            self._deliver(topic, data, NOWHERE)
        elif len(self._queue) < WAITING:  # else it is lost, as it may be
            self._enqueue((topic, data, None, None, None))

    def _enqueue(self, draft: Draft) -> None:
        self._queue.append(draft)
        self._pending[draft[0]] = self._pending.get(draft[0], 0) + 1
        if not self._wake.is_set():
            self._wake.set()

    def _settle(self, batch: Sequence[Draft], outcomes: Sequence[Outcome] | BrokerError) -> None:
        """The end of a commit: deliver what is new, resolve the results; or refuse."""
        if isinstance(outcomes, BrokerError):
            self._refuse(batch, outcomes)
            return
        pending, deliver = self._pending, self._deliver
        for (topic, data, _, _, result), (position, new) in zip(batch, outcomes, strict=True):
            left = pending[topic] - 1
            if left:
                pending[topic] = left
            else:
                del pending[topic]
            if new:
                deliver(topic, data, position)
            if result is not None and not result.done():
                result.set_result(position)

    def _refuse(self, batch: Sequence[Draft], error: BrokerError) -> None:
        for topic, data, keep, _, result in batch:
            left = self._pending[topic] - 1
            if left:
                self._pending[topic] = left
            else:
                del self._pending[topic]
            if keep is None:
                self._deliver(topic, data, NOWHERE)
            elif not result.done():
                result.set_exception(BrokerError(error.reason))

    def _end(self) -> None:
        """The thread is done. Were it by a fault of its own, somebody might still wait."""
        closed = BrokerError("the broker is not running")
        self._refuse(list(self._queue), closed)
        _resolve(*[(result, closed) for *_, result in self._reads], (self._ended, None))

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _work(self, started: asyncio.Future[None]) -> None:
        try:
            logs = Logs(self.path, self._clock)
        except Exception as error:
            self._tell(_resolve, (started, error))
            return
        self._running = True
        self._tell(_resolve, (started, None))
        try:
            self._serve(logs)
        finally:
            logs.close()
            self._running = False
            self._tell(self._end)

    def _serve(self, logs: Logs) -> None:
        """Until the broker is closed and nothing waits any more."""
        sweep_at = time.monotonic() + SWEEP
        while True:
            self._wake.clear()
            closing = not self._running
            if self._queue:
                self._commit(logs)
            if self._reads:
                self._answer(logs)
            busy = self._queue or self._reads
            if closing and not busy:
                return
            if time.monotonic() >= sweep_at:
                if logs.sweep():
                    sweep_at = time.monotonic() + SWEEP
            elif not busy:
                quiet = not self._wake.wait(QUIET if logs.unsaved else sweep_at - time.monotonic())
                if quiet and logs.unsaved:
                    logs.checkpoint()

    def _commit(self, logs: Logs) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
        try:
            outcomes: Sequence[Outcome] | BrokerError = logs.append(batch)
        except BrokerError as error:
            outcomes = error
        self._tell(self._settle, batch, outcomes)
        if logs.unsaved >= CHECKPOINT:
            logs.checkpoint()

    def _answer(self, logs: Logs) -> None:
        answers: list[tuple[asyncio.Future[Page], Page | BrokerError]] = []
        for _ in range(min(len(self._reads), READS)):
            topic, after, before, limit, result = self._reads.popleft()
            try:
                answers.append((result, logs.read(topic, after, before, limit)))
            except BrokerError as error:
                answers.append((result, error))
        self._tell(_resolve, *answers)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left who waits
            self._loop.call_soon_threadsafe(function, *arguments)


def _resolve(*answers: tuple[asyncio.Future[Any], Any]) -> None:
    for result, answer in answers:
        if result.done():
            continue
        if isinstance(answer, Exception):
            result.set_exception(answer)
        else:
            result.set_result(answer)


def _check_text(*texts: str | None) -> None:
    try:
        "".join(filter(None, texts)).encode()
    except UnicodeEncodeError:
        raise BrokerError("topics and ids are text, without lone surrogates") from None
