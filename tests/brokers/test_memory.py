"""Topics in memory: what is forgotten, and when."""

import asyncio

import pytest

from hubbub.brokers import epochs, memory
from hubbub.brokers.memory import SLICE, MemoryBroker
from hubbub.errors import BrokerError, UsageError
from hubbub.history import NOWHERE, WINDOW, Keep, Position

HOUR = Keep(count=100, seconds=3_600)


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def broker(clock):
    broker = MemoryBroker(clock=clock)
    broker.delivered = []
    await broker.start(lambda *publication: broker.delivered.append(publication))
    yield broker
    await broker.close()


def test_delivery_happens_inside_the_call(broker):
    broker.publish("chat", b"unkept", None)
    broker.publish("chat", b"kept", HOUR)
    assert [data for _, data, _ in broker.delivered] == [b"unkept", b"kept"]


async def test_an_id_is_known_for_ten_minutes(broker, clock):
    first = await broker.publish("chat", b"1", HOUR, id="x")
    clock.now += WINDOW
    assert await broker.publish("chat", b"1", HOUR, id="x") == first
    clock.now += 1
    assert (await broker.publish("chat", b"1", HOUR, id="x")).offset == 2


async def test_an_id_of_the_unkept_is_known_for_ten_minutes(broker, clock):
    for seconds in (0, WINDOW, 1):
        clock.now += seconds
        assert await broker.publish("chat", b"hi", None, id="x") == NOWHERE
    assert len(broker.delivered) == 2


async def test_the_expired_is_not_shown_before_it_is_swept(broker, clock):
    head = await broker.publish("chat", b"1", HOUR)
    clock.now += 3_600.5
    page = await broker.read("chat")
    assert not page.entries
    assert page.position == head
    assert not page.complete


async def test_a_log_is_known_as_long_as_somebody_may_come_back(broker, clock):
    head = await broker.publish("chat", b"1", HOUR)
    clock.now += 7_199
    broker.sweep()
    assert (await broker.read("chat", after=head)).complete
    clock.now += 2
    broker.sweep()
    page = await broker.read("chat", after=head)
    assert not page.complete
    assert page.position.epoch != head.epoch
    assert await broker.publish("chat", b"2", HOUR) == Position(page.position.epoch, 1)


async def test_a_short_log_is_known_as_long_as_its_ids(broker, clock):
    first = await broker.publish("chat", b"1", Keep(seconds=1), id="x")
    clock.now += WINDOW - 1
    broker.sweep()
    assert await broker.publish("chat", b"1", Keep(seconds=1), id="x") == first


async def test_a_sweep_goes_through_every_log_a_slice_at_a_time(broker, clock):
    topics = [f"room:{n}" for n in range(2 * SLICE + 1)]
    for topic in topics:
        broker.publish(topic, b"", Keep(seconds=60), id="x")
    clock.now += WINDOW + 1
    broker.publish("alive", b"", HOUR)
    assert [broker.sweep(), broker.sweep(), broker.sweep()] == [False, False, True]
    assert list(broker._logs) == ["alive"]


async def test_it_sweeps_by_itself(broker, clock, monkeypatch):
    monkeypatch.setattr(memory, "SWEEP", 0.01)
    await broker.close()
    await broker.start(lambda *_: None)
    await broker.publish("chat", b"", Keep(seconds=60))
    clock.now += WINDOW + 1
    async with asyncio.timeout(20):
        while broker._logs:  # noqa: ASYNC110 (no event tells of a sweep)
            await asyncio.sleep(0.01)


async def test_asking_for_topics_that_nobody_published_to_costs_a_bounded_amount(broker, monkeypatch):
    monkeypatch.setattr(epochs, "PROMISES", 10)
    first = (await broker.read("room:0")).position
    assert (await broker.read("room:0")).position == first
    for n in range(1, 11):
        await broker.read(f"room:{n}")
    assert not broker._logs
    assert not (await broker.read("room:0", after=first)).complete


async def test_it_refuses_when_it_does_not_run(broker):
    await broker.close()
    for keep in (None, HOUR):
        with pytest.raises(BrokerError):
            await broker.publish("chat", b"", keep)
    await broker.close()


def test_it_has_nothing_to_configure():
    with pytest.raises(UsageError, match="memory://"):
        MemoryBroker("memory://somewhere")
