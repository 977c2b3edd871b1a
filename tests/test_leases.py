"""Which nodes live: leases that run out, and those that do not because nobody heard anything."""

from hubbub.leases import Leases


def test_a_silent_node_is_lost_once():
    leases = Leases("me", 6.0, 0.0)
    assert leases.hear("a", 0.0)
    assert not leases.hear("a", 2.0)
    for now in (2.0, 4.0, 6.0, 8.0):
        leases.hear("me", now)
        assert leases.lost() == []
    leases.hear("me", 10.0)
    assert leases.lost() == [("a", 2.0)]
    assert leases.lost() == []
    assert leases.hear("a", 11.0)


def test_nobody_is_lost_while_one_does_not_even_hear_oneself():
    leases = Leases("me", 6.0, 0.0)
    leases.hear("a", 0.0)
    assert not leases.hear("me", 2.0)
    assert leases.lost() == []  # at whatever time: the broker is away
    assert leases.hear("me", 60.0)  # it is back, and something may have been missed
    assert leases.lost() == []
    leases.hear("me", 62.0)
    assert leases.lost() == []
    for now in (64.0, 66.0, 68.0):
        leases.hear("me", now)
    assert leases.lost() == [("a", 60.0)]


def test_one_that_said_goodbye_is_not_lost():
    leases = Leases("me", 6.0, 0.0)
    leases.hear("a", 0.0)
    leases.leave("a")
    leases.hear("me", 2.0)
    leases.hear("me", 7.0)
    assert leases.lost() == []
    assert ("a" in leases, len(leases), list(leases)) == (False, 0, [])
