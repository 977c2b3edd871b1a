"""What a node hears of a topic while answers and publications overtake each other."""

import asyncio

import pytest

from hubbub.brokers import redis_ears
from hubbub.brokers.redis_ears import UNBORN, Ear, Ears
from hubbub.history import NOWHERE, Entry, Page, Position

LOOK = 10
"""Seconds for what has to happen."""


class Log:
    """A log in Redis whose answers come when the test lets them, and a line that has ``told`` all when it says so."""

    def __init__(self):
        self.entries = []
        self.heard = []
        self.missed = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.told = asyncio.Event()
        self.told.set()
        self.ears = Ears(self.deliver, self.missed.append, self.look, self.read, self.told.wait, self.complain)
        self.ear = self.ears.topics["t"] = Ear()
        self.ears.begin("t", self.ear, UNBORN)

    def append(self, data):
        self.entries.append(data)
        return Position("e", len(self.entries))

    @property
    def head(self):
        return Position("e", len(self.entries)) if self.entries else UNBORN

    async def look(self, topic):
        answer = self.head
        await self.gate.wait()
        return answer

    async def read(self, topic, after, limit):
        await self.gate.wait()
        start = after.offset
        entries = tuple(Entry(number + 1, data) for number, data in enumerate(self.entries) if number >= start)
        return Page(entries[:limit], self.head, len(entries) <= limit)

    def deliver(self, topic, data, position):
        self.heard.append(data)

    def complain(self, what, error):
        raise error


async def test_an_answer_that_is_older_than_what_came_changes_nothing():
    log = Log()
    log.gate.clear()
    check = asyncio.ensure_future(log.ears.check("t"))
    await asyncio.sleep(0)
    log.ears.hear("t", b"kept", log.append(b"kept"))
    log.append(b"kept later")  # it is on its way, behind what is not kept
    log.gate.set()
    await asyncio.wait_for(check, LOOK)
    assert log.ear.fill is None
    log.ears.hear("t", b"not kept", NOWHERE)
    log.ears.hear("t", b"kept later", log.head)
    assert log.heard == [b"kept", b"not kept", b"kept later"]


async def test_a_gap_is_filled_as_far_as_it_reaches_and_not_ahead_of_what_is_not_kept():
    log = Log()
    for data in (b"1", b"2", b"3"):
        third = log.append(data)
    log.append(b"4")
    log.ears.hear("t", b"3", third)  # 1 and 2 were not heard, 4 is on its way
    log.ears.hear("t", b"not kept", NOWHERE)
    log.ears.hear("t", b"4", log.head)
    await asyncio.wait_for(log.ears.filled(), LOOK)
    assert log.heard == [b"1", b"2", b"3", b"not kept", b"4"]
    assert log.missed == []
    assert log.ear.sure


async def test_a_gap_that_grows_while_it_is_filled_is_filled_to_its_end():
    log = Log()
    log.append(b"1")
    second = log.append(b"2")
    log.gate.clear()
    log.ears.hear("t", b"2", second)
    log.append(b"3")
    log.append(b"4")
    log.ears.hear("t", b"5", log.append(b"5"))  # 3 and 4 are a second gap
    log.gate.set()
    await asyncio.wait_for(log.ears.filled(), LOOK)
    assert log.heard == [b"1", b"2", b"3", b"4", b"5"]
    assert log.missed == []


async def test_who_waits_for_a_position_gets_it_by_the_log_when_the_line_is_silent():
    log = Log()
    for number in range(3):
        log.append(b"%d" % number)
    await asyncio.wait_for(log.ears.reach("t", Position("e", 2)), LOOK)
    assert log.heard == [b"0", b"1"]


async def test_what_a_log_has_no_longer_is_said_to_be_missed():
    log = Log()
    log.append(b"1")
    log.ears.hear("t", b"1", log.head)
    log.ears.hear("t", b"9", Position("e", 9))
    await asyncio.wait_for(log.ears.filled(), LOOK)
    assert log.missed == ["t"]
    assert log.heard == [b"1", b"9"]


async def test_a_look_at_a_line_that_is_late_waits_for_it():
    log = Log()
    log.ears.hear("t", b"1", log.append(b"1"))
    await asyncio.wait_for(log.ears.check("t"), LOOK)
    log.append(b"2")
    check = asyncio.ensure_future(log.ears.check("t"))
    await asyncio.sleep(0)
    log.ears.hear("t", b"not kept", NOWHERE)
    log.ears.hear("t", b"2", log.head)
    await asyncio.wait_for(check, LOOK)
    assert log.heard == [b"1", b"not kept", b"2"]
    assert log.ear.fill is None


async def test_a_look_at_a_log_that_has_begun_waits_for_the_line_to_tell_its_beginning():
    log = Log()
    await asyncio.wait_for(log.ears.check("t"), LOOK)
    assert log.ear.sure
    log.append(b"1")
    second = log.append(b"2")
    check = asyncio.ensure_future(log.ears.check("t"))
    await asyncio.sleep(0)
    log.ears.hear("t", b"not kept", NOWHERE)
    log.ears.hear("t", b"1", Position("e", 1))
    log.ears.hear("t", b"not kept either", NOWHERE)
    log.ears.hear("t", b"2", second)
    await asyncio.wait_for(check, LOOK)
    assert log.heard == [b"not kept", b"1", b"not kept either", b"2"]
    assert log.missed == []


async def test_a_look_finds_what_a_whole_line_has_lost():
    log = Log()
    log.ears.hear("t", b"1", log.append(b"1"))
    await asyncio.wait_for(log.ears.check("t"), LOOK)
    log.append(b"2")
    await asyncio.wait_for(log.ears.check("t"), LOOK)
    assert log.heard == [b"1", b"2"]


@pytest.mark.parametrize("act", [lambda log: log.ears.check("t"), lambda log: log.ears.reach("t", log.head)])
async def test_nobody_goes_to_the_log_before_the_line_has_told_all(monkeypatch, act):
    """However long that takes: what is not kept keeps its place."""
    monkeypatch.setattr(redis_ears, "LATE", 0.0)
    monkeypatch.setattr(redis_ears, "SOON", 0.0)
    log = Log()
    log.ears.hear("t", b"1", log.append(b"1"))
    await asyncio.wait_for(log.ears.check("t"), LOOK)
    log.append(b"2")
    asked = asyncio.Event()

    async def catch_up():
        asked.set()
        await log.told.wait()

    monkeypatch.setattr(log.ears, "_catch_up", catch_up)
    log.told.clear()
    acting = asyncio.ensure_future(act(log))
    await asyncio.wait_for(asked.wait(), LOOK)
    assert log.ear.fill is None
    log.ears.hear("t", b"not kept", NOWHERE)
    log.ears.hear("t", b"2", log.head)
    log.told.set()
    await asyncio.wait_for(acting, LOOK)
    assert log.heard == [b"1", b"not kept", b"2"]
