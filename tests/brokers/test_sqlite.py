"""Topics in an SQLite file: order, commits, restarts, and what is kept how long."""

import asyncio
import subprocess
import sys

import pytest

from hubbub.brokers import sqlite as module
from hubbub.brokers.sqlite_logs import BATCH, SLACK, Logs
from hubbub.errors import BrokerError
from hubbub.history import NOWHERE, WINDOW, Keep, Position

DAY = Keep(count=1_000, seconds=86_400)


async def offsets(broker, topic="chat", **where):
    return [entry.offset for entry in (await broker.read(topic, **where)).entries]


# -- order and commits ----------------------------------------------------------------------------------------------


async def test_what_waits_goes_into_one_commit(sqlite, query):
    broker = await sqlite()
    results = [broker.publish(f"room:{n % 7}", b"", DAY) for n in range(10 * BATCH)]
    assert broker.delivered == []
    for result in results:
        await result
    await broker.close()
    [(commits,)] = query("SELECT head FROM topics WHERE id = 0")
    assert 10 <= commits <= 12


async def test_the_unkept_does_not_wait(sqlite):
    broker = await sqlite()
    broker.publish("chat", b"kept", DAY)
    broker.publish("other", b"unkept", None)
    assert broker.delivered == [("other", b"unkept", NOWHERE)]


async def test_the_unkept_does_not_overtake(sqlite):
    broker = await sqlite()
    for n in range(3 * BATCH):
        broker.publish("chat", b"%d" % n, DAY if n % 2 else None)
    await broker.close()
    assert [data for _, data, _ in broker.delivered] == [b"%d" % n for n in range(3 * BATCH)]
    assert broker._pending == {}


async def test_a_result_comes_after_its_delivery(sqlite):
    broker = await sqlite()
    seen = []

    async def speak(n):
        await broker.publish("chat", b"%d" % n, DAY)
        seen.append(len(broker.delivered))

    await asyncio.gather(*map(speak, range(100)))
    assert all(count > n for n, count in enumerate(seen))


async def test_a_page_shows_nothing_that_was_not_delivered(sqlite):
    broker = await sqlite()
    for n in range(300):
        broker.publish("chat", b"%d" % n, DAY)
        if n % 10 == 0:
            page = await broker.read("chat")
            assert page.position.offset == len(broker.delivered)
            assert [entry.data for entry in page.entries] == [data for _, data, _ in broker.delivered]


async def test_who_stops_waiting_does_not_stop_the_publication(sqlite):
    broker = await sqlite()
    task = asyncio.ensure_future(asyncio.wait_for(broker.publish("chat", b"1", DAY), timeout=20))
    await asyncio.sleep(0)
    task.cancel()
    assert (await broker.publish("chat", b"2", DAY)).offset == 2
    assert task.cancelled()
    assert len(broker.delivered) == 2


async def test_what_cannot_wait_any_more_is_refused(sqlite, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 10)
    broker = await sqlite()
    for n in range(10):
        broker.publish("chat", b"%d" % n, DAY)
    with pytest.raises(BrokerError, match="too slow"):
        await broker.publish("chat", b"", DAY)
    broker.publish("chat", b"lost", None)
    await broker.close()
    assert [data for _, data, _ in broker.delivered] == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize(("topic", "id"), [("\ud800", None), ("chat", "\udfff")])
async def test_a_name_that_cannot_be_written_harms_nobody_else(sqlite, topic, id):
    broker = await sqlite()
    good = broker.publish("chat", b"1", DAY)
    with pytest.raises(BrokerError, match="surrogates"):
        await broker.publish(topic, b"", DAY, id=id)
    assert (await good).offset == 1


async def test_it_refuses_when_it_does_not_run(sqlite):
    broker = await sqlite()
    await broker.close()
    for keep in (None, DAY):
        with pytest.raises(BrokerError, match="not running"):
            await broker.publish("chat", b"", keep)
    with pytest.raises(BrokerError, match="not running"):
        await broker.read("chat")
    await broker.close()


async def test_closing_answers_every_read(sqlite):
    broker = await sqlite()
    await broker.publish("chat", b"1", DAY)
    reads = [asyncio.ensure_future(broker.read("chat")) for _ in range(100)]
    await asyncio.sleep(0)
    await broker.close()
    assert {len((await read).entries) for read in reads} == {1}


def test_a_program_that_forgets_to_close_ends_all_the_same(path):
    program = f"""
import asyncio
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.history import Keep
async def main():
    broker = SqliteBroker("sqlite:///{path}")
    await broker.start(lambda *_: None)
    await broker.publish("chat", b"1", Keep())
    for n in range(100): broker.publish("chat", b"2", Keep())
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")


# -- restarts -------------------------------------------------------------------------------------------------------


async def test_a_restart_changes_nothing(sqlite):
    broker = await sqlite()
    for n in range(50):
        await broker.publish("chat", b"%d" % n, Keep(count=20, seconds=60))
    before = await broker.read("chat"), await broker.read("chat", after=Position("x", 1))
    await broker.close()
    broker = await sqlite()
    assert (await broker.read("chat"), await broker.read("chat", after=Position("x", 1))) == before
    assert (await broker.publish("chat", b"50", DAY)) == Position(before[0].position.epoch, 51)


async def test_age_counts_over_a_restart(sqlite, clock):
    broker = await sqlite()
    head = await broker.publish("chat", b"1", Keep(seconds=60))
    await broker.close()
    clock.now += 61
    broker = await sqlite()
    page = await broker.read("chat")
    assert (page.entries, page.position) == ((), head)
    assert (await broker.read("chat", after=head)).complete


async def test_ids_count_over_a_restart(sqlite, clock):
    broker = await sqlite()
    first = await broker.publish("chat", b"1", DAY, id="x")
    await broker.close()
    clock.now += WINDOW
    broker = await sqlite()
    assert await broker.publish("chat", b"1", DAY, id="x") == first
    assert broker.delivered == []
    clock.now += 1
    assert (await broker.publish("chat", b"1", DAY, id="x")).offset == 2


async def test_a_clock_that_was_set_back_makes_nothing_younger(sqlite, clock):
    broker = await sqlite()
    await broker.publish("chat", b"1", Keep(seconds=60))
    await broker.close()
    clock.now -= 86_400
    broker = await sqlite()
    clock.now += 59
    await broker.publish("chat", b"2", Keep(seconds=60))
    clock.now += 2
    assert await offsets(broker) == [2]


async def test_more_topics_than_are_held_in_memory(sqlite, monkeypatch):
    monkeypatch.setattr("hubbub.brokers.sqlite_logs.CACHE", 100)
    broker = await sqlite()
    for _ in range(2):
        await asyncio.gather(*[broker.publish(f"room:{n}", b"", DAY) for n in range(1_000)])
    assert all([(await broker.read(f"room:{n}", limit=0)).position.offset == 2 for n in range(0, 1_000, 50)])


# -- what is kept, and how long -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 10, 1_000])
async def test_too_many_are_never_shown_and_soon_deleted(sqlite, query, count):
    broker = await sqlite()
    total = count + 3 * max(SLACK, count // 8)
    for n in range(0, total, 50):
        stop = min(n + 50, total)
        await asyncio.gather(*[broker.publish("chat", b"", Keep(count=count)) for _ in range(n, stop)])
        assert await offsets(broker) == list(range(max(0, stop - count) + 1, stop + 1))
    await broker.close()
    [(rows,)] = query("SELECT count(*) FROM entries")
    assert rows <= count + max(SLACK, count // 8) + 50


async def test_many_logs_that_are_full_at_once_are_trimmed_by_and_by(sqlite, query):
    broker = await sqlite()
    for _ in range(2 * SLACK):
        await asyncio.gather(*[broker.publish(f"room:{n}", b"", Keep(count=1)) for n in range(100)])
    await broker.close()
    [(rows,)] = query("SELECT count(*) FROM entries")
    assert rows <= 100 * 1.5 * SLACK


async def test_a_new_keep_counts_from_its_first_publication(sqlite):
    broker = await sqlite()
    for _ in range(20):
        await broker.publish("chat", b"", DAY)
    await broker.publish("chat", b"", Keep(count=5))
    assert await offsets(broker) == [17, 18, 19, 20, 21]


async def test_limits_that_no_integer_holds(sqlite, clock):
    broker = await sqlite()
    head = await broker.publish("chat", b"", Keep(count=1 << 80, seconds=float("inf")))
    assert await offsets(broker, limit=1 << 80) == [1]
    assert await offsets(broker, before=Position(head.epoch, 1 << 80), limit=-5) == []
    assert not (await broker.read("chat", after=Position(head.epoch, 1 << 80))).complete
    clock.now += 1e9
    assert await offsets(broker) == [1]


async def test_a_page_is_read_in_pieces(sqlite, monkeypatch):
    monkeypatch.setattr("hubbub.brokers.sqlite_logs.PIECE", 1_000)
    broker = await sqlite()
    data = [bytes([n]) * (n * 37 % 1_500) for n in range(100)]
    for piece in data:
        broker.publish("chat", piece, DAY)
    page = await broker.read("chat")
    await broker.close()
    broker = await sqlite()
    page = await broker.read("chat")
    assert [entry.data for entry in page.entries] == data


class TestSweep:
    @pytest.fixture
    def logs(self, path, clock):
        logs = Logs(str(path), clock)
        yield logs
        logs.close()

    def append(self, logs, topic="chat", keep=DAY, count=1, id=None):
        return logs.append([(topic, b"x", keep, id, None)] * count)[-1][0]

    def sweep(self, logs):
        steps = 1
        while not logs.sweep():
            steps += 1
        return steps

    def rows(self, logs, table):
        return logs._file.get(f"SELECT count(*) FROM {table}")

    def test_the_expired_goes_and_the_young_stays(self, logs, clock):
        for _ in range(10):
            self.append(logs, "chat", Keep(seconds=60))
            clock.now += 10
        self.sweep(logs)
        assert self.rows(logs, "entries") == 6
        page = logs.read("chat", None, None, 100)
        assert [entry.offset for entry in page.entries] == [5, 6, 7, 8, 9, 10]
        assert self.append(logs).offset == 11

    def test_what_is_one_too_many_goes_too(self, logs):
        self.append(logs, "chat", Keep(count=10), count=20)
        self.sweep(logs)
        assert self.rows(logs, "entries") == 10

    def test_long_logs_go_a_chunk_at_a_time(self, logs, clock):
        for _ in range(10):
            self.append(logs, "chat", Keep(count=10_000, seconds=60), count=500)
        clock.now += 61
        assert self.sweep(logs) >= 5
        assert self.rows(logs, "entries") == 0
        page = logs.read("chat", None, None, 100)
        assert page.position.offset == 5_000
        assert logs.read("chat", page.position, None, 100).complete

    def test_a_topic_is_forgotten_when_nobody_can_come_back(self, logs, clock):
        head = self.append(logs, "chat", Keep(seconds=3_600))
        clock.now += 7_199
        self.sweep(logs)
        assert logs.read("chat", head, None, 1).complete
        clock.now += 2
        self.sweep(logs)
        page = logs.read("chat", head, None, 1)
        assert not page.complete
        assert page.position.epoch != head.epoch
        assert self.append(logs) == Position(page.position.epoch, 1)

    def test_ids_are_forgotten(self, logs, clock):
        for n in range(10):
            self.append(logs, f"room:{n}", DAY, id="x")
        clock.now += WINDOW + 1
        self.append(logs, "room:0", DAY, id="y")
        self.sweep(logs)
        assert self.rows(logs, "ids") == 1

    def test_many_topics_are_looked_at_a_slice_at_a_time(self, logs, clock):
        for n in range(0, 1_000, 500):
            logs.append([(f"room:{n + k}", b"", Keep(seconds=60), None, None) for k in range(500)])
        clock.now += WINDOW + 1
        alive = self.append(logs, "alive")
        assert self.sweep(logs) >= 1_000 / 256
        self.sweep(logs)
        assert self.rows(logs, "topics") == 2
        assert self.rows(logs, "entries") == 1
        assert logs.read("alive", None, None, 1).position == alive


async def test_it_sweeps_and_saves_by_itself(sqlite, clock, path, monkeypatch):
    monkeypatch.setattr(module, "SWEEP", 0.01)
    monkeypatch.setattr(module, "QUIET", 0.01)
    broker = await sqlite()
    head = await broker.publish("chat", b"x" * 100_000, Keep(seconds=60))
    async with asyncio.timeout(20):
        while path.stat().st_size < 100_000:  # noqa: ASYNC110 (no event tells of a checkpoint)
            await asyncio.sleep(0.01)
        clock.now += WINDOW + 1
        while (await broker.read("chat", limit=0)).position == head:  # noqa: ASYNC110 (nor of a sweep)
            await asyncio.sleep(0.01)
