"""Our brokers keep the contract that every broker keeps."""

import itertools

import pytest

from hubbub.brokers import create
from hubbub.testing.contracts import check_broker

from ..redis_server import RedisServer, redis, valkey


async def test_memory():
    await check_broker(lambda: create("memory://"))


async def test_sqlite(tmp_path):
    numbers = itertools.count()
    await check_broker(
        lambda: create(f"sqlite:///{tmp_path}/{next(numbers)}.db"),
        reopen=lambda broker: create(f"sqlite:///{broker.path}"),
    )


@pytest.mark.parametrize("binary", [valkey, redis])
async def test_redis(binary, tmp_path):
    server = RedisServer(tmp_path, binary()).start()
    numbers = itertools.count()
    try:
        await check_broker(
            lambda: create(f"{server.url}?prefix=contract{next(numbers)}"),
            reopen=lambda broker: create(broker.url),
        )
    finally:
        server.kill()
