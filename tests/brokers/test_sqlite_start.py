"""Every mistake that keeps an SQLite broker from starting is said in one sentence."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from hubbub.brokers.sqlite import SqliteBroker
from hubbub.errors import UsageError
from hubbub.history import Keep


async def refusal(path):
    broker = SqliteBroker(f"sqlite:///{path}")
    with pytest.raises(UsageError) as caught:
        await broker.start(lambda *_: None)
    await broker.close()
    assert str(path) in caught.value.reason
    assert "\n" not in caught.value.reason
    return caught.value.reason


async def test_no_such_directory(tmp_path):
    assert "there is no directory" in await refusal(tmp_path / "missing" / "chat.db")


async def test_a_directory(tmp_path):
    assert "is a directory" in await refusal(tmp_path)


async def test_no_database(path):
    path.write_text("These are my notes. " * 100, encoding="utf-8")
    assert "is not an SQLite database" in await refusal(path)
    assert not path.with_name("chat.db-lock").exists()


async def test_the_database_of_another_program(path, query):
    query("CREATE TABLE customers(name)")
    assert "is the database of another program" in await refusal(path)
    assert query("SELECT name FROM sqlite_schema") == [("customers",)]


async def test_a_newer_format(sqlite, path, query):
    await (await sqlite()).close()
    query("PRAGMA user_version = 2")
    assert "was written by a newer Hubbub" in await refusal(path)


async def test_nowhere_to_write():
    assert "cannot be opened" in await refusal("/proc/self/chat.db")


async def test_not_a_path():
    with pytest.raises(UsageError, match="is not a path"):
        await SqliteBroker("sqlite:///\ud800").start(lambda *_: None)


@asynccontextmanager
async def process(program):
    """Another process, that has printed its first line and waits."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        child.kill()
        await child.communicate()


async def test_in_use_by_this_process(sqlite, path):
    broker = await sqlite()
    assert "is in use by another process" in await refusal(path)
    assert (await broker.publish("chat", b"", Keep())).offset == 1


async def test_in_use_by_another_process(sqlite, path):
    program = f"""
import asyncio, sys
from hubbub.brokers.sqlite import SqliteBroker
async def main():
    await SqliteBroker("sqlite:///{path}").start(lambda *_: None)
    print("ready", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""
    async with process(program):
        assert "is in use by another process" in await refusal(path)
    assert (await (await sqlite()).publish("chat", b"", Keep())).offset == 1


async def test_locked_by_another_program(sqlite, path, monkeypatch):
    monkeypatch.setattr("hubbub.brokers.sqlite_file.PATIENCE", 10)
    await (await sqlite()).close()
    program = f"""
import sqlite3, sys
sqlite3.connect("{path}", isolation_level=None).execute("BEGIN IMMEDIATE")
print("ready", flush=True)
sys.stdin.read()
"""
    async with process(program):
        assert "is in use by another process" in await refusal(path)


async def test_another_program_may_look_while_it_runs(sqlite, path):
    broker = await sqlite()
    await broker.publish("chat", b"1", Keep())
    look = f"import sqlite3; print(sqlite3.connect('{path}').execute('SELECT name, head FROM topics').fetchall())"
    seen = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", look], capture_output=True, text=True)
    assert "('chat', 1)" in seen.stdout
    assert (await broker.publish("chat", b"2", Keep())).offset == 2
