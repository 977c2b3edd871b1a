"""What nodes tell each other of presence, word by word: who asks whom, what is answered, and what is not believed."""

import itertools

import msgspec
import pytest

from hubbub.gossip import ALL, BEAT, DOUBTS, LATELY, LEASE, Ask, Beat, Bye, Farewell, Gossip, Shut, Tell, about, own
from hubbub.gossip import read as decoded
from hubbub.gossip import write as encoded
from hubbub.presence import HANDOVER, Delta, Roster

META = b'{"name":"Ada"}'
WALL = 1_000_000.0


class Node:
    """One that keeps what it said, and has a topic."""

    def __init__(self, name, topic="room"):
        self.numbers = itertools.count(1)
        self.said = []
        self.heard = []
        self.gossip = Gossip(
            name, self.numbers, 0.0, lambda *said: self.said.append(said), lambda *heard: self.heard.append(heard)
        )
        if topic is not None:
            self.roster = Roster(name, 5.0, self.numbers)
            self.gossip.begin(topic, self.roster)
            self.said.clear()

    def hear(self, *words, now=0.0):
        """Gives what it says to them."""
        self.said.clear()
        for word in words:
            self.gossip.hear(word, now, WALL + now)
        return self.said

    def tell(self, now=0.0):
        self.said.clear()
        self.gossip.tell("room", self.roster.delta(now), now)
        ((channel, word),) = self.said
        assert channel == about("room")
        return word


def tracked(node, key="ada", now=0.0):
    number = node.roster.track(key, META, now, WALL + now)
    return number, node.tell(now)


def test_a_new_node_is_answered_and_a_known_one_is_not():
    here = Node("here")
    assert here.hear(Beat("there", hello=True)) == [(own("there"), Beat("here"))]
    assert here.hear(Beat("there")) == []
    assert here.hear(Beat("third")) == [(own("third"), Ask("here", {"room": 0}))]


def test_who_missed_a_delta_asks_for_the_sheet_and_once_is_enough():
    here, there = Node("here"), Node("there")
    here.hear(Beat("there", hello=True)), there.hear(Beat("here", hello=True))
    tracked(there)
    _, late = tracked(there, "bob")
    ask = Ask("here", {"room": 0})
    assert here.hear(late) == [(own("there"), ask)]
    assert here.hear(tracked(there, "eve")[1]) == []
    ((channel, tell),) = there.hear(ask)
    assert (channel, set(tell.delta.rows)) == (own("here"), set(there.roster.sheets["there"].rows.values()))
    here.hear(tell)
    assert set(here.roster) == {"ada", "bob", "eve"}
    assert here.heard[-1] == ("room", "there")


def test_who_asks_with_the_newest_version_is_not_answered():
    here = Node("here")
    _, told = tracked(here)
    assert here.hear(Ask("there", {"room": told.delta.version})) == [(own("there"), Ask("here", {"room": 0}))]
    assert here.hear(Ask("there", {"room": told.delta.version, "elsewhere": 0})) == []
    assert here.roster.sheets["there"].open


def test_a_topic_that_is_gone_is_said_to_be():
    here, there = Node("here"), Node("there")
    here.hear(tracked(there)[1])
    there.gossip.finish("room")
    (ask,) = [word for channel, word in here.hear(Beat("here"), now=2 * LEASE) if channel == own("there")]
    ((channel, shut),) = [said for said in there.hear(ask) if type(said[1]) is Shut]
    assert (channel, shut.delta.rows) == (own("here"), ())
    here.hear(shut)
    assert len(here.roster) == 0
    here.hear(Tell("room", Delta("there", 0, 2, ())))
    assert here.roster.known("there") == 0


def test_changes_are_named_in_beats_for_a_while():
    here = Node("here")
    _, told = tracked(here, now=0.0)

    def named(now):
        here.said.clear()
        here.gossip.tick(now, WALL + now)
        return here.said[0]

    assert named(0.1) == (ALL, Beat("here"))  # the beat might overtake the delta
    assert named(BEAT) == (ALL, Beat("here", {"room": told.delta.version}))
    assert named(LATELY + 1) == (ALL, Beat("here"))


def test_each_beat_asks_about_some_topics_in_turn():
    here = Node("here")
    here.hear(Beat("there"))
    for number in range(DOUBTS):
        here.gossip.begin(f"room:{number}", Roster("here", 5.0, here.numbers))
    asked = []
    for now in (1.0, 2.0, 3.0):
        here.said.clear()
        here.gossip.tick(now, WALL)
        asked.append([word.versions for channel, word in here.said if channel == own("there")])
    assert [[len(versions) for versions in each] for each in asked] == [[DOUBTS], [1], [DOUBTS]]
    assert len({topic for each in asked[:2] for versions in each for topic in versions}) == DOUBTS + 1


def test_a_silent_node_is_lost_and_its_rows_are_on_their_way_out():
    here, there = Node("here"), Node("there")
    here.hear(tracked(there)[1])
    for now in (2.0, 4.0, 6.0, 8.0):
        here.hear(Beat("here"), now=now)
        here.gossip.tick(now, WALL + now)
    assert "there" not in here.gossip.leases
    here.roster.expire(12.0)
    assert "ada" in here.roster
    here.roster.expire(13.0)
    assert len(here.roster) == 0


def test_one_that_said_goodbye_is_believed():
    here, there = Node("here"), Node("there")
    _, told = tracked(there)
    here.hear(told)
    there.said.clear()
    there.gossip.goodbye(1.0, WALL + 1)
    assert there.said == [
        (about("room"), Farewell("room", there.roster.whole(1.0), WALL + 1)), (ALL, Bye("there")),
    ]  # fmt: skip
    here.hear(*(word for _, word in there.said), now=1.0)
    assert here.hear(tracked(there, "late")[1], now=1.0) == []
    assert set(here.roster) == {"ada"}
    here.roster.expire(1.0 + HANDOVER)
    assert len(here.roster) == 0


@pytest.mark.parametrize("age", [0.0, 12.0, HANDOVER + 1])
def test_a_farewell_that_is_read_later_is_as_old_as_it_is(age):
    here, there = Node("here"), Node("there")
    tracked(there)
    here.hear(Farewell("room", there.roster.whole(0.0), WALL), now=age)
    if age > HANDOVER:
        assert len(here.roster) == 0
    else:
        assert here.roster.deadline == HANDOVER


def test_for_a_lost_node_the_first_of_those_that_are_left_speaks():
    here, there = Node("b"), Node("c")
    here.hear(Ask("c", {"room": 0}), Beat("a"))
    there.hear(Ask("b", {"room": 0}), Beat("a"))
    assert here.gossip.speaks("room", "b")
    assert not here.gossip.speaks("room", "c")
    assert here.gossip.speaks("room", "gone")  # a has not got the topic
    assert not there.gossip.speaks("room", "gone")


def test_words_travel_as_messagepack():
    delta = Delta("n", 0, 3, ())
    for word in (
        Beat("n", {"room": 3}), Beat("n", hello=True), Bye("n"), Ask("n", {"room": 0}), Tell("room", delta),
        Shut("room", delta), Farewell("room", delta, WALL),
    ):  # fmt: skip
        assert decoded(encoded(word)) == word
    with pytest.raises(msgspec.MsgspecError):
        decoded(encoded(["beat", 1]))
