"""One loop timer for every deadline there is.

A server of 10,000 idle connections has 10,000 heartbeats to think of. A loop timer each would cost a heap entry, a
handle and a cancellation per message; here each item lies in a bucket of 10 ms, and one timer wakes the next bucket.
An item whose deadline has moved away meanwhile is just laid into a later bucket: being busy costs nothing.

One of the items only sees how late it is: that is how late the loop is for everybody.
"""

import asyncio
import heapq
from typing import Protocol

GRAIN = 0.01
"""Seconds a bucket spans. Heartbeats are tens of seconds, and would be content with far more; the official suites
ping every 300 ms and count three pings within a second. A hundred wake-ups a second cost 0.05 % of a core."""

PULSE = 0.1
"""Seconds from one look at how late the loop is to the next. What holds it up for longer is always seen."""

WINDOW = 30.0
"""Seconds for which the worst is remembered, and up to twice that: the usual time between two questions is a half."""


def _bucket(deadline: float) -> int:
    """The bucket for this deadline: it is emptied when the clock has come to its number."""
    return int(deadline / GRAIN) + 1


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
        number = max(_bucket(item.deadline), self._passed + 1)
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


class Lateness:
    """How late the loop comes to a timer, in seconds: all in all, how often that was looked at, and at the worst of
    late. Reading it changes nothing, so any number of people may. To begin, have it watched."""

    __slots__ = ("_before", "_due", "_since", "_window", "count", "deadline", "total")

    def __init__(self, now: float) -> None:
        self.total = 0.0
        self.count = 0
        self._window = 0.0
        self._before = 0.0
        self._since = now
        self._aim(now)

    @property
    def worst(self) -> float:
        return max(self._window, self._before)

    def tick(self, now: float) -> None:
        late = max(0.0, now - self._due)
        self.total += late
        self.count += 1
        if now >= self._since + WINDOW:
            self._before, self._window, self._since = self._window, 0.0, now
        self._window = max(self._window, late)
        self._aim(now)

    def _aim(self, now: float) -> None:
        self.deadline: float | None = now + PULSE
        self._due = _bucket(now + PULSE) * GRAIN
