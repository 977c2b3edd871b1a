"""The file of a SQLite broker: what is in it, and how it is opened. Whatever is wrong is said in one sentence.

    topics     id, name, epoch, head ...     one row a log; row 0 is the file's own, and its head counts the commits
    entries    topic, offset -> time, data   the logs themselves
    ids        topic, id -> offset, time     the ids that came lately

Times are milliseconds since 1970.

**One statement, however many rows.** SQLite's calls let go of Python's global lock and must have it back afterwards,
which takes up to 5 ms while the event loop is busy: one insert a row turned 512 rows into a second. So rows go in
as one ``VALUES`` list (``spread``), and come out as one JSON array.
"""

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import msgspec

from hubbub.brokers.witness import Witness
from hubbub.errors import UsageError
from hubbub.history import Keep, Position

APPLICATION = 0x48554242
"""``HUBB``, in the header of the file: it tells our files from other programs' databases."""

VERSION = 1

SCHEMA = f"""
    BEGIN IMMEDIATE;
    CREATE TABLE topics(
        id INTEGER PRIMARY KEY, name TEXT UNIQUE, epoch TEXT NOT NULL, head INTEGER NOT NULL, count INTEGER NOT NULL,
        milliseconds INTEGER NOT NULL, time INTEGER NOT NULL, checksum INTEGER NOT NULL);
    CREATE TABLE entries(
        topic INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL, checksum INTEGER NOT NULL,
        data BLOB NOT NULL, PRIMARY KEY(topic, offset)) WITHOUT ROWID;
    CREATE TABLE ids(
        topic INTEGER NOT NULL, id TEXT NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL,
        PRIMARY KEY(topic, id)) WITHOUT ROWID;
    CREATE INDEX ids_by_time ON ids(time);
    PRAGMA application_id = {APPLICATION};
    PRAGMA user_version = {VERSION};
    COMMIT;
"""

ROWS = 513
"""The most rows in one statement: a whole batch, and the file's own."""

_SIZES = (8, 64, ROWS)

PATIENCE = 5_000
"""Milliseconds to wait for another program that has the file locked: an operator's look takes less."""

Bindings = Sequence[Any] | Mapping[str, Any]
_rows = msgspec.json.Decoder(list[list[Any]])


def path_of(url: str) -> str:
    """``sqlite:///relative.db`` or ``sqlite:////absolute.db``: what follows the third slash is the path, as it is."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or "\0" in path:
        raise UsageError("the SQLite broker needs a file: sqlite:///chat.db, or sqlite:////var/lib/chat.db")
    if path == ":memory:":
        raise UsageError("the SQLite broker needs a file; a broker that keeps nothing is memory://")
    return path


class File:
    """An open file, held for this process alone.

    Raises UsageError for what a person must mend.
    """

    def __init__(self, path: str) -> None:
        with _explained(path), ExitStack() as stack:
            self.path = os.path.realpath(path)
            if not Path(self.path).parent.is_dir():
                raise UsageError(f"{path}: there is no directory {Path(path).parent}")
            if Path(self.path).is_dir():
                raise UsageError(f"{path} is a directory, not a file")
            self.connection = apsw.Connection(self.path)
            stack.callback(self.connection.close)
            self.connection.set_busy_timeout(PATIENCE)
            _recognise(self.connection, path)
            self.witness = Witness(self.path + "-lock")
            stack.callback(self.witness.close)
            _prepare(self.connection, path)
            stack.pop_all()

    def close(self) -> None:
        """Put everything into the database itself, and let go of it. Raises apsw.Error."""
        try:
            self.connection.close()
        finally:
            self.witness.close()

    def run(self, sql: str, values: Bindings = ()) -> None:
        """Execute one statement that gives no rows."""
        self.connection.execute(sql, values).close()

    def ask(self, sql: str, values: Bindings = ()) -> list[list[Any]]:
        """The one JSON array that this statement gives, decoded."""
        return _rows.decode(self.get(sql, values))

    def get(self, sql: str, values: Bindings = ()) -> Any:
        """The one value that this statement gives."""
        cursor = self.connection.execute(sql, values)
        (value,) = cursor.fetchone() or (None,)
        cursor.close()
        return value


def spread(sql: str, width: int, values: list[Any]) -> tuple[str, list[Any]]:
    """Make a statement of all these rows, ``width`` values each, where it says ``{values}``; up to ``ROWS`` of them.

    It has a few more rows, filled up with nulls: so there are few different statements, and all stay prepared.
    """
    rows = next(size for size in _SIZES if size * width >= len(values))
    return _statement(sql, width, rows), values + [None] * (rows * width - len(values))


@cache
def _statement(sql: str, width: int, rows: int) -> str:
    return sql.replace("{values}", ",".join(["(" + ",".join("?" * width) + ")"] * rows))


def _recognise(connection: apsw.Connection, path: str) -> None:
    application, version = connection.pragma("application_id"), connection.pragma("user_version")
    if application != APPLICATION and connection.pragma("schema_version") != 0:
        raise UsageError(f"{path} is the database of another program")
    if version > VERSION:
        raise UsageError(f"{path} was written by a newer Hubbub (its format is {version}, this one knows {VERSION})")


def _prepare(connection: apsw.Connection, path: str) -> None:
    if connection.pragma("journal_mode", "wal") != "wal":
        raise UsageError(f"{path}: SQLite cannot keep a write-ahead log on this file system")
    connection.pragma("synchronous", "full")
    connection.pragma("fullfsync", True)  # on macOS fsync alone does not reach the disk
    connection.pragma("checkpoint_fullfsync", True)
    connection.pragma("wal_autocheckpoint", 0)  # checkpoints come between the commits, not inside of them
    connection.pragma("journal_size_limit", 64 << 20)
    connection.pragma("cell_size_check", True)
    if connection.pragma("schema_version") == 0:
        connection.execute(SCHEMA)
    else:
        connection.execute("BEGIN IMMEDIATE; ROLLBACK")  # can it be written?


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Say in one sentence what a person can mend."""
    try:
        yield
    except (BlockingIOError, apsw.BusyError):
        raise UsageError(f"{path} is in use by another process, and a file serves one at a time") from None
    except apsw.NotADBError:
        raise UsageError(f"{path} is not an SQLite database") from None
    except apsw.FullError:
        raise UsageError(f"{path} cannot be written: the disk is full") from None
    except apsw.CorruptError as error:
        raise UsageError(f"{path} is damaged: {error}") from None
    except UnicodeEncodeError:
        raise UsageError(f"{path!r} is not a path") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {(error.strerror or str(error)).lower()}") from None
    except apsw.Error as error:
        raise UsageError(f"{path} cannot be opened: {str(error).partition(': ')[2] or error}") from None


class Topic:
    """One row of ``topics``, and the oldest offset that is in the file."""

    __slots__ = ("count", "epoch", "head", "id", "keep", "milliseconds", "name", "tail", "time")

    def __init__(self, id: int, name: str | None, epoch: str) -> None:
        self.id = id
        self.name = name
        self.epoch = epoch
        self.head = 0
        self.tail = 1
        self.time = 0
        self.keep: Keep | None = None
        self.count = 0
        self.milliseconds = 0

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.head)

    @property
    def first(self) -> int:
        """The oldest offset that may be shown, as far as counting goes."""
        return max(self.tail, self.head - self.count + 1)

    def retain(self, keep: Keep) -> None:
        self.keep = keep
        self.count = min(keep.count, 1 << 60)
        self.milliseconds = int(min(keep.seconds, 1e12) * 1_000)

    def row(self) -> tuple[Any, ...]:
        values = (self.id, self.name, self.epoch, self.head, self.count, self.milliseconds, self.time)
        return (*values, zlib.crc32("\0".join(map(str, values)).encode()))

    def checksum(self, offset: int, data: bytes) -> int:
        """Of an entry: over its data, and over where it belongs."""
        return zlib.crc32(data, (self.id * 0x9E3779B1 ^ offset) & 0xFFFFFFFF)
