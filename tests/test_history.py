"""Positions, and logs in memory: against a model that keeps everything and looks through all of it."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.history import NOWHERE, WINDOW, Entry, Keep, Log, Page, Position, Seen, span

# -- positions ------------------------------------------------------------------------------------------------------

epochs = st.text(min_size=1, max_size=64)
offsets = st.integers(0, 10**18 - 1)


@given(epochs, offsets)
def test_what_is_written_can_be_read(epoch, offset):
    position = Position(epoch, offset)
    assert Position.parse(str(position)) == position


@given(st.text(alphabet=string.printable + "\u0661\u00b2"))
def test_anything_else_is_a_value_error(text):
    try:
        position = Position.parse(text)
    except ValueError:
        return
    assert position.offset >= 0
    assert 0 < len(position.epoch) <= 64
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text",
    ["", ":", ":5", "a", "a:", "a:-1", "a:+1", "a: 1", "a:1 ", "a:1.0", "a:1e3", "a:0x1", "a:\u0661", "a:\u00b2",
     "a:" + "9" * 19, "a" * 65 + ":1", "a:1_000"],
)  # fmt: skip
def test_what_is_no_position(text):
    with pytest.raises(ValueError, match="epoch:offset"):
        Position.parse(text)


def test_only_nowhere_is_false():
    assert not NOWHERE
    assert Position("a", 0)
    assert Position("a", 1)


@given(epochs, st.lists(offsets, min_size=2))
def test_positions_of_one_log_have_an_order(epoch, numbers):
    positions = sorted(Position(epoch, number) for number in numbers)
    assert [position.offset for position in positions] == sorted(numbers)


# -- which entries answer a read ------------------------------------------------------------------------------------

lengths = st.integers(0, 12)
cursors = st.none() | st.builds(Position, st.sampled_from(["e", "other"]), st.integers(-2, 14))
limits = st.integers(-1, 15)


@st.composite
def heads(draw):
    """A head, and the first offset that is still there."""
    head = draw(lengths)
    return Position("e", head), draw(st.integers(1, head + 1))


@given(heads(), cursors, limits)
def test_what_follows_a_cursor(log, after, limit):
    head, first = log
    if after is None:
        return
    kept = range(first, head.offset + 1)
    seen_all_that_is_gone = after.epoch == "e" and first - 1 <= after.offset <= head.offset
    wanted = [offset for offset in kept if offset > after.offset] if seen_all_that_is_gone else []
    start, stop, complete = span(head, first, after, None, limit)
    assert list(range(start + 1, stop + 1)) == wanted[: max(limit, 0)]
    assert complete == (seen_all_that_is_gone and len(wanted) <= max(limit, 0))


@given(heads(), cursors, limits)
def test_what_is_before_a_cursor(log, before, limit):
    head, first = log
    stop_before = head.offset + 1 if before is None else before.offset
    known = before is None or before.epoch == "e"
    ever = [offset for offset in range(1, head.offset + 1) if offset < stop_before]
    kept = [offset for offset in ever if offset >= first] if known else []
    wanted = kept[max(len(kept) - max(limit, 0), 0) :]
    start, stop, complete = span(head, first, None, before, limit)
    assert list(range(start + 1, stop + 1)) == wanted
    assert complete == (known and wanted == ever)


# -- ids ------------------------------------------------------------------------------------------------------------


def test_an_id_is_known_for_its_window_and_no_longer():
    seen = Seen()
    seen.add("x", 7, now=100.0)
    assert seen.find("x", 100.0 + WINDOW) == 7
    assert seen.find("y", 100.0 + WINDOW) is None
    assert seen.find("x", 100.1 + WINDOW) is None
    assert len(seen) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300))))
def test_ids_are_remembered_as_a_list_would(steps):
    seen, told, now = Seen(), [], 0
    for number, (id, pause) in enumerate(steps):
        now += pause
        expected = [offset for when, name, offset in told if name == id and when >= now - WINDOW]
        found = seen.find(id, now)
        assert found == (expected[0] if expected else None)
        if found is None:
            seen.add(id, number, now)
            told.append((now, id, number))
    assert len(seen) <= len({id for id, _ in steps})


# -- the log --------------------------------------------------------------------------------------------------------


class LogMachine(RuleBasedStateMachine):
    """A log, and beside it a list of everything that was ever appended."""

    def __init__(self):
        super().__init__()
        self.log = Log("e")
        self.now = 1_000.0
        self.keep = Keep()
        self.ever = []
        """When, data, id of each."""
        self.gone = 0
        """The offset up to which some ``Keep`` let go: what has gone does not come back."""

    @rule(
        data=st.binary(max_size=3),
        keep=st.builds(Keep, st.integers(0, 6), st.sampled_from([0.0, 5.0, 60.0, 1e9])),
        id=st.none() | st.sampled_from(["a", "b", "c"]),
    )
    def append(self, data, keep, id):
        known = [n for n, (when, _, name) in enumerate(self.ever) if id and name == id and when >= self.now - WINDOW]
        position, new = self.log.append(data, keep, self.now, id)
        if known:
            assert (position, new) == (Position("e", known[-1] + 1), False)
        else:
            self.ever.append((self.now, data, id))
            self.keep = keep
            assert (position, new) == (Position("e", len(self.ever)), True)
            self.let_go()

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 61.0, 300.0, 601.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def trim(self):
        self.log.trim(self.log.keep, self.now)
        self.let_go()

    @rule(after=cursors, before=cursors, limit=limits)
    def read(self, after, before, limit):
        page = self.log.read(after, before, limit)
        first = self.log.entries[0][1].offset if self.log.entries else self.log.head + 1
        start, stop, complete = span(self.log.position, first, after, before, limit)
        found = tuple(Entry(offset, self.ever[offset - 1][1]) for offset in range(start + 1, stop + 1))
        assert page == Page(found, Position("e", len(self.ever)), complete)

    def let_go(self):
        old = [n for n, (when, _, _) in enumerate(self.ever, 1) if when < self.now - self.keep.seconds]
        self.gone = max(self.gone, len(self.ever) - self.keep.count, *old, 0)

    @invariant()
    def it_has_what_is_to_be_kept_and_nothing_else(self):
        there = [(entry.offset, entry.data) for _, entry in self.log.entries]
        assert there == [(n, data) for n, (_, data, _) in enumerate(self.ever, 1) if n > self.gone]


TestLog = LogMachine.TestCase
