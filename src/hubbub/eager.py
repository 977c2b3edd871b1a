"""Run a coroutine's first step at once; only if it waits does it become a task.

Most handlers never wait: they validate, publish and return. A task for each would cost 3 to 6 microseconds of
creation and scheduling, a third of what a whole message costs. So the first step runs right here, in the name of a
spare task that is really there: ``asyncio.current_task()`` answers, timeouts and cancel scopes work. If the
coroutine finishes, the spare is as good as new. If it waits, the spare is woken and carries the rest of it, still
the same task, and a new spare takes its place.

(From Python 3.12 on asyncio has eager tasks, at some 1.5 microseconds each; this works on 3.11 and costs half.)
"""

import asyncio
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Final

try:
    from _asyncio import current_task  # type: ignore[attr-defined]
except ImportError:  # Python 3.11 has it only in Python, where this is all it does
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]

    current_task = _current_tasks.get

Driver = Generator[Any, Any, None]

IDLE: Final = object()
"""What a driver yields instead of something to wait for: its coroutine has finished."""


class Eager:
    """Starts coroutines on one event loop."""

    __slots__ = ("_loop", "_spare", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spare: Spare | None = Spare(loop)
        self.running: set[asyncio.Task[None]] = set()
        """Tasks that wait: held here, for the loop holds them only weakly."""

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run the first step now. Returns the task that carries the rest, or None when there is no rest.

        What the first step raises is raised here.
        """
        loop = self._loop
        spare, self._spare = self._spare, None  # what is started within this step has to find another
        if spare is None or spare.task.cancelling():  # the one before cancelled itself
            spare = Spare(loop)
        outer = current_task(loop)
        if outer is not None:
            _leave_task(loop, outer)
        _enter_task(loop, spare.task)
        context = copy_context()
        try:
            waiting = context.run(spare.step, coroutine)
        except BaseException:
            spare.task.cancel()
            raise
        finally:
            _leave_task(loop, spare.task)
            if outer is not None:
                _enter_task(loop, outer)
        if waiting is IDLE:
            if self._spare is not None:
                self._spare.task.cancel()
            self._spare = spare
            return None
        if self._spare is None:
            self._spare = Spare(loop)
        spare.carry(waiting, context)
        self._hold(spare.task, spare)
        return spare.task

    def close(self) -> None:
        """Dismiss the spare. Tasks that run go on."""
        if self._spare is not None:
            self._spare.task.cancel()

    def _hold(self, task: asyncio.Task[None], spare: "Spare") -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self.running.discard(task)
            if spare.waits:  # cancelled before it had begun: asyncio then never enters it, but the coroutine must hear
                self._hold(self._loop.create_task(spare.finish()), spare)

        self.running.add(task)
        task.add_done_callback(ended)


class Spare:
    """A task that waits for something to carry. ``step`` runs the first step of a coroutine, and gives what it waits
    for, or IDLE."""

    __slots__ = ("_context", "_driver", "_gate", "_waiting", "step", "task", "waits")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._driver = _drive()
        self.step: Callable[[Coroutine[Any, Any, None]], Any] = self._driver.send
        next(self._driver)
        self._gate: asyncio.Future[None] = loop.create_future()
        self._waiting: Any = None
        self._context: Context
        self.waits = False
        self.task: asyncio.Task[None] = loop.create_task(self._carry())

    def carry(self, waiting: Any, context: Context) -> None:
        """Wake the task: it waits for this now, and then takes the next steps."""
        self._waiting, self._context = waiting, context
        self.waits = True
        if not self._gate.done():
            self._gate.set_result(None)

    async def finish(self) -> None:
        """Let the coroutine hear that it was cancelled."""
        await self._rest(cancelled=True)

    async def _carry(self) -> None:
        cancelled = False
        try:
            await self._gate
        except asyncio.CancelledError:
            if not self.waits:
                raise
            cancelled = True  # between the first step and now: it is the coroutine that is meant
        await self._rest(cancelled)

    @types.coroutine
    def _rest(self, cancelled: bool) -> Generator[Any, Any, None]:
        self.waits = False
        waiting, driver = self._waiting, self._driver
        step: Callable[[Any], Any]
        while waiting is not IDLE:
            try:
                if cancelled:
                    cancelled = False
                    if waiting is not None:
                        waiting._asyncio_future_blocking = False
                        waiting.cancel()
                    raise asyncio.CancelledError
                sent = yield waiting
            except GeneratorExit:
                driver.close()
                raise
            except BaseException as error:
                step, argument = driver.throw, error
            else:
                step, argument = driver.send, sent
            waiting = self._context.run(step, argument)


@types.coroutine
def _drive() -> Driver:
    """Takes one coroutine after the other by ``send``, and yields what it waits for. So the end of one is no
    StopIteration, which would be the dearest part of the step."""
    while True:
        coroutine = yield IDLE
        yield from coroutine
