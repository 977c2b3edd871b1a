"""One timer for every deadline."""

import asyncio
import time

from hubbub.deadlines import GRAIN, PULSE, WINDOW, Deadlines, Lateness


class Item:
    def __init__(self, deadline):
        self.deadline = deadline
        self.ticks = []
        self.rung = asyncio.Event()

    def tick(self, now):
        self.ticks.append(now)
        self.deadline = None
        self.rung.set()


async def test_each_is_ticked_once_its_deadline_has_come():
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    start = loop.time()
    items = [Item(start + delay) for delay in (0.12, 0.02, 0.07)]
    wanted = [item.deadline for item in items]
    for item in items:
        deadlines.watch(item)
    async with asyncio.timeout(20):
        for item in items:
            await item.rung.wait()
    for item, deadline in zip(items, wanted, strict=True):
        assert len(item.ticks) == 1
        assert item.ticks[0] >= deadline


async def test_one_that_moved_away_is_left_alone_until_then():
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    item = Item(loop.time() + 0.01)
    deadlines.watch(item)
    moved = item.deadline = loop.time() + 0.2
    async with asyncio.timeout(20):
        await item.rung.wait()
    assert item.ticks[0] >= moved


async def test_one_without_a_deadline_is_forgotten():
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    item, other = Item(loop.time() + 0.01), Item(loop.time() + 0.15)
    deadlines.watch(item)
    deadlines.watch(other)
    item.deadline = None
    async with asyncio.timeout(20):
        await other.rung.wait()
    assert not item.ticks


class Restless(Item):
    """Its deadline is always now, or a hair later than the clock that woke it."""

    def tick(self, now):
        self.ticks.append(now)
        self.deadline = None if len(self.ticks) == 5 else now + 1e-9
        if self.deadline is None:
            self.rung.set()


async def test_one_that_is_due_again_at_once_does_not_hold_up_the_loop():
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    items = [Restless(loop.time() + number / 1_000) for number in range(50)]
    for item in items:
        deadlines.watch(item)
    async with asyncio.timeout(20):
        for item in items:
            await item.rung.wait()
    assert all(len(item.ticks) == 5 for item in items)


# -- lateness -------------------------------------------------------------------------------------------------------


def late(lateness, seconds):
    """Wake it that much after it was due."""
    bucket = int(lateness.deadline / GRAIN) + 1
    lateness.tick(bucket * GRAIN + seconds)


def test_how_late_is_counted_from_when_it_was_due():
    lateness = Lateness(100.0)
    for seconds in (0.0, 0.5, 0.25):
        late(lateness, seconds)
    assert lateness.count == 3
    assert abs(lateness.total - 0.75) < 1e-9
    assert abs(lateness.worst - 0.5) < 1e-9


def test_a_timer_that_is_a_hair_too_early_is_not_late():
    lateness = Lateness(100.0)
    late(lateness, -1e-4)
    assert (lateness.total, lateness.worst) == (0.0, 0.0)


def test_the_worst_is_remembered_for_a_window_and_no_longer_than_two():
    lateness = Lateness(0.0)
    late(lateness, 2.0)
    while lateness.deadline < WINDOW:
        late(lateness, 0.0)
        assert abs(lateness.worst - 2.0) < 1e-9
    while lateness.deadline < 2 * WINDOW + 3 * PULSE:
        late(lateness, 0.0)
    assert lateness.worst < 1e-9


def test_reading_it_changes_nothing():
    lateness = Lateness(0.0)
    late(lateness, 2.0)
    assert lateness.worst == lateness.worst > 1.9


async def test_a_loop_that_was_held_up_is_late():
    loop = asyncio.get_running_loop()
    deadlines, lateness = Deadlines(loop), Lateness(loop.time())
    item = Item(lateness.deadline)
    deadlines.watch(lateness)
    deadlines.watch(item)
    time.sleep(0.5)  # noqa: ASYNC251 (which is what is to be seen)
    async with asyncio.timeout(20):
        await item.rung.wait()
        await asyncio.sleep(0)
    assert lateness.worst >= 0.5 - PULSE - 2 * GRAIN
    deadlines.close()
