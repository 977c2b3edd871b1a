"""A coroutine that never waits costs no task; one that does is a real task from its first step on."""

import asyncio
from contextvars import ContextVar

import pytest

from hubbub.eager import Eager

who: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
async def eager():
    eager = Eager(asyncio.get_running_loop())
    yield eager
    eager.close()


async def test_one_that_never_waits_has_finished_when_start_returns(eager):
    said = []

    async def speak():
        said.append("hello")

    assert eager.start(speak()) is None
    assert said == ["hello"]


async def test_the_task_of_the_first_step_is_the_task_of_the_rest(eager):
    seen = []

    async def look():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    caller = asyncio.current_task()
    task = eager.start(look())
    assert asyncio.current_task() is caller
    await task
    assert seen[0] is seen[1] is task


async def test_timeouts_work_from_the_first_step_on(eager):
    ended = []

    async def wait():
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            ended.append("in time")

    await eager.start(wait())
    assert ended == ["in time"]


async def test_a_cancel_before_the_task_has_woken_reaches_the_coroutine(eager):
    ended = []

    async def wait():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    task = eager.start(wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def test_one_that_cancels_itself_does_not_spoil_the_next(eager):
    ended = []

    async def give_up():
        asyncio.current_task().cancel()

    async def give_up_and_wait():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            ended.append("cancelled")

    eager.start(give_up())
    task = eager.start(give_up_and_wait())
    await asyncio.wait((task,), timeout=20)
    await eager.start(asyncio.sleep(0))
    assert ended == ["cancelled"]


async def test_each_has_a_context_of_its_own_that_lasts(eager):
    seen = []

    async def be(name):
        seen.append(who.get())
        who.set(name)
        await asyncio.sleep(0)
        seen.append(who.get())

    await asyncio.gather(eager.start(be("ada")), eager.start(be("bob")))
    assert sorted(seen) == ["ada", "bob", "nobody", "nobody"]
    assert who.get() == "nobody"


async def test_what_the_rest_raises_is_raised_by_the_task(eager):
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        await eager.start(fail())


async def test_what_the_first_step_raises_is_raised_at_once(eager):
    async def fail():
        raise ValueError("early")

    with pytest.raises(ValueError, match="early"):
        eager.start(fail())


async def test_tasks_that_wait_are_held(eager):
    event = asyncio.Event()
    task = eager.start(event.wait())
    assert task in eager.running
    event.set()
    await task
    await asyncio.sleep(0)
    assert not eager.running


async def test_one_that_starts_another_within_its_first_step(eager):
    seen, started = {"outer": set(), "inner": set()}, []

    async def wait(name, inner=None):
        seen[name].add(asyncio.current_task())
        if inner is not None:
            started.append(eager.start(inner))
        seen[name].add(asyncio.current_task())
        await asyncio.sleep(0)
        seen[name].add(asyncio.current_task())

    outer = eager.start(wait("outer", wait("inner")))
    await asyncio.wait((outer, *started), timeout=20)
    assert seen == {"outer": {outer}, "inner": set(started)}
    assert outer not in started


async def test_one_spare_is_enough(eager):
    async def start(inner=None):
        if inner is not None:
            assert eager.start(inner) is None

    assert eager.start(start(start(start()))) is None
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 2
