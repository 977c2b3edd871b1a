"""Who is in a topic: one node's roster, several that merge, leases, and the form in which clients are told."""

import itertools
import json
import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.presence import HANDOVER, Delta, Roster, Row, written
from tests.histories import check

META, OTHER = b'{"name":"Ada"}', b'{"name":"Bob"}'
WALL = 1_000_000.0
HISTORIES, BLOCK = int(os.environ.get("HISTORIES", "300")), 50
"""`HISTORIES=20000 make test ARGS="tests/test_presence.py -n 2"` runs as many, in a quarter of an hour."""


def roster(node="n", grace=5.0):
    return Roster(node, grace, itertools.count(1))


def told(changes):
    """The keys that joined and left, each with its refs."""
    return tuple(
        {key: [row.ref for row in rows] for key, rows in part.items()} for part in (changes.joins, changes.leaves)
    )


# -- one node ------------------------------------------------------------------------------------------------------


def test_who_is_tracked_joins_once():
    here = roster()
    here.track("ada", META, 0.0, WALL)
    changes = here.changes()
    assert told(changes) == ({"ada": ["n.3"]}, {})
    assert (changes.online, changes.offline) == ([("ada", "n")], [])
    assert told(here.changes()) == ({}, {})
    assert (len(here), "ada" in here, "bob" in here) == (1, True, False)


def test_who_left_is_shown_until_the_grace_is_over():
    here = roster(grace=5.0)
    number = here.track("ada", META, 0.0, WALL)
    here.changes()
    here.untrack(number, 10.0, WALL + 10)
    assert here.deadline == 15.0
    here.expire(14.9)
    assert told(here.changes()) == ({}, {})
    here.expire(15.0)
    changes = here.changes()
    assert told(changes) == ({}, {"ada": ["n.3"]})
    assert changes.offline == [("ada", WALL + 10, "n")]
    assert here.deadline is None
    assert len(here) == 0


def test_who_returns_in_time_was_never_gone():
    here = roster()
    number = here.track("ada", META, 0.0, WALL)
    here.changes()
    here.untrack(number, 1.0, WALL)
    assert here.track("ada", META, 2.0, WALL) == number
    here.expire(100.0)
    assert told(here.changes()) == ({}, {})
    assert [row.ref for row in here.shown("ada")] == ["n.3"]


def test_who_returns_with_another_meta_has_changed_it():
    here = roster()
    here.untrack(here.track("ada", META, 0.0, WALL), 1.0, WALL)
    here.changes()
    here.track("ada", OTHER, 2.0, WALL)
    changes = here.changes()
    assert told(changes) == ({"ada": ["n.4"]}, {"ada": ["n.3"]})
    assert changes.joins["ada"][0].previous == "n.3"
    assert (changes.online, changes.offline) == ([], [])


def test_of_two_tabs_the_one_that_returns_takes_its_own_place():
    here = roster()
    laptop, phone = here.track("ada", META, 0.0, WALL), here.track("ada", OTHER, 0.0, WALL)
    here.changes()
    here.untrack(laptop, 1.0, WALL)
    here.untrack(phone, 2.0, WALL + 1)
    assert here.track("ada", META, 3.0, WALL) == laptop
    assert told(here.changes()) == ({}, {})
    here.expire(100.0)
    assert told(here.changes()) == ({}, {"ada": ["n.5"]})


def test_without_rest_it_is_gone_at_once():
    here = roster()
    number = here.track("ada", META, 0.0, WALL)
    here.changes()
    here.untrack(number, 1.0, WALL, 0.0)
    assert told(here.changes()) == ({}, {"ada": ["n.3"]})
    here.untrack(number, 2.0, WALL)  # and once is enough
    assert told(here.changes()) == ({}, {})


def test_who_came_and_went_between_two_rounds_is_not_told():
    here = roster()
    here.untrack(here.track("ada", META, 0.0, WALL), 0.0, WALL, 0.0)
    changes = here.changes()
    assert told(changes) == ({}, {})
    assert changes.online == changes.offline == []


def test_the_same_meta_again_is_no_change():
    here = roster()
    number = here.track("ada", META, 0.0, WALL)
    here.changes()
    here.delta(0.0)
    here.update(number, META, 1.0, WALL)
    assert not here.changed
    here.update(number, OTHER, 1.0, WALL)
    assert told(here.changes()) == ({"ada": ["n.5"]}, {"ada": ["n.3"]})


# -- several -------------------------------------------------------------------------------------------------------


def test_deltas_bring_a_row_to_another_node():
    here, there = roster("a"), roster("b")
    here.track("ada", META, 0.0, WALL)
    there.changes()
    assert there.merge(here.delta(0.0), 0.0, WALL)
    changes = there.changes()
    assert told(changes) == ({"ada": ["a.3"]}, {})
    assert changes.online == [("ada", "a")]
    assert here.delta(0.0) is None


def test_a_missing_delta_is_noticed_and_the_whole_sheet_makes_up_for_it():
    here, there = roster("a"), roster("b")
    here.track("ada", META, 0.0, WALL)
    here.delta(0.0)  # lost
    here.track("bob", META, 0.0, WALL)
    late = here.delta(0.0)
    assert not there.merge(late, 0.0, WALL)
    assert (len(there), there.known("a")) == (0, 0)
    assert there.merge(here.whole(0.0), 0.0, WALL)
    assert set(there) == {"ada", "bob"}
    assert there.merge(late, 0.0, WALL)
    assert there.known("a") == late.version


def test_a_place_is_taken_on_another_node_without_a_word():
    here, there = roster("a"), roster("b")
    number = here.track("ada", META, 0.0, WALL)
    there.merge(here.delta(0.0), 0.0, WALL)
    here.changes(), there.changes()
    here.untrack(number, 1.0, WALL)
    there.merge(here.delta(1.0), 1.0, WALL)
    there.track("ada", META, 2.0, WALL + 2)
    here.merge(there.delta(2.0), 2.0, WALL)
    for node in (here, there):
        node.expire(100.0)
        assert told(node.changes()) == ({}, {})
        assert [row.ref for row in node.shown("ada")] == ["a.3"]
        assert node.oldest("ada") == "a"


def test_rows_of_a_lost_node_go_after_the_grace_and_come_back_with_it():
    here, there = roster("a"), roster("b", grace=5.0)
    here.track("ada", META, 0.0, WALL)
    there.merge(here.delta(0.0), 0.0, WALL)
    there.changes()
    there.lose("a", 10.0, WALL + 8)
    there.expire(14.0)
    assert told(there.changes()) == ({}, {})
    there.expire(15.0)
    changes = there.changes()
    assert told(changes) == ({}, {"ada": ["a.3"]})
    assert changes.offline == [("ada", WALL + 8, "a")]
    here.track("bob", META, 16.0, WALL)
    assert not there.merge(here.delta(16.0), 16.0, WALL)
    assert there.merge(here.whole(16.0), 16.0, WALL)
    assert told(there.changes()) == ({"ada": ["a.3"], "bob": ["a.6"]}, {})


def test_a_topic_that_begins_again_is_newer_than_before():
    """That it ended was not heard."""
    numbers = itertools.count(1)
    here, there = Roster("a", 5.0, numbers), roster("b")
    here.track("ada", META, 0.0, WALL)
    there.merge(here.delta(0.0), 0.0, WALL)
    again = Roster("a", 5.0, numbers)
    assert there.merge(again.whole(0.0), 0.0, WALL)
    assert len(there) == 0


def test_a_late_sheet_does_not_bring_back_whom_a_node_that_parted_had():
    here, there = roster("a"), roster("b")
    number = here.track("ada", META, 0.0, WALL)
    early = here.delta(0.0)
    here.untrack(number, 0.0, WALL, 0.0)
    here.delta(0.0)
    there.part(Delta("a", 0, 100, ()), 0.0, WALL)
    assert there.merge(early, 0.0, WALL)
    assert len(there) == 0
    assert not there.sheets["a"].open
    assert there.known("a") == 0


def test_who_took_a_seat_on_another_node_and_left_it_does_not_bring_back_who_had_it():
    """The one who had it said goodbye, and would be shown for half a minute; word of it may come at any time."""
    here, there, late = roster("a"), roster("b"), roster("c")
    here.track("ada", META, 0.0, WALL)
    there.merge(here.delta(0.0), 0.0, WALL)
    there.lose("a", 0.0, WALL, HANDOVER)
    number = there.track("ada", OTHER, 1.0, WALL)
    there.changes()
    there.untrack(number, 2.0, WALL, 0.0)
    assert told(there.changes()) == ({}, {"ada": ["b.3"]})
    late.merge(there.delta(2.0), 2.0, WALL)
    late.merge(here.whole(0.0), 2.0, WALL)
    late.lose("a", 2.0, WALL, HANDOVER)
    assert (len(there), len(late)) == (0, 0)
    for node in (there, late):
        node.expire(100.0)
        assert told(node.changes()) == ({}, {})
        assert not node.sheets["b"].rows


def test_two_who_took_one_seat_are_two():
    nodes = first, second, third = roster("a"), roster("b"), roster("c")
    left = third.track("ada", META, 0.0, WALL)
    third.untrack(left, 0.0, WALL)
    delta = third.delta(0.0)
    for node in (first, second):
        node.merge(delta, 0.0, WALL)
        node.track("ada", META, 1.0, WALL)
    for _ in range(2):  # the second gives up the seat when it hears of the first, and tells
        deltas = [node.delta(1.0) for node in nodes]
        for node in nodes:
            for delta in filter(None, deltas):
                assert delta.node == node.node or node.merge(delta, 1.0, WALL)
    for node in nodes:
        assert sorted(row.ref for row in node.shown("ada")) == ["b.4", "c.3"]


def test_of_two_who_took_one_seat_the_one_on_a_node_that_ended_finds_it_again():
    first, second, third = roster("a"), roster("b"), roster("c")
    third.untrack(third.track("ada", META, 0.0, WALL), 0.0, WALL)
    delta = third.delta(0.0)
    for node in (first, second):
        node.merge(delta, 0.0, WALL)
        node.track("ada", META, 1.0, WALL)
    ended = second.whole(1.0)
    first.merge(ended, 1.0, WALL)
    assert [row.ref for row in first.shown("ada")] == ["c.3"]  # it comes first, and awaits that the other gives way
    first.lose("b", 1.0, WALL, HANDOVER)
    assert [row.ref for row in first.shown("ada")] == ["a.3", "c.3"]
    first.track("ada", META, 2.0, WALL)
    assert sorted(row.ref for row in first.shown("ada") if not row.left) == ["a.3", "c.3"]


@pytest.mark.parametrize("calm", [True, False], ids=["calm", "rough"])
@pytest.mark.parametrize("block", range(0, HISTORIES // 2, BLOCK))
def test_histories_converge(block, calm):
    for seed in range(block, min(block + BLOCK, HISTORIES // 2)):
        check(seed, calm)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_merging_is_idempotent_and_needs_no_order(data):
    """Whatever way the sheets of two nodes come, twice or late, the same is shown."""
    sources, sheets = [roster("a"), roster("b")], []
    for _ in range(data.draw(st.integers(1, 12))):
        source = data.draw(st.sampled_from(sources))
        number = source.track(data.draw(st.sampled_from("xyz")), data.draw(st.sampled_from([META, OTHER])), 0.0, WALL)
        if data.draw(st.booleans()):
            source.untrack(number, 0.0, WALL, data.draw(st.sampled_from([0.0, 5.0])))
        source.delta(0.0)
        sheets.append(source.whole(0.0))
    newest = [source.whole(0.0) for source in sources]
    views = []
    for _ in range(2):
        order = [*data.draw(st.permutations(sheets)), *newest]
        if data.draw(st.booleans()):
            order = [*newest, *order]
        target = roster("t")
        for sheet in order:
            assert target.merge(sheet, 0.0, WALL)
        views.append({key: sorted(row.ref for row in target.shown(key)) for key in target})
    assert views[0] == views[1]


def test_deltas_travel_as_messagepack():
    here = roster("a")
    here.track("ada", META, 0.0, WALL)
    here.untrack(here.track("bob", META, 0.0, WALL), 1.0, WALL)
    delta = here.delta(2.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(delta), type=Delta) == delta
    assert [row.rest for row in delta.rows] == [0.0, 4.0]


# -- how it is told ------------------------------------------------------------------------------------------------

metas = st.dictionaries(st.text(max_size=5).filter(lambda name: "phx_ref" not in name), st.integers() | st.text())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(metas, min_size=1, max_size=3), max_size=5))
def test_metas_are_told_in_the_form_of_phoenix(everyone):
    rows, expected = {}, {}
    for key, shown in everyone.items():
        rows[key] = [Row(1, key, "n.1", msgspec.json.encode(meta), WALL, "n.1") for meta in shown]
        rows[key].append(Row(1, key, "n.3", b"{}", WALL, "n.1", previous="n.2"))
        told = [{"phx_ref": "n.1", **meta} for meta in shown]
        expected[key] = {"metas": [*told, {"phx_ref": "n.3", "phx_ref_prev": "n.2"}]}
    assert json.loads(written(rows)) == expected
