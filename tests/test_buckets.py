"""The token bucket lets as many pass as it says, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from hubbub.buckets import TokenBucket

rates = st.floats(0.1, 1_000)
bursts = st.integers(1, 50)
pauses = st.lists(st.floats(0, 10), max_size=200)


def passes(bucket, pauses, now=0.0):
    """When something passed, of those that came after these pauses."""
    times = []
    for pause in pauses:
        now += pause
        if bucket.take(now):
            times.append(now)
    return times


@given(rates, bursts, pauses)
def test_no_stretch_of_time_sees_more_than_the_burst_and_its_share(rate, burst, pauses):
    times = passes(TokenBucket(rate, burst, 0.0), pauses)
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - start) * rate + 1e-6


@given(rates, bursts, st.floats(0, 1e6))
def test_a_burst_passes_at_once_and_the_next_does_not(rate, burst, now):
    bucket = TokenBucket(rate, burst, now)
    assert len(passes(bucket, [0.0] * (burst + 5), now)) == burst


@given(rates, bursts, pauses)
def test_who_is_refused_passes_after_a_rest(rate, burst, pauses):
    bucket = TokenBucket(rate, burst, 0.0)
    passes(bucket, pauses)
    assert bucket.take(sum(pauses) + 1.001 / rate)


@given(rates, bursts, st.integers(1, 100))
def test_who_keeps_to_the_rate_always_passes(rate, burst, count):
    pause = 1.000_001 / rate
    assert len(passes(TokenBucket(rate, burst, 0.0), [pause] * count)) == count


@given(rates, bursts, st.lists(st.floats(0, 0.99), max_size=20))
def test_trying_costs_nothing(rate, burst, knocks):
    bucket = TokenBucket(rate, burst, 0.0)
    passes(bucket, [0.0] * burst)
    assert not any(bucket.take(part / rate) for part in sorted(knocks))
    assert bucket.take(1.001 / rate)
