"""Deleting what has expired, a little at a time, for publications wait meanwhile."""

from typing import Any

from hubbub.brokers.sqlite_file import File
from hubbub.history import WINDOW

SLICE = 256
"""Topics looked at in one step: a millisecond or so."""

TRIMS = 16
"""Topics trimmed in one step: each takes three statements."""

CHUNK = 1_000
"""Entries of one topic, or ids of all, that are deleted in one step."""

_TOPICS = """
    SELECT json_group_array(json_array(id, head - count + 1, :now - milliseconds, oldest,
        time < :now - max(2 * milliseconds, :window),
        (SELECT time FROM entries WHERE topic = id AND offset = oldest)))
    FROM (SELECT *, (SELECT offset FROM entries WHERE topic = id ORDER BY offset LIMIT 1) AS oldest
          FROM topics WHERE id > :after ORDER BY id LIMIT :limit)"""

_FIRST_YOUNG = """
    SELECT coalesce(min(offset), :end) FROM entries
    WHERE topic = :topic AND offset >= :oldest AND offset < :end AND time >= :since"""

_IDS = "DELETE FROM ids WHERE (topic, id) IN (SELECT topic, id FROM ids WHERE time < ? ORDER BY time LIMIT ?)"


class Sweep:
    """Goes through the topics of a file, round and round.

    Expired entries go. A topic is forgotten when its last entry has been expired for as long again as it was kept:
    whoever saw that entry had the whole of ``Keep.seconds`` to come back, and no id of it counts any more.
    """

    __slots__ = ("_after", "_file")

    def __init__(self, file: File) -> None:
        self._file = file
        self._after = 0

    def step(self, now: int) -> tuple[bool, list[str]]:
        """Go on, inside of a transaction. Returns whether the round is over, and the topics whose rows changed."""
        window = int(WINDOW * 1_000)
        topics = self._file.ask(_TOPICS, {"now": now, "window": window, "after": self._after, "limit": SLICE})
        changed: list[str] = []
        for id, first, since, oldest, dead, time in topics:
            if not dead if oldest is None else oldest >= first and time >= since:
                self._after = id
                continue
            if len(changed) == TRIMS:
                return False, changed
            changed.append(self._file.get("SELECT name FROM topics WHERE id = ?", (id,)))
            if oldest is None:
                self._file.run("DELETE FROM topics WHERE id = ?", (id,))
            elif not self._trim(id, first, since, oldest):
                return False, changed
            self._after = id
        if len(topics) == SLICE:
            return False, changed
        self._file.run(_IDS, (now - window, CHUNK))
        if self._file.connection.changes() == CHUNK:
            return False, changed
        self._after = 0
        return True, changed

    def _trim(self, id: int, first: int, since: int, oldest: int) -> bool:
        """Delete what is before ``first`` or older than ``since``, up to ``CHUNK``, and say whether that was all."""
        end = oldest + CHUNK
        place: dict[str, Any] = {"topic": id, "oldest": oldest, "end": end, "since": since}
        stop: int = min(end, max(first, self._file.get(_FIRST_YOUNG, place)))
        self._file.run("DELETE FROM entries WHERE topic = ? AND offset < ?", (id, stop))
        return stop < end
