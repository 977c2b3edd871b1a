"""Threads for handlers that block, and the way back from them to the loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

T = TypeVar("T")

THREADS = 64
"""Threads that block cost memory, not the loop; asyncio's own pool of cores + 4 would let six slow handlers hold up all
others."""


class Workers:
    """Threads beside the loop that is running now."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._pool: ThreadPoolExecutor | None = None

    def in_thread(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]:
        """Run this in a thread, and wait for its result."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hubbub")
        return self._loop.run_in_executor(self._pool, partial(function, *arguments, **named))

    def on_loop(self, work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """Start this on the loop: from another thread, wait for it and give its result instead."""
        if threading.get_ident() == self._thread:
            return work()

        async def finish() -> T:
            return await work()

        return cast(Awaitable[T], asyncio.run_coroutine_threadsafe(finish(), self._loop).result())

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
