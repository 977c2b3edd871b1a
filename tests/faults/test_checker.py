"""The checker finds what it is there to find, in records written by hand, and nothing in one that is right."""

import pytest

from .checker import VERDICTS, Promise, check
from .record import ACKED, REFUSED, Bound, Broken, Here, Joined, Left, Past, Record, Turn, View, checksum

TOPIC = "log:a"


def good(clients=2, messages=10):
    """Everybody hears everything; each client's line breaks after the fifth, and it comes back."""
    record = Record(ended=True)
    for n in range(1, messages + 1):
        sent = record.invoke("p", n, TOPIC)
        sent.invoked, sent.answered, sent.outcome, sent.position = n, n + 0.5, ACKED, ("e", n)
    for number in range(clients):
        story = record.story(f"c{number}", "native", TOPIC)
        story.events.append(Joined(0.2, 0.1, None, None, ("e", 0)))
        for n in range(1, messages + 1):
            hear(story, n)
            if n == 5:
                story.events.append(Broken(5.6, "reset"))
                story.events.append(Joined(5.8, 5.7, ("e", 5), True, ("e", 5), fresh=False))
    record.pasts.append(Past(TOPIC, 100.0, "e", [(n, ("p", n)) for n in range(1, messages + 1)]))
    return record


def hear(story, n, offset=None, epoch="e", at=None):
    story.heard({"by": "p", "n": n, "sum": checksum(TOPIC, "p", n)}, (epoch, offset or n))
    story.events[-1] = story.events[-1]._replace(at=at or n + 0.4)


def found(record, promise=None):
    findings = check(record, promise)
    return {verdict for verdict in VERDICTS if findings[verdict]}


def test_a_right_record_has_no_findings():
    assert found(good()) == set()


def drop(record):
    del record.stories[0].events[3]


def drop_the_last(record):
    del record.stories[0].events[-1]


def drop_everything(record):
    del record.stories[0].events[1:]


def drop_the_first_of_who_was_not_told_where_it_begins(record):
    events = record.stories[0].events
    events[0] = events[0]._replace(head=None)
    del events[1]


def double(record):
    events = record.stories[0].events
    events.insert(3, events[3])


def swap(record):
    events = record.stories[0].events
    events[3], events[4] = events[4], events[3]


def give_one_client_another_message(record):
    record.invoke("p", 11, TOPIC).invoked = 0.0
    record.stories[0].events.pop()
    hear(record.stories[0], 11, offset=10)


def store_twice(record):
    for story in record.stories:
        hear(story, 10, offset=11)


def reverse_a_publisher(record):
    for story in record.stories:
        story.events[2], story.events[3] = (
            story.events[3]._replace(offset=2),
            story.events[2]._replace(offset=3),
        )


def invent(record):
    for story in record.stories:
        hear(story, 11)


def publish_what_was_refused(record):
    record.sent["p", 10].outcome = REFUSED


def spoil(record):
    record.stories[0].events[2] = record.stories[0].events[2]._replace(intact=False)


def foresee(record):
    record.sent["p", 4].invoked = 50.0


def acknowledge_elsewhere(record):
    record.sent["p", 4].position = ("e", 40)


def punch_the_log(record):
    del record.pasts[0].entries[4]


def forget_in_the_log(record):
    record.pasts[0].entries.pop()


def lose_its_epoch(record):
    record.pasts[0] = Past(TOPIC, 100.0, "f", [])


def join_in_the_past(record):
    record.story("late", "native", TOPIC).events.append(Joined(50.1, 50.0, None, None, ("e", 3)))


def come_back_without_a_word(record):
    events = record.stories[0].events
    events[7] = events[7]._replace(recovered=None)


def not_recover(record):
    events = record.stories[0].events
    events[7] = events[7]._replace(recovered=False)


def change_epoch_in_silence(record):
    story = record.stories[0]
    record.invoke("p", 11, TOPIC).invoked = 10.5
    hear(story, 11, offset=2, epoch="f", at=12.0)


def begin_an_epoch_before_the_end_of_the_last(record):
    story = record.stories[0]
    story.events.pop()
    record.invoke("p", 11, TOPIC).invoked = 10.5
    hear(story, 11, offset=1, epoch="f", at=12.0)


def return_an_epoch(record):
    events = record.stories[0].events
    events += [Broken(20, ""), Joined(21, 20.5, ("e", 10), False, ("f", 0), fresh=False)]
    events += [Broken(22, ""), Joined(23, 22.5, ("f", 0), False, ("e", 10), fresh=False)]


def hear_after_leaving(record):
    record.stories[0].events.insert(10, Left(8.6))


def ghost(record):
    record.here.append(Here(TOPIC, "eve", 1.0, 2.0))
    record.views.append(View(60.0, "one", TOPIC, frozenset({"eve"})))


def miss_a_member(record):
    record.here.append(Here(TOPIC, "eve", 1.0))
    record.views.append(View(60.0, "one", TOPIC, frozenset()))


def join_twice(record):
    record.turns["c0", TOPIC] = [Turn(1, frozenset({"eve"}), frozenset()), Turn(2, frozenset({"eve"}), frozenset())]


def leave_twice(record):
    record.turns["c0", TOPIC] = [
        Turn(1, frozenset({"eve"}), frozenset(), state=True),
        Turn(2, frozenset(), frozenset({"eve"})),
        Turn(3, frozenset(), frozenset({"eve"})),
    ]


def flap(record):
    record.here.append(Here(TOPIC, "eve", 1.0))
    record.turns["c0", TOPIC] = [
        Turn(1.1, frozenset({"eve"}), frozenset()),
        Turn(30, frozenset(), frozenset({"eve"})),
        Turn(31, frozenset({"eve"}), frozenset()),
    ]


def be_left_out_of_a_state(record):
    record.here.append(Here(TOPIC, "eve", 1.0))
    record.turns["c0", TOPIC] = [Turn(30, frozenset({"ada"}), frozenset(), state=True)]


def leak(record):
    record.bounds.append(Bound("files", 140, 20))


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (drop, "gap"), (drop, "lost"), (drop_the_last, "lost"), (drop_everything, "lost"),
        (drop_the_first_of_who_was_not_told_where_it_begins, "lost"), (double, "double"), (swap, "order"),
        (give_one_client_another_message, "agreement"), (store_twice, "double"), (reverse_a_publisher, "order"),
        (invent, "phantom"), (publish_what_was_refused, "phantom"), (spoil, "phantom"), (foresee, "phantom"),
        (acknowledge_elsewhere, "double"), (punch_the_log, "offsets"), (forget_in_the_log, "lost"),
        (forget_in_the_log, "real time"), (lose_its_epoch, "lost"), (join_in_the_past, "real time"),
        (come_back_without_a_word, "gap"), (not_recover, "told"), (change_epoch_in_silence, "gap"),
        (begin_an_epoch_before_the_end_of_the_last, "lost"),
        (return_an_epoch, "offsets"), (hear_after_leaving, "authority"), (ghost, "presence"),
        (miss_a_member, "presence"), (join_twice, "presence"), (leave_twice, "presence"), (flap, "presence"),
        (be_left_out_of_a_state, "presence"),
        (leak, "bounds"),
    ],
)  # fmt: skip
def test_it_finds(fault, verdict):
    record = good()
    fault(record)
    assert verdict in found(record)


def test_a_client_may_be_told_that_its_past_is_gone_where_nothing_else_is_promised():
    record = good()
    for sent in list(record.sent.values())[5:]:
        sent.position = ("f", sent.n - 5)
    for story in record.stories:
        del story.events[6:]
        story.events.append(Broken(5.6, "killed"))
        story.events.append(Joined(5.8, 5.7, ("e", 5), False, ("f", 0), fresh=False))
        for n in range(6, 11):
            hear(story, n, offset=n - 5, epoch="f")
    record.pasts = [Past(TOPIC, 100.0, "f", [(n - 5, ("p", n)) for n in range(6, 11)])]
    assert found(record, Promise(durable=False)) == set()
    assert {"told", "lost", "offsets"} <= found(record, Promise(durable=True))


def test_where_logs_are_short_who_missed_much_may_be_told_so_and_nobody_else():
    record = good()
    for story in record.stories:
        del story.events[6:]
        story.events.append(Broken(5.6, "killed"))
        story.events.append(Joined(5.8, 5.7, ("e", 5), False, ("e", 8), fresh=False))
        for n in (9, 10):
            hear(story, n)
    assert found(record, Promise(reach=2)) == set()
    assert found(record, Promise(reach=3)) == {"told"}


def test_where_nodes_are_cut_off_from_each_other_they_may_tell_of_members_later_but_not_much():
    record = good()
    record.here.append(Here(TOPIC, "eve", 1.0))
    record.turns["c0", TOPIC] = [
        Turn(30, frozenset({"ada"}), frozenset(), state=True),
        Turn(33, frozenset({"eve"}), frozenset()),
    ]
    assert found(record, Promise(late=3.5)) == set()
    assert found(record, Promise(late=2.5)) == {"presence"}


def test_who_heard_everything_may_go_on_with_the_first_of_a_new_epoch():
    record = good()
    record.invoke("p", 11, TOPIC).invoked = 10.5
    for story in record.stories:
        hear(story, 11, offset=1, epoch="f", at=12.0)
    record.pasts = [Past(TOPIC, 100.0, "f", [(1, ("p", 11))])]
    assert found(record, Promise(durable=False)) == set()


def test_what_was_never_acknowledged_may_be_there_or_not():
    record = good()
    for n in (10, 11):
        sent = record.invoke("p", n, TOPIC)
        sent.invoked = n
    assert found(record) == set()
