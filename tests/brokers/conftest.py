"""Brokers that are closed when the test ends."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.sqlite import SqliteBroker


class Clock:
    """Seconds since 1970, as the test wants them."""

    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chat.db"


@pytest.fixture
async def sqlite(path, clock):
    """Starts a broker over the test's file, whenever it is awaited. What the broker delivers is in ``delivered``."""
    brokers = []

    async def start(file=path):
        broker = SqliteBroker(f"sqlite:///{file}", clock=clock)
        broker.delivered = []
        await broker.start(lambda *publication: broker.delivered.append(publication))
        brokers.append(broker)
        return broker

    yield start
    for broker in brokers:
        await broker.close()


@pytest.fixture
def query(path):
    """Ask the file itself, when no broker has it: ``query("SELECT ...")`` gives rows. Changes are committed."""

    def ask(sql, *values):
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    return ask


class Heard:
    """What a broker delivered, and which topics it missed something of, in the order of the calls."""

    def __init__(self, broker):
        self.broker = broker
        self.publications = []
        self.missed = []
        self._changed = asyncio.Event()
        broker.missed = self._miss

    def deliver(self, topic, data, position):
        self.publications.append((topic, data, position))
        self._changed.set()

    def _miss(self, topic):
        self.missed.append((topic, len(self.publications)))
        self._changed.set()

    def of(self, topic="chat"):
        return [data for name, data, _ in self.publications if name == topic]

    async def until(self, true, seconds=15):
        """Wait until this is so."""
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def redis():
    """Starts a broker at a URL, whenever it is awaited. ``broker.heard`` is what came of it."""
    brokers = []

    async def start(url, *topics):
        broker = RedisBroker(url)
        broker.heard = Heard(broker)
        await broker.start(broker.heard.deliver)
        brokers.append(broker)
        for topic in topics:
            await broker.subscribe(topic)
        return broker

    yield start
    for broker in brokers:
        await broker.close()
