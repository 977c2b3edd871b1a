"""Topics in this process alone: what was published is gone when it ends.

Everything happens inside the call to ``publish``, which is what makes it cheap: nothing waits, nothing is queued.
"""

import asyncio
import time
from collections.abc import Callable

from hubbub.brokers.base import Broker, Deliver, Done
from hubbub.brokers.epochs import Promises
from hubbub.errors import BrokerError, UsageError
from hubbub.history import NOWHERE, WINDOW, Keep, Log, Page, Position, Seen

SWEEP = 60.0
"""Seconds from one sweep to the next. What has expired is never shown; it only costs memory until then."""

SLICE = 1_000
"""Logs looked at in one go, in a millisecond or two: so a sweep of a million logs delays nobody."""

SENT = Done(NOWHERE)


class MemoryBroker(Broker):
    """``memory://``. ``clock`` gives seconds and never goes back."""

    def __init__(self, url: str = "memory://", *, clock: Callable[[], float] = time.monotonic) -> None:
        if url != "memory://":
            raise UsageError("the memory broker has nothing to configure: it is memory://")
        self._clock = clock
        self._logs: dict[str, Log] = {}
        self._promises = Promises()
        self._unkept: Seen[tuple[str, str]] = Seen()
        self._deliver: Deliver = _closed
        self._round: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep_on)

    async def close(self) -> None:
        self._deliver = _closed
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def publish(self, topic: str, data: bytes, keep: Keep | None, id: str | None = None) -> Done:
        if keep is None:
            if id is None or self._is_new(topic, id):
                self._deliver(topic, data, NOWHERE)
            return SENT
        log = self._logs.get(topic)
        if log is None:
            log = self._logs[topic] = Log(self._promises.keep(topic))
        position, new = log.append(data, keep, self._clock(), id)
        if new:
            self._deliver(topic, data, position)
        return Done(position)

    async def read(
        self, topic: str, *, after: Position | None = None, before: Position | None = None, limit: int = 1_000
    ) -> Page:
        log = self._logs.get(topic)
        if log is None:
            log = Log(self._promises.make(topic))
        else:
            log.trim(log.keep, self._clock())
        return log.read(after, before, limit)

    def _is_new(self, topic: str, id: str) -> bool:
        now = self._clock()
        if self._unkept.find((topic, id), now) is not None:
            return False
        self._unkept.add((topic, id), 0, now)
        return True

    # -- forgetting ------------------------------------------------------------------------------------------------

    def sweep(self) -> bool:
        """Go through the next ``SLICE`` logs, and say whether that was the last of them.

        Expired entries go at once. A log is forgotten when its last entry has been expired for as long again as it
        was kept: whoever saw that entry had the whole of ``Keep.seconds`` to come back, and no id of it counts.
        """
        now = self._clock()
        self._unkept.forget(now - WINDOW)
        if not self._round:
            self._round = list(self._logs)
        for topic in self._round[-SLICE:]:
            log = self._logs[topic]
            log.trim(log.keep, now)
            log.ids.forget(now - WINDOW)
            if now - log.touched > max(2 * log.keep.seconds, WINDOW):
                del self._logs[topic]
        del self._round[-SLICE:]
        return not self._round

    def _sweep_on(self) -> None:
        last = self.sweep()
        self._timer = asyncio.get_running_loop().call_later(SWEEP if last else 0.0, self._sweep_on)


def _closed(topic: str, data: bytes, position: Position) -> None:
    raise BrokerError("the broker is not running")
