"""The logs of all topics in one SQLite file: append, read, sweep. Every call blocks; one thread makes them all.

**What is not in ``Keep`` is never shown**, but is deleted later: entries by count when there are an eighth too many,
the rest when the sweep comes by.

**Nothing damaged is shown.** Each entry has a checksum over its data and its place. A damaged or missing entry ends
the log there, as if all up to it had expired: who has seen it goes on, who has not is told of the gap. A damaged row
of ``topics`` begins a new epoch, and a file that its witness does not vouch for begins one for every topic.

**After a failed commit** nothing is accepted until a checkpoint has emptied the write-ahead log: that puts into the
database what was committed before, and removes what was not, however much of it was written.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import apsw

from hubbub.brokers.epochs import Promises, new_epoch
from hubbub.brokers.sqlite_file import File, Topic, spread
from hubbub.brokers.sqlite_sweep import Sweep
from hubbub.errors import BrokerError, UsageError
from hubbub.history import NOWHERE, WINDOW, Entry, Keep, Page, Position, span

log = logging.getLogger("hubbub.brokers.sqlite")

Draft = tuple[str, bytes, Keep | None, str | None, Any]
"""What is to be appended: topic, data, keep and id; and what is the caller's own."""

Outcome = tuple[Position, bool]
"""Where it stands, and whether it is new."""

BATCH = 512
"""The most drafts in one append. A larger batch is hardly faster, only later."""

TRIMS = 16
"""Logs trimmed in one transaction: each is a statement of its own."""

SLACK = 64
"""Entries that any log may have too many, so that a log of the last one is not trimmed at every append."""

CACHE = 10_000
"""Rows of ``topics`` held in memory."""

PIECE = 64 << 20
"""Bytes of data that are read from the file at once."""

_LAST_TOPIC = """
    SELECT max((SELECT coalesce(max(id), 0) FROM topics), (SELECT coalesce(max(topic), 0) FROM entries),
               (SELECT coalesce(max(topic), 0) FROM ids))"""
"""Also of those whose row is lost: what is left of them must not become another's."""

_FIND_TOPICS = """
    SELECT json_group_array(json_array(n, id, epoch, head, count, milliseconds, time, checksum,
        (SELECT offset FROM entries WHERE topic = id ORDER BY offset LIMIT 1),
        (SELECT offset FROM entries WHERE topic = id ORDER BY offset DESC LIMIT 1)))
    FROM (SELECT column1 AS n, column2 AS asked FROM (VALUES {values})) JOIN topics ON name = asked"""

_PUT_TOPICS = """
    INSERT INTO topics SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL
    ON CONFLICT(id) DO UPDATE SET epoch = excluded.epoch, head = excluded.head, count = excluded.count,
        milliseconds = excluded.milliseconds, time = excluded.time, checksum = excluded.checksum"""

_PUT_ENTRIES = "INSERT INTO entries SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"

_FIND_IDS = """
    SELECT json_group_array(json_array(n, offset))
    FROM (SELECT column1 AS n, column2 AS t, column3 AS i, column4 AS since FROM (VALUES {values}))
    JOIN ids ON topic = t AND id = i AND time >= since"""

_PUT_IDS = "INSERT OR REPLACE INTO ids SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"

_GET_ENTRIES = """
    SELECT json_group_array(json_array(offset, time, checksum, length(data)))
    FROM (SELECT * FROM entries WHERE topic = ? AND offset > ? AND offset <= ? ORDER BY offset)"""

_GET_DATA = """
    SELECT CAST(group_concat(data, '') AS BLOB)
    FROM (SELECT data FROM entries WHERE topic = ? AND offset BETWEEN ? AND ? ORDER BY offset)"""

_UNKEPT: Outcome = (NOWHERE, True)


class Logs:
    """An open file. ``clock`` gives seconds since 1970, and must not go back while the file is open.

    Raises UsageError for what a person must mend.
    """

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = 0
        self._topics: dict[str, Topic] = {}
        self._promises = Promises()
        self._born: list[str] = []
        """Topics that begin with the transaction under way: until it is done, their epochs are promises."""
        self._doubtful = False
        """Whether the write-ahead log may hold what was refused."""
        self._refusing = False
        """Whether the operator was told."""
        self._reported: set[int] = set()
        self._saved = 0
        self._file = File(path)
        self._sweep = Sweep(self._file)
        try:
            self._begin()
        except Exception as error:
            self.close()
            raise UsageError(f"{path} cannot be used: {error}") from error

    def close(self) -> None:
        """Put everything into the database itself, and let go of the file."""
        try:
            self._file.close()
        except apsw.Error as error:
            log.warning("the newest entries stay in the write-ahead log: %s", error)

    def _begin(self) -> None:
        sound = self._reload()
        if self._next > 1 and not (sound and self._file.witness.vouches(self._own.head)):
            log.warning("%s is not what it was when it was last in use: a new epoch for every topic", self._file.path)
            self._renew()
        self._file.witness.saw(self._own.head)
        self._ahead = max(0, self._own.time - int(self._clock() * 1_000))

    def _reload(self) -> bool:
        """Believe what is in the file, and nothing else. Returns whether its row 0 is sound."""
        self._topics.clear()
        self._own = Topic(0, None, "")
        self._next = 1 + self._file.get(_LAST_TOPIC)
        row = self._file.connection.execute("SELECT * FROM topics WHERE id = 0").fetchone()
        if row is None:
            return False
        self._own.head, self._own.time = row[3], row[6]
        return bool(self._own.row() == row)

    def _renew(self) -> None:
        names = self._file.connection.execute("SELECT name FROM topics WHERE id > 0").fetchall()
        self._file.run("BEGIN IMMEDIATE")
        for start in range(0, len(names), BATCH):
            self._load([str(name) for (name,) in names[start : start + BATCH]])
            for topic in self._topics.values():
                topic.epoch = new_epoch()
            self._put(_PUT_TOPICS, 8, [value for topic in self._topics.values() for value in topic.row()])
            self._topics.clear()
        self._put(_PUT_TOPICS, 8, list(self._own.row()))
        self._file.run("COMMIT")

    def _now(self) -> int:
        return int(self._clock() * 1_000) + self._ahead

    def _put(self, sql: str, width: int, values: list[Any]) -> None:
        self._file.run(*spread(sql, width, values))

    # -- topics ----------------------------------------------------------------------------------------------------

    def _load(self, names: Sequence[str]) -> None:
        """Fetch the rows of these topics, as far as there are any."""
        found = self._file.ask(*spread(_FIND_TOPICS, 2, [value for pair in enumerate(names) for value in pair]))
        for n, id, epoch, head, count, milliseconds, time, checksum, first, last in found:
            topic = Topic(id, names[n], epoch)
            topic.head, topic.count, topic.milliseconds, topic.time = head, count, milliseconds, time
            topic.tail = head + 1 if first is None else first
            self._topics[names[n]] = topic
            if topic.row()[-1] != checksum or last not in (None, head):
                self._mend(topic, last)

    def _mend(self, topic: Topic, last: int | None) -> None:
        """The row is damaged: what the entries say goes, and a new epoch."""
        log.error("the topic %r was damaged: its clients start afresh", topic.name)
        topic.epoch = new_epoch()
        topic.head = last or 0
        topic.tail = min(topic.tail, topic.head + 1)
        self._file.run("DELETE FROM ids WHERE topic = ?", (topic.id,))
        self._put(_PUT_TOPICS, 8, list(topic.row()))

    def _open(self, names: Iterable[str]) -> dict[str, Topic]:
        """These topics, from memory, from the file, or new."""
        topics = self._topics
        if len(topics) > CACHE:
            topics.clear()
        names = list(names)
        unknown = [name for name in names if name not in topics]
        if unknown:
            self._load(unknown)
            for name in unknown:
                if name not in topics:
                    topics[name] = Topic(self._next, name, self._promises.make(name))
                    self._born.append(name)
                    self._next += 1
        return {name: topics[name] for name in names}

    # -- append ----------------------------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append what is to be kept, up to ``BATCH``, in one transaction that is on disk afterwards.

        Raises BrokerError: then none of it is in a log.
        """
        names = {draft[0] for draft in drafts if draft[2] is not None}
        if not names:
            return [_UNKEPT] * len(drafts)
        try:
            if self._doubtful:
                self._recover()
            self._file.run("BEGIN IMMEDIATE")
            outcomes = self._write(drafts, self._open(names))
            self._file.run("COMMIT")
        except Exception as error:
            self._doubt(error)
            raise BrokerError(f"the log cannot be written: {error}") from error
        while self._born:
            self._promises.kept(self._born.pop())
        if self._refusing:
            self._refusing = False
            log.warning("the log can be written again")
        with suppress(OSError):  # a witness that stays behind proves less, and harms nothing
            self._file.witness.saw(self._own.head)
        return outcomes

    def _write(self, drafts: Sequence[Draft], topics: dict[str, Topic]) -> list[Outcome]:
        now = self._now()
        known = self._known(drafts, topics, now)
        outcomes: list[Outcome] = []
        entries: list[Any] = []
        ids: list[Any] = []
        for name, data, keep, id, _ in drafts:
            if keep is None:
                outcomes.append(_UNKEPT)
                continue
            topic = topics[name]
            if id is not None:
                offset = known.get((name, id))
                if offset is not None:
                    outcomes.append((Position(topic.epoch, offset), False))
                    continue
                known[name, id] = topic.head + 1
                ids += (topic.id, id, topic.head + 1, now)
            if topic.keep is not keep:
                topic.retain(keep)
            topic.head = offset = topic.head + 1
            topic.time = now
            entries += (topic.id, offset, now, topic.checksum(offset, data), data)
            outcomes.append((Position(topic.epoch, offset), True))
        if entries:
            self._put(_PUT_ENTRIES, 5, entries)
            self._put_heads([topic for topic in topics.values() if topic.time == now], now)
        if ids:
            self._put(_PUT_IDS, 4, ids)
        return outcomes

    def _known(self, drafts: Sequence[Draft], topics: dict[str, Topic], now: int) -> dict[tuple[str, str], int]:
        """The offsets that ids of these drafts already have."""
        since = now - int(WINDOW * 1_000)
        asked: list[Any] = []
        for n, (name, _, keep, id, _) in enumerate(drafts):
            if id is not None and keep is not None:
                asked += (n, topics[name].id, id, since)
        if not asked:
            return {}
        return {
            (drafts[n][0], drafts[n][3] or ""): offset for n, offset in self._file.ask(*spread(_FIND_IDS, 4, asked))
        }

    def _put_heads(self, topics: list[Topic], now: int) -> None:
        self._own.head += 1
        self._own.time = now
        rows = list(self._own.row())
        trims = 0
        for topic in topics:
            rows += topic.row()
            if trims < TRIMS and topic.head - topic.tail >= topic.count + max(SLACK, topic.count >> 3):
                trims += 1
                topic.tail = topic.head - topic.count + 1
                self._file.run("DELETE FROM entries WHERE topic = ? AND offset < ?", (topic.id, topic.tail))
        self._put(_PUT_TOPICS, 8, rows)

    def _doubt(self, error: Exception) -> None:
        if not self._refusing:
            self._refusing = True
            log.error("the log cannot be written: %s", error)
        if isinstance(error, apsw.BusyError) and not self._file.connection.in_transaction:
            return
        self._doubtful = True
        self._topics.clear()
        self._born.clear()
        with suppress(Exception):  # else the next append tries again
            if self._file.connection.in_transaction:
                self._file.run("ROLLBACK")
            self._recover()

    def _recover(self) -> None:
        self._file.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._reload()
        self._doubtful = False

    # -- read ------------------------------------------------------------------------------------------------------

    def read(self, name: str, after: Position | None, before: Position | None, limit: int) -> Page:
        """As ``Broker.read``. Raises BrokerError when the file cannot be read."""
        try:
            if name not in self._topics:
                self._load([name])
            topic = self._topics.get(name)
            if topic is None:
                topic = Topic(0, name, self._promises.make(name))
            start, stop, complete = span(topic.position, topic.first, after, before, limit)
            found = self._fetch(topic, start, stop) if start < stop else []
        except Exception as error:
            raise BrokerError(f"the log cannot be read: {error}") from error
        gaps = [n for n, entry in enumerate(found) if entry is None]
        if gaps:
            complete = False
            found = found[: gaps[0]] if after is not None else found[gaps[-1] + 1 :]
        return Page(tuple(found), topic.position, complete)  # type: ignore[arg-type]  # no None is left

    def _fetch(self, topic: Topic, start: int, stop: int) -> list[Entry | None]:
        """What is at ``start < offset <= stop``: None for what has expired, is missing or is damaged."""
        rows = self._file.ask(_GET_ENTRIES, (topic.id, start, stop))
        found: list[Entry | None] = [None] * (stop - start)
        damaged = len(rows) != len(found)
        since = self._now() - topic.milliseconds
        for piece in _pieces([row for row in rows if row[1] >= since]):
            data = self._file.get(_GET_DATA, (topic.id, piece[0][0], piece[-1][0])) or b""
            end = 0
            for offset, _, checksum, length in piece:
                part = data[end : end + length]
                end += length
                if topic.checksum(offset, part) == checksum:
                    found[offset - start - 1] = Entry(offset, part)
                else:
                    damaged = True
        if damaged and topic.id not in self._reported:
            self._reported.add(topic.id)
            log.error("the log of the topic %r is damaged between %s and %s", topic.name, start + 1, stop)
        return found

    # -- in idle time ----------------------------------------------------------------------------------------------

    @property
    def unsaved(self) -> int:
        """Pages written to the write-ahead log since the last checkpoint, at most."""
        return self._file.connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0] - self._saved

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the database, so that it begins anew and stays small."""
        self._saved += self.unsaved
        try:
            self._file.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            log.warning("the write-ahead log grows: %s", error)

    def sweep(self) -> bool:
        """Delete some of what has expired, and say whether this was the end of a round."""
        if self._doubtful:
            return True
        try:
            self._file.run("BEGIN IMMEDIATE")
            done, changed = self._sweep.step(self._now())
            self._file.run("COMMIT")
        except apsw.Error as error:
            self._doubt(error)
            return True
        for name in changed:
            self._topics.pop(name, None)
        return done


def _pieces(rows: list[list[Any]]) -> Iterator[list[list[Any]]]:
    """Cut rows of entries where their data becomes more than ``PIECE``."""
    piece: list[list[Any]] = []
    size = 0
    for row in rows:
        if piece and size + row[3] > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += row[3]
    if piece:
        yield piece
