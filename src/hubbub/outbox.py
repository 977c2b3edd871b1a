"""Frames that wait for a client to take them, and what becomes of them when they are too many. Pure."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from hubbub.messages import Frame


class Waiting(NamedTuple):
    """``policy`` says what may be done with these frames when the outbox overflows, ``key`` which later ones replace
    them."""

    frames: Sequence[Frame]
    size: int
    policy: str
    key: object


class Outbox:
    """What waits for one client, in order. ``size`` is in bytes, as far as text is ASCII."""

    __slots__ = ("_items", "size")

    def __init__(self) -> None:
        self.size = 0
        self._items: deque[Waiting] = deque()

    def add(self, frames: Sequence[Frame], policy: str, key: object) -> None:
        item = Waiting(frames, sum(map(len, frames)), policy, key)
        if policy == "latest":
            for index, older in enumerate(self._items):
                if older.key == key:
                    self.size -= older.size
                    del self._items[index]
                    break
        self._items.append(item)
        self.size += item.size

    def frames(self) -> list[Frame]:
        return [frame for item in self._items for frame in item.frames]

    def shed(self, limit: int) -> bool:
        """Drop the oldest of those that may be dropped, until no more than this is left. Return whether that did."""
        kept: deque[Waiting] = deque()
        for item in self._items:
            if self.size > limit and item.policy == "drop_oldest":
                self.size -= item.size
            else:
                kept.append(item)
        self._items = kept
        return self.size <= limit
