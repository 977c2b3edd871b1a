"""Files that are not what they were: nothing wrong is ever shown, and no position means two things."""

import asyncio
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.errors import BrokerError, UsageError
from hubbub.history import Keep, Position

DAY = Keep(count=1_000, seconds=86_400)


async def fill(broker, topic="chat", count=20, start=1):
    results = [broker.publish(topic, b"%s %d" % (topic.encode(), n), DAY) for n in range(start, start + count)]
    return [await result for result in results][-1]


async def offsets(broker, topic="chat", **where):
    page = await broker.read(topic, **where)
    assert all(entry.data == b"%s %d" % (topic.encode(), entry.offset) for entry in page.entries)
    return [entry.offset for entry in page.entries], page.complete


# -- a damaged entry ends the log there -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET data = x'ff' WHERE offset = 10",
        "UPDATE entries SET data = CAST(data AS TEXT) || ' ' WHERE offset = 10",
        "UPDATE entries SET checksum = checksum + 1 WHERE offset = 10",
        "UPDATE entries SET (data, checksum) = (SELECT data, checksum FROM entries WHERE offset = 9) WHERE offset = 10",
        "DELETE FROM entries WHERE offset = 10",
    ],
)
async def test_a_damaged_entry_is_a_gap(sqlite, query, caplog, damage):
    broker = await sqlite()
    epoch = (await fill(broker)).epoch
    await broker.close()
    query(damage)
    broker = await sqlite()
    assert await offsets(broker) == (list(range(11, 21)), False)
    assert await offsets(broker, before=Position(epoch, 15)) == ([11, 12, 13, 14], False)
    assert await offsets(broker, before=Position(epoch, 11)) == ([], False)
    assert await offsets(broker, before=Position(epoch, 9)) == (list(range(1, 9)), True)
    assert await offsets(broker, after=Position(epoch, 10)) == (list(range(11, 21)), True)
    assert await offsets(broker, after=Position(epoch, 9)) == ([], False)
    assert await offsets(broker, after=Position(epoch, 5)) == ([6, 7, 8, 9], False)
    assert caplog.text.count("is damaged") == 1
    assert await fill(broker, count=1, start=21) == Position(epoch, 21)


# -- a damaged row of topics begins a new epoch ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE topics SET head = 10 WHERE name = 'chat'",
        "UPDATE topics SET head = 1000 WHERE name = 'chat'",
        "UPDATE topics SET epoch = 'other' WHERE name = 'chat'",
        "UPDATE topics SET count = 5 WHERE name = 'chat'",
        "DELETE FROM entries WHERE offset > 15 AND topic = (SELECT id FROM topics WHERE name = 'chat')",
    ],
)
async def test_a_damaged_topic_begins_a_new_epoch(sqlite, query, damage):
    broker = await sqlite()
    first, other = await fill(broker), await fill(broker, "other")
    await broker.close()
    query(damage)
    broker = await sqlite()
    assert (await broker.read("chat", after=Position(first.epoch, 10))).entries == ()
    page = await broker.read("chat")
    assert page.position.epoch not in (first.epoch, "other")
    assert page.position.offset == max(entry.offset for entry in page.entries)
    later = await broker.publish("chat", b"new", DAY)
    assert later == Position(page.position.epoch, page.position.offset + 1)
    assert (await broker.read("other")).position == other
    await broker.close()
    broker = await sqlite()
    assert (await broker.read("chat")).position == later


async def test_a_topic_whose_row_is_gone_begins_anew(sqlite, query):
    broker = await sqlite()
    first = await fill(broker)
    await broker.close()
    query("DELETE FROM topics WHERE name = 'chat'")
    broker = await sqlite()
    assert not (await broker.read("chat", after=first)).complete
    later = await broker.publish("chat", b"new", DAY)
    assert later.epoch != first.epoch


# -- a file that its witness does not vouch for ---------------------------------------------------------------------


@pytest.fixture
async def copied(sqlite, path, tmp_path):
    """A broker was closed, its files were copied, and it went on: gives the two heads, and where the copies are."""
    broker = await sqlite()
    before = await fill(broker)
    await broker.close()
    copies = tmp_path / "copies"
    copies.mkdir()
    for name in ("chat.db", "chat.db-lock"):
        shutil.copy(path.with_name(name), copies)
    broker = await sqlite()
    after = await fill(broker, count=5, start=21)
    await broker.close()
    return before, after, copies


async def epoch_of(sqlite, file=None):
    broker = await (sqlite() if file is None else sqlite(file))
    page = await broker.read("chat")
    position = await broker.publish("chat", b"next", DAY)
    await broker.close()
    assert position == Position(page.position.epoch, page.position.offset + 1)
    assert len(page.entries) == page.position.offset
    return page.position.epoch


async def test_an_untouched_file_keeps_its_epoch(sqlite, copied):
    before, after, _ = copied
    assert before.epoch == after.epoch == await epoch_of(sqlite) == await epoch_of(sqlite)


async def test_an_older_copy_begins_a_new_epoch_once(sqlite, path, copied):
    before, _, copies = copied
    shutil.copy(copies / "chat.db", path)
    renewed = await epoch_of(sqlite)
    assert renewed != before.epoch
    assert await epoch_of(sqlite) == renewed


async def test_an_older_copy_with_its_witness_begins_a_new_epoch(sqlite, path, copied):
    before, _, copies = copied
    for name in ("chat.db", "chat.db-lock"):
        path.with_name(name).unlink()
        shutil.copy(copies / name, path.with_name(name))
    assert await epoch_of(sqlite) != before.epoch


async def test_a_copy_somewhere_else_begins_a_new_epoch(sqlite, copied):
    before, _, copies = copied
    assert await epoch_of(sqlite, copies / "chat.db") != before.epoch


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda lock: lock.write_bytes(b""), lambda lock: lock.write_bytes(bytes(36))]
)
async def test_without_a_witness_there_is_a_new_epoch(sqlite, path, copied, damage):
    before, _, _ = copied
    damage(path.with_name("chat.db-lock"))
    assert await epoch_of(sqlite) != before.epoch


async def test_a_new_file_beside_an_old_witness_is_fine(sqlite, path, copied):
    before, _, _ = copied
    path.unlink()
    renewed = await epoch_of(sqlite)
    assert renewed != before.epoch
    assert await epoch_of(sqlite) == renewed


async def test_a_new_epoch_for_thousands_of_topics(sqlite, path):
    broker = await sqlite()
    first = await asyncio.gather(*[broker.publish(f"room:{n}", b"", DAY) for n in range(1_500)])
    await broker.close()
    path.with_name("chat.db-lock").unlink()
    broker = await sqlite()
    pages = await asyncio.gather(*[broker.read(f"room:{n}") for n in range(1_500)])
    epochs = {page.position.epoch for page in pages}
    assert len(epochs) == 1_500
    assert not epochs & {position.epoch for position in first}
    assert {(page.position.offset, len(page.entries)) for page in pages} == {(1, 1)}


# -- bits that flip, and files that end too soon --------------------------------------------------------------------

PROGRAM = """
import asyncio, os, sys
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.history import Keep
async def main():
    broker = SqliteBroker("sqlite:///" + sys.argv[1], clock=lambda: 1_800_000_000.0)
    await broker.start(lambda *_: None)
    for n in range(1, 101):
        for topic in ("chat", "room"):
            position = await broker.publish(topic, b"%s %d" % (topic.encode(), n), Keep(), id=f"{n}")
            if n == 1: print(position.epoch)
        while n == 50 and os.path.getsize(sys.argv[1]) <= 4_096: await asyncio.sleep(0.02)
        # Some of it is in the database now, and the rest will be in the write-ahead log.
    if sys.argv[2] == "closed": await broker.close()
    sys.stdout.flush()
    os._exit(9)
asyncio.run(main())
"""


class Sample:
    """The files that a process left behind: one that was killed, or one that closed the broker."""

    def __init__(self, path, end):
        run = subprocess.run([sys.executable, "-c", PROGRAM, path, end], capture_output=True, text=True, timeout=30)
        assert run.returncode == 9, run.stderr
        self.path = path
        self.epochs = dict(zip(("chat", "room"), run.stdout.split(), strict=True))
        self.files = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}

    def restore(self, name, content):
        """Write the files as they were, but for this one. They are written in place: a copy would be known for one."""
        self.path.with_name("chat.db-shm").unlink(missing_ok=True)
        self.path.with_name("chat.db-wal").unlink(missing_ok=True)
        for file, original in self.files.items():
            with self.path.with_name(file).open("r+b" if self.path.with_name(file).exists() else "wb") as stream:
                stream.write(content if file == name else original)
                stream.truncate()


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return {end: Sample(tmp_path_factory.mktemp(end) / "chat.db", end) for end in ("killed", "closed")}


async def judge(sqlite, sample):
    """Whatever happened to the file: what is shown is right, and no position gets a second meaning."""
    try:
        broker = await sqlite(sample.path)
    except UsageError:
        return {"refused"}
    verdicts = set()
    for topic, epoch in sample.epochs.items():
        try:
            page = await broker.read(topic)
            same = page.position.epoch == epoch
            for entry in page.entries:
                assert entry.data == b"%s %d" % (topic.encode(), entry.offset)
            position = await broker.publish(topic, b"after", DAY)
            assert not same or position == Position(epoch, 101), "a position was given twice"
            missed = await broker.read(topic, after=Position(epoch, 40))
            assert not missed.complete or len(missed.entries) == 61
            verdicts.add("whole" if same and missed.complete and len(page.entries) == 100 else "told")
        except BrokerError:
            verdicts.add("refused")
    await broker.close()
    return verdicts


FILES = [("killed", "chat.db"), ("killed", "chat.db-wal"), ("killed", "chat.db-lock"), ("closed", "chat.db")]


@pytest.mark.parametrize("end", ["killed", "closed"])
async def test_an_undamaged_file_is_whole(sqlite, samples, end):
    samples[end].restore("", b"")
    assert await judge(sqlite, samples[end]) == {"whole"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("end", "name"), FILES)
async def test_flipped_bits_never_show_anything_wrong(sqlite, samples, end, name, seed):
    chance = random.Random(f"{end} {name} {seed}")
    for _ in range(12):
        content = bytearray(samples[end].files[name])
        place = chance.randrange(len(content) * 8)
        content[place // 8] ^= 1 << place % 8
        samples[end].restore(name, content)
        await judge(sqlite, samples[end])


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.6, 0.99])
@pytest.mark.parametrize(("end", "name"), FILES)
async def test_a_file_that_ends_too_soon_never_shows_anything_wrong(sqlite, samples, end, name, part):
    content = samples[end].files[name]
    samples[end].restore(name, content[: int(len(content) * part)])
    verdict = await judge(sqlite, samples[end])
    assert verdict != {"whole"} or part > 0.3  # the end of a file may be what an earlier time left there
