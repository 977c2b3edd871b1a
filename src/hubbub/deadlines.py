"""One loop timer for every deadline there is.

A server of 10,000 idle connections has 10,000 heartbeats to think of. A loop timer each would cost a heap entry, a
handle and a cancellation per message; here each item lies in a bucket of 10 ms, and one timer wakes the next bucket.
An item whose deadline has moved away meanwhile is just laid into a later bucket: being busy costs nothing.
"""

import asyncio
import heapq
from typing import Protocol

GRAIN = 0.01
"""Seconds a bucket spans. Heartbeats are tens of seconds, and would be content with far more; the official suites
ping every 300 ms and count three pings within a second. A hundred wake-ups a second cost 0.05 % of a core."""


class Timed(Protocol):
    """Something with a deadline on the loop's clock, or None for never."""

    deadline: float | None

    def tick(self, now: float) -> None:
        """The deadline has come. It sets a new one, or None."""


class Deadlines:
    """Calls ``tick`` on each item once its deadline has come, at most ``GRAIN`` late."""

    __slots__ = ("_buckets", "_loop", "_order", "_passed", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Timed]] = {}
        self._order: list[int] = []
        self._passed = 0
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """The clock that deadlines are read on."""
        return self._loop.time()

    def watch(self, item: Timed) -> None:
        """Mind this item from now on. Call again only when its deadline has moved nearer; to stop, set it to None."""
        if item.deadline is None:
            return
        # A bucket that is being emptied, or was, takes nothing more: it would be emptied for ever.
        number = max(int(item.deadline / GRAIN), self._passed) + 1
        bucket = self._buckets.get(number)
        if bucket is not None:
            bucket.add(item)
            return
        self._buckets[number] = {item}
        heapq.heappush(self._order, number)
        if self._order[0] == number:
            self._wake_at(number)

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
        self._buckets.clear()
        self._order.clear()

    def _wake_at(self, number: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(number * GRAIN, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._order and self._order[0] * GRAIN <= now:
            self._passed = heapq.heappop(self._order)
            for item in self._buckets.pop(self._passed):
                if item.deadline is not None and item.deadline <= now:
                    item.tick(now)
                self.watch(item)
        if self._order:
            self._wake_at(self._order[0])
