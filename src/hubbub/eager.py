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
from typing import Any

Step = tuple[Coroutine[Any, Any, None], Any, Context]


class Eager:
    """Starts coroutines on one event loop."""

    __slots__ = ("_gate", "_loop", "_slot", "_spare", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.running: set[asyncio.Task[None]] = set()
        """Tasks that wait: held here, for the loop holds them only weakly."""
        self._renew()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run the first step now. Returns the task that carries the rest, or None when there is no rest.

        What the first step raises is raised here.
        """
        loop, spare = self._loop, self._spare
        if spare.done() or spare.cancelling():  # the one before cancelled itself
            self._renew()
            spare = self._spare
        outer = asyncio.current_task(loop)
        if outer is not None:
            _leave_task(loop, outer)
        _enter_task(loop, spare)
        context = copy_context()
        try:
            waiting = context.run(coroutine.send, None)
        except StopIteration:
            return None
        finally:
            _leave_task(loop, spare)
            if outer is not None:
                _enter_task(loop, outer)
        self._slot.append((coroutine, waiting, context))
        if not self._gate.done():
            self._gate.set_result(None)
        self._hold(spare, self._slot)
        self._renew()
        return spare

    def close(self) -> None:
        """Dismiss the spare. Tasks that run go on."""
        self._spare.cancel()

    def _hold(self, task: asyncio.Task[None], slot: list[Step]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self.running.discard(task)
            if slot:  # cancelled before it had begun: asyncio then never enters it, but the coroutine must hear of it
                self._hold(self._loop.create_task(_finish(*slot.pop())), slot)

        self.running.add(task)
        task.add_done_callback(ended)

    def _renew(self) -> None:
        self._gate: asyncio.Future[None] = self._loop.create_future()
        self._slot: list[Step] = []
        self._spare: asyncio.Task[None] = self._loop.create_task(_carry(self._gate, self._slot))


async def _carry(gate: asyncio.Future[None], slot: list[Step]) -> None:
    cancelled = False
    try:
        await gate
    except asyncio.CancelledError:
        if not slot:
            raise
        cancelled = True  # between the first step and now: it is the coroutine that is meant
    await _rest(*slot.pop(), cancelled)


async def _finish(coroutine: Coroutine[Any, Any, None], waiting: Any, context: Context) -> None:
    await _rest(coroutine, waiting, context, cancelled=True)


@types.coroutine
def _rest(
    coroutine: Coroutine[Any, Any, None], waiting: Any, context: Context, cancelled: bool
) -> Generator[Any, Any, None]:
    step: Callable[[Any], Any]
    while True:
        try:
            if cancelled:
                cancelled = False
                if waiting is not None:
                    waiting._asyncio_future_blocking = False
                    waiting.cancel()
                raise asyncio.CancelledError
            sent = yield waiting
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:
            step, argument = coroutine.throw, error
        else:
            step, argument = coroutine.send, sent
        try:
            waiting = context.run(step, argument)
        except StopIteration:
            return
