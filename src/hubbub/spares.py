"""A task that waits for something to carry: what ``eager`` runs first steps in the name of."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Final

Driver = Generator[Any, Any, None]

IDLE: Final = object()
"""What a driver yields instead of something to wait for: its coroutine has finished."""


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
