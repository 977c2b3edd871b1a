"""SQLite brokers that are closed when the test ends."""

import sqlite3
from contextlib import closing

import pytest

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
