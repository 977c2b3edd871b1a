"""Hearing in time that the process is to end, beside whoever else hears of it."""

import asyncio
import os
import signal
import threading

import pytest

from hubbub.signals import listening


@pytest.fixture
def theirs():
    """A server's own handler, as the main thread has it; and what it heard."""
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


async def test_a_signal_is_told_and_the_servers_own_handler_is_called(theirs):
    handler = signal.getsignal(signal.SIGTERM)
    told = asyncio.Event()
    with listening(told.set):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(told.wait(), 10)
        assert theirs == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is handler


async def test_a_handler_that_came_later_stays(theirs):
    def later(number, frame):
        """It is never called."""

    with listening(lambda: None):
        signal.signal(signal.SIGTERM, later)
    assert signal.getsignal(signal.SIGTERM) is later


async def test_a_signal_that_nobody_handles_ends_the_process_as_before(theirs):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with listening(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_another_thread_than_the_main_one_leaves_signals_alone(theirs):
    seen = []

    async def look():
        with listening(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=asyncio.run, args=(look(),))
    thread.start()
    thread.join(10)
    assert seen == [signal.getsignal(signal.SIGTERM)]
