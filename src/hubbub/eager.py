"""Run a coroutine's first step at once; only if it waits does it become a task.

Most handlers never wait: they validate, publish and return. A task for each would cost 3 to 6 microseconds of
creation and scheduling, a third of what a whole message costs. So the first step runs right here, in the name of a
spare task that is really there: ``asyncio.current_task()`` answers, timeouts and cancel scopes work. If the
coroutine finishes, the spare is as good as new. If it waits, the spare is woken and carries the rest of it, still
the same task, and a new spare takes its place.

(From Python 3.12 on asyncio has eager tasks, at some 1.5 microseconds each; this works on 3.11 and costs half.)
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, Final

from hubbub.drivers import IDLE
from hubbub.spares import Spare

try:
    from _asyncio import current_task  # type: ignore[attr-defined]
except ImportError:  # Python 3.11 has it only in Python, where this is all it does
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]

    current_task = _current_tasks.get

# Looked up here, once: in a compiled module every other name is looked up each time.
_IDLE: Final = IDLE
_current_task: Final = current_task
_enter_task: Final = asyncio.tasks._enter_task
_leave_task: Final = asyncio.tasks._leave_task
_copy_context: Final = contextvars.copy_context


class Eager:
    """Starts coroutines on one event loop."""

    __slots__ = ("_loop", "_spares", "running")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spares = [Spare(loop)]
        """One, between two calls. What is started within a first step has to find another."""
        self.running: set[asyncio.Task[None]] = set()
        """Tasks that wait: held here, for the loop holds them only weakly."""

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run the first step now. Returns the task that carries the rest, or None when there is no rest.

        What the first step raises is raised here.
        """
        loop, spares = self._loop, self._spares
        spare = spares.pop() if spares else Spare(loop)
        if spare.task.cancelling():  # the one before cancelled itself
            spare = Spare(loop)
        outer = _current_task(loop)
        if outer is not None:
            _leave_task(loop, outer)
        _enter_task(loop, spare.task)
        context = _copy_context()
        try:
            waiting = context.run(spare.step, coroutine)
        except BaseException:
            spare.task.cancel()
            raise
        finally:
            _leave_task(loop, spare.task)
            if outer is not None:
                _enter_task(loop, outer)
        if waiting is _IDLE:
            if spares:
                spares.pop().task.cancel()
            spares.append(spare)
            return None
        if not spares:
            spares.append(Spare(loop))
        spare.carry(waiting, context)
        self._hold(spare.task, spare)
        return spare.task

    def close(self) -> None:
        """Dismiss the spare. Tasks that run go on."""
        for spare in self._spares:
            spare.task.cancel()

    def _hold(self, task: asyncio.Task[None], spare: Spare) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self.running.discard(task)
            if spare.waits:  # cancelled before it had begun: asyncio then never enters it, but the coroutine must hear
                self._hold(self._loop.create_task(spare.finish()), spare)

        self.running.add(task)
        task.add_done_callback(ended)
