"""Generators that run the steps of coroutines. mypyc can make none that is awaited, so they stand by themselves."""

import asyncio
import types
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any, Final

Driver = Generator[Any, Any, None]

IDLE: Final = object()
"""What a driver yields instead of something to wait for: its coroutine has finished."""


@types.coroutine
def drive() -> Driver:
    """Takes one coroutine after the other by ``send``, and yields what it waits for. So the end of one is no
    StopIteration, which would be the dearest part of the step."""
    while True:
        coroutine = yield IDLE
        yield from coroutine


@types.coroutine
def rest(driver: Driver, waiting: Any, context: Context, cancelled: bool) -> Generator[Any, Any, None]:
    """All steps after the first, which waits for this; ``cancelled`` says that it shall not any more."""
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
        waiting = context.run(step, argument)
