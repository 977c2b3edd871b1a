"""What happened in a run: what each publisher sent and had acknowledged, what each client was told. Nothing else.

Who takes part writes down what it saw, when it saw it, and judges nothing: that is the checker's. Times are of one
monotonic clock. A position is a pair (epoch, offset), or None where none was told.
"""

import sys
import time
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

ACKED, REFUSED, UNKNOWN = "acked", "refused", "unknown"


class Joined(NamedTuple):
    """A client was let into its topic: the answer to a join that was sent at ``started``."""

    at: float
    started: float
    asked: tuple | None
    recovered: bool | None
    """True: all that was missed follows. False: it cannot be had. None: nothing was said about it."""
    head: tuple | None
    """Where it is told to begin; None where the protocol does not say."""
    fresh: bool = True
    """False: it came back, and gave what it had."""


class Heard(NamedTuple):
    """A publication reached a client."""

    at: float
    epoch: str
    offset: int
    by: str
    n: int
    intact: bool


class Broken(NamedTuple):
    """Its line broke, or it was told to come back."""

    at: float
    why: str


class Left(NamedTuple):
    """It asked to leave, and had the answer."""

    at: float


@dataclass(slots=True)
class Sent:
    """One message of a publisher, however often it was tried."""

    by: str
    n: int
    topic: str
    invoked: float
    answered: float | None = None
    outcome: str = UNKNOWN
    position: tuple | None = None
    again: bool = False
    """It was refused for now, also if its sender has not heard so, and tried again behind later ones: its place among
    them is nobody's promise."""


@dataclass(slots=True)
class Story:
    """One client in one topic, from its first join to the end."""

    name: str
    kind: str
    topic: str
    events: list = field(default_factory=list)
    expected: bool = True
    """Whether it is to have everything at the end: it did not leave for good."""

    def heard(self, payload, position):
        by, n = payload.get("by", ""), payload.get("n", 0)
        epoch, offset = position or ("", 0)
        intact = payload.get("sum") == checksum(self.topic, by, n)
        self.events.append(Heard(time.monotonic(), sys.intern(epoch), offset, sys.intern(by), n, intact))


class Past(NamedTuple):
    """The log of a topic, as it was read from its beginning: pairs of offset and (by, n)."""

    topic: str
    started: float
    epoch: str
    entries: list


class Here(NamedTuple):
    """The truth about one presence key: surely there from ``since``, and asked to be gone at ``until``."""

    topic: str
    key: str
    since: float
    until: float = float("inf")


class View(NamedTuple):
    """Who a node says is in a topic."""

    at: float
    node: str
    topic: str
    keys: frozenset


class Turn(NamedTuple):
    """A member was told that a key joined or left; of a state, ``keys`` are all that are there."""

    at: float
    joins: frozenset
    leaves: frozenset
    state: bool = False


class Bound(NamedTuple):
    """A size that was measured at the end, and what it may be at the most."""

    what: str
    value: float
    most: float


@dataclass
class Record:
    """One run."""

    sent: dict = field(default_factory=dict)
    """By (publisher, number)."""
    stories: list = field(default_factory=list)
    pasts: list = field(default_factory=list)
    here: list = field(default_factory=list)
    views: list = field(default_factory=list)
    turns: dict = field(default_factory=dict)
    """By (member, topic): what it was told of presence, in order."""
    bounds: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    """Pairs of time and kind."""
    ended: bool = False
    """Whether all faults were healed and everybody was given the time to hear the last word."""

    def story(self, name, kind, topic):
        story = Story(name, kind, topic)
        self.stories.append(story)
        return story

    def invoke(self, by, n, topic):
        sent = self.sent[by, n] = Sent(by, n, topic, time.monotonic())
        return sent


def checksum(topic, by, n):
    """Also of the topic: so what strays into another one shows."""
    return crc32(f"{topic}\n{by}\n{n}".encode())


def position(text):
    """A pair of what is written ``epoch:offset``."""
    if not text:
        return None
    epoch, _, offset = text.rpartition(":")
    return epoch, int(offset)
