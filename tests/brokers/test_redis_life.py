"""What a node remembers of Redis, and when that is a reason to object."""

import pytest

from hubbub.brokers.redis_life import Lives


@pytest.fixture
def lives():
    lost = []
    lives = Lives(lambda shard: b"life", lambda address: (0,), lost.append)
    lives.lost = lost
    return lives


def test_who_remembers_nothing_vouches_for_nothing(lives):
    assert lives.memory(0)[:3] == (b"", "", 0)


def test_the_highest_count_is_remembered(lives):
    lives.learn(0, (b"past", 20, b"server"))
    for total in (22, 21, 0):
        lives.saw(0, total, b"server")
    assert lives.memory(0)[:3] == (b"server", "past", 22)
    lives.learn(0, (b"past", 21, b"server"))  # asked before the last ones came
    assert lives.memory(0)[2] == 22


def test_the_count_of_a_server_that_was_not_greeted_proves_nothing(lives):
    """It goes on from what that server had when another node greeted it: all above that would look like a loss."""
    lives.learn(0, (b"past", 20, b"old"))
    lives.saw(0, 25, b"new")
    assert lives.memory(0)[:3] == (b"old", "past", 20)
    lives.learn(0, (b"past", 25, b"new"))
    assert lives.memory(0)[:3] == (b"new", "past", 25)
    assert lives.lost == []


def test_a_new_generation_is_told_and_counts_from_its_own(lives):
    lives.learn(0, (b"past", 20, b"server"))
    lives.learn(0, (b"other", 11, b"server"))
    assert lives.lost == [0]
    assert lives.memory(0)[:3] == (b"server", "other", 11)


def test_each_shard_has_a_life_of_its_own(lives):
    lives.learn(0, (b"past", 20, b"server"))
    lives.saw(1, 30, b"server")
    assert lives.memory(1)[:3] == (b"", "", 0)


def test_no_two_candidates_for_a_generation_are_the_same(lives):
    assert len({lives.memory(0)[3] for _ in range(100)}) == 100
