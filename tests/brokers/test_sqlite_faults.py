"""Disks that are full, or broken: what was refused is nowhere, what was accepted is there, and it goes on after.

The faults are raised beneath SQLite, in its operating system layer.
"""

import asyncio
import random
import subprocess
import sys

import apsw
import pytest

from hubbub.brokers import sqlite as module
from hubbub.errors import BrokerError, UsageError
from hubbub.history import NOWHERE, Keep, Position

DAY = Keep(count=10_000, seconds=86_400)


class Disk(apsw.VFS):
    """``fault(action, file)`` is called before each "read", "write" and "sync" of "db" or "wal", and may raise."""

    def __init__(self):
        super().__init__("faulty", "unix", makedefault=True)
        self.fault = None

    def breaks(self, error, *places):
        def fault(action, file):
            if f"{action} {file}" in places:
                raise error

        self.fault = fault

    def mends(self):
        self.fault = None

    def xOpen(self, name, flags):  # noqa: N802
        return DiskFile(self, name, flags)


class DiskFile(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        super().__init__("unix", name, flags)
        self.disk = disk
        self.kind = "wal" if flags[0] & apsw.SQLITE_OPEN_WAL else "db"

    def xRead(self, amount, offset):  # noqa: N802
        self.act("read")
        return super().xRead(amount, offset)

    def xWrite(self, data, offset):  # noqa: N802
        self.act("write")
        return super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        self.act("sync")
        return super().xSync(flags)

    def act(self, action):
        if self.disk.fault is not None:
            self.disk.fault(action, self.kind)


@pytest.fixture
def disk():
    disk = Disk()
    yield disk
    disk.mends()
    disk.unregister()


async def log_of(broker):
    return [(entry.data, entry.offset) for entry in (await broker.read("chat", limit=10_000)).entries]


async def test_the_disk_has_it_before_anybody_hears_of_it(disk, sqlite):
    broker = await sqlite()
    await broker.publish("chat", b"0", DAY)
    heard = []
    disk.fault = lambda action, file: heard.append((action, file, len(broker.delivered)))
    for n in range(1, 4):
        await broker.publish("chat", b"%d" % n, DAY)
        assert heard[-1] == ("sync", "wal", n)
        assert ("write", "wal", n) in heard


FAULTS = [
    (apsw.FullError("no space"), "write wal"),
    (apsw.IOError("bad sector"), "write wal"),
    (apsw.IOError("lost cable"), "sync wal"),
]


@pytest.mark.parametrize(("error", "place"), FAULTS)
async def test_what_the_disk_refuses_is_refused_and_then_it_goes_on(disk, sqlite, caplog, error, place):
    broker = await sqlite()
    first = await broker.publish("chat", b"1", DAY)
    disk.breaks(error, place)
    results = [broker.publish("chat", b"refused", DAY, id=f"{n}") for n in range(10)]
    broker.publish("chat", b"unkept", None)
    for result in results:
        with pytest.raises(BrokerError, match="cannot be written"):
            await result
    assert broker.delivered[1:] == [("chat", b"unkept", NOWHERE)]
    assert await log_of(broker) == [(b"1", 1)]
    disk.mends()
    assert await broker.publish("chat", b"2", DAY, id="0") == Position(first.epoch, 2)
    assert [record.message for record in caplog.records] == [
        f"the log cannot be written: {error}",
        "the log can be written again",
    ]
    await broker.close()
    broker = await sqlite()
    assert await log_of(broker) == [(b"1", 1), (b"2", 2)]
    assert (await broker.read("chat", after=first)).complete


async def test_what_is_refused_breaks_no_promise(disk, sqlite):
    broker = await sqlite()
    promised = (await broker.read("chat")).position
    disk.breaks(apsw.FullError("no space"), "write wal")
    for _ in range(2):
        with pytest.raises(BrokerError):
            await broker.publish("chat", b"refused", DAY)
        assert (await broker.read("chat", after=promised)).complete
    disk.mends()
    assert await broker.publish("chat", b"1", DAY) == Position(promised.epoch, 1)
    assert (await broker.read("another")).position.epoch != promised.epoch


@pytest.mark.parametrize("places", [("write db",), ("sync db",), ("sync wal", "write db")])
async def test_nothing_is_accepted_until_what_was_refused_is_out_of_the_way(disk, sqlite, places):
    broker = await sqlite()
    first = await broker.publish("chat", b"1", DAY)
    disk.breaks(apsw.IOError("lost cable"), "sync wal", *places)
    with pytest.raises(BrokerError):
        await broker.publish("chat", b"refused", DAY)
    disk.breaks(apsw.IOError("lost cable"), *places)
    for _ in range(3):
        with pytest.raises(BrokerError):
            await broker.publish("chat", b"refused", DAY)
    assert await log_of(broker) == [(b"1", 1)]
    disk.mends()
    assert await broker.publish("chat", b"2", DAY) == Position(first.epoch, 2)
    assert await log_of(broker) == [(b"1", 1), (b"2", 2)]


async def test_a_commit_whose_sync_failed_does_not_come_back(disk, sqlite, path, tmp_path):
    broker = await sqlite()
    await broker.publish("chat", b"1", DAY)
    seen = []

    def fault(action, file):
        if (action, file) == ("sync", "wal") and not seen:
            seen.append(_bytes_of(path.with_name("chat.db-wal")))
            raise apsw.IOError("lost cable")

    disk.fault = fault
    with pytest.raises(BrokerError):
        await broker.publish("chat", b"refused", DAY)
    assert b"refused" in seen[0], "all of it was written"
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("chat.db", "chat.db-wal"):  # as a killed process would leave it
        (copy / name).write_bytes(await asyncio.to_thread(_bytes_of, path.with_name(name)))
    broker = await sqlite(copy / "chat.db")
    assert await log_of(broker) == [(b"1", 1)]


def _bytes_of(path):
    """Read in another process: closing a file takes away the locks that this process has on it."""
    return subprocess.run(["cat", path], stdout=subprocess.PIPE, check=True).stdout


async def test_a_checkpoint_that_fails_refuses_nobody(disk, sqlite, monkeypatch, caplog):
    monkeypatch.setattr(module, "CHECKPOINT", 1)
    broker = await sqlite()
    disk.breaks(apsw.FullError("no space"), "write db")
    for n in range(1, 6):
        assert (await broker.publish("chat", b"%d" % n, DAY)).offset == n
    assert "the write-ahead log grows" in caplog.text
    disk.mends()
    await broker.publish("chat", b"6", DAY)
    await broker.close()
    assert len(await log_of(await sqlite())) == 6


async def test_a_page_that_cannot_be_read_is_an_error_and_no_gap(disk, sqlite):
    broker = await sqlite()
    position = await broker.publish("chat", b"1" * 100_000, DAY)
    await broker.close()
    broker = await sqlite()
    disk.breaks(apsw.IOError("bad sector"), "read db")
    with pytest.raises(BrokerError, match="cannot be read"):
        await broker.read("chat")
    disk.mends()
    page = await broker.read("chat")
    assert (page.position, len(page.entries)) == (position, 1)


async def test_a_disk_that_is_full_at_the_start(disk, sqlite):
    disk.breaks(apsw.FullError("no space"), "write db", "write wal")
    with pytest.raises(UsageError, match="the disk is full"):
        await sqlite()


@pytest.mark.parametrize("seed", range(5))
async def test_any_faults_at_any_time(disk, sqlite, monkeypatch, seed):
    """The log, what was delivered, and what was accepted are the same."""
    monkeypatch.setattr(module, "CHECKPOINT", 20)
    chance = random.Random(seed)
    broker = await sqlite()

    def fault(action, file):
        if action != "read" and chance.random() < trouble:
            raise chance.choice([apsw.FullError("no space"), apsw.IOError("lost cable")])

    disk.fault = fault
    accepted = {}

    async def speak(name):
        for n in range(20):
            data = b"%d %d" % (name, n)
            try:
                accepted[data] = (await broker.publish("chat", data, DAY, id=f"{name} {n}")).offset
            except BrokerError:
                await asyncio.sleep(0)

    for trouble in (0.0, 0.02, 0.3, 0.0):
        await asyncio.gather(*[speak(name + int(100 * trouble) * 100) for name in range(10)])
    disk.mends()
    await broker.publish("chat", b"last", DAY)
    delivered = [(data, position.offset) for _, data, position in broker.delivered]
    assert [offset for _, offset in delivered] == list(range(1, len(delivered) + 1))
    assert dict(delivered[:-1]) == accepted
    assert len(accepted) >= 200
    for _ in range(2):
        assert await log_of(broker) == delivered
        await broker.close()
        broker = await sqlite()


def test_a_full_disk_for_real(path):
    """The kernel refuses to let the file grow, and later allows it."""
    program = f"""
import asyncio, logging, resource
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.errors import BrokerError
from hubbub.history import Keep
logging.disable()
async def main():
    broker = SqliteBroker("sqlite:///{path}")
    delivered = []
    await broker.start(lambda topic, data, position: delivered.append(position.offset))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    accepted = refused = 0
    for n in range(200):
        try:
            await broker.publish("chat", bytes(5_000), Keep())
            accepted += 1
        except BrokerError:
            refused += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    last = await broker.publish("chat", b"last", Keep())
    page = await broker.read("chat")
    assert accepted > 10 and refused > 10, (accepted, refused)
    assert last.offset == accepted + 1 == len(page.entries), (last, accepted, len(page.entries))
    assert delivered == list(range(1, accepted + 2)), delivered
    await broker.close()
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
