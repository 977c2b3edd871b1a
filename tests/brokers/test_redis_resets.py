"""A line to Redis that is reset while nobody uses it, as firewalls do: under the loop that `hubbub run` has."""

import asyncio
import logging

import pytest

from hubbub.brokers.redis import RedisBroker
from hubbub.history import Keep

from ..faults.proxy import FaultProxy

uvloop = pytest.importorskip("uvloop")
COUNT = 10


async def play(port):
    proxy = await FaultProxy(port).start()
    heard = []
    broker = RedisBroker(f"redis://127.0.0.1:{proxy.port}/0")
    await broker.start(lambda topic, data, position: heard.append(position.offset))
    try:
        await broker.subscribe("chat")
        for number in range(COUNT):
            proxy.reset()
            await asyncio.sleep(0.005)  # the reset arrives, or is on its way: neither may matter
            position = await broker.publish("chat", b"hello", Keep(), id=str(number))
            assert position.offset == number + 1
            await broker.read("chat")
        proxy.reset()
        await asyncio.sleep(0.005)
        await broker.subscribe("another")
    finally:
        await broker.close()
        await proxy.close()
    return heard


def test_a_publication_outlives_a_reset_of_the_line(redis_server, caplog):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        heard = runner.run(asyncio.wait_for(play(redis_server.port), 30))
    assert heard == list(range(1, COUNT + 1))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
