"""One timer for every deadline."""

import asyncio

from hubbub.deadlines import Deadlines


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
