"""Our brokers keep the contract that every broker keeps."""

import itertools

from hubbub.brokers import create
from hubbub.testing.contracts import check_broker


async def test_memory():
    await check_broker(lambda: create("memory://"))


async def test_sqlite(tmp_path):
    numbers = itertools.count()
    await check_broker(
        lambda: create(f"sqlite:///{tmp_path}/{next(numbers)}.db"),
        reopen=lambda broker: create(f"sqlite:///{broker.path}"),
    )


async def test_redis(shared_redis):
    numbers = itertools.count()
    await check_broker(
        lambda: create(f"{shared_redis.url}?prefix=contract{next(numbers)}"),
        reopen=lambda broker: create(broker.url),
    )
