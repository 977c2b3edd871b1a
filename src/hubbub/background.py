"""What an application does beside its clients: coroutines that run as long as it does.

Rules:

1. They begin when the application has started, each once in a process, and are cancelled when it stops: after the
   clients were sent away, before the broker is closed.
2. One that fails is logged, and not begun again: nobody can know from here whether it may be. Nothing else stops by it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from hubbub.errors import UsageError

Task = Callable[[], Awaitable[Any]]
Complain = Callable[[str, BaseException], None]

PATIENCE = 5.0
"""Seconds that one may take to end when it was cancelled."""


class Background:
    """One application's."""

    def __init__(self) -> None:
        self._functions: list[Task] = []
        self._running: dict[asyncio.Task[None], Task] = {}

    def add(self, function: Task) -> None:
        """Raises UsageError for what cannot run in the background."""
        if not inspect.iscoroutinefunction(function) or inspect.signature(function).parameters:
            raise UsageError(f"{_name(function)}: what runs in the background is an async def without parameters")
        self._functions.append(function)

    def start(self, complain: Complain) -> None:
        """Begin them all. Raises nothing: what fails is complained of."""
        loop = asyncio.get_running_loop()
        self._running = {loop.create_task(_run(function, complain)): function for function in self._functions}

    async def close(self, complain: Complain, seconds: float) -> None:
        """Cancel what runs, and wait until it has ended, for ``seconds`` and ``PATIENCE`` at the most."""
        for task in self._running:
            task.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=min(seconds, PATIENCE))
            for task in late:
                name = _name(self._running[task])
                complain(f"the background task {name} does not end", TimeoutError("it was cancelled, and went on"))
        self._running = {}


async def _run(function: Task, complain: Complain) -> None:
    try:
        await function()
    except Exception as error:
        complain(f"the background task {_name(function)} failed, and does not run any more", error)


def _name(function: Task) -> str:
    return getattr(function, "__qualname__", repr(function))
