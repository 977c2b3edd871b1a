"""Hearing in time that the process is to end.

Servers of others wait until every open request has ended, and say ``lifespan.shutdown`` only then. But an event stream
does not end before it is told to, and a poll takes its time: uvicorn would wait for ever. So where one of them runs us,
we listen to the signals that it listens to.

Signals belong to whoever runs the process: its handlers are called as before, and put back in the end.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def listening(told: Callable[[], None]) -> Iterator[None]:
    """Have ``told`` called on the event loop when a signal asks the process to end. Only the main thread may listen;
    and where nobody handles a signal it ends the process at once, and there is nothing to do."""
    loop = asyncio.get_running_loop()
    theirs: dict[int, Callable[[int, FrameType | None], object]] = {}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(told)
        theirs[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                theirs[number] = handler
                signal.signal(number, hear)
    try:
        yield
    finally:
        for heard, handler in theirs.items():
            if signal.getsignal(heard) is hear:  # and nobody else has come after us
                signal.signal(heard, handler)
