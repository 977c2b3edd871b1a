"""A task that waits for something to carry: what ``eager`` runs first steps in the name of."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from hubbub.drivers import Driver, drive, rest


class Spare:
    """A task that waits for something to carry. ``step`` runs the first step of a coroutine, and gives what it waits
    for, or ``drivers.IDLE``."""

    __slots__ = ("_context", "_driver", "_gate", "_waiting", "step", "task", "waits")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._driver: Driver = drive()
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

    async def _rest(self, cancelled: bool) -> None:
        self.waits = False
        await rest(self._driver, self._waiting, self._context, cancelled)
