import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.live.rate import BURST_S, FRAMES, LEAST, MOST, RateLimit, RateMeter

rates = st.sampled_from([1.0, 6.0, 12.5, 15.0, 25.0, 29.97, 30.0, 60.0])


def measured(times):
    meter = RateMeter()
    for seen, time_s in enumerate(times, 1):
        if (rate := meter.add(time_s)) is not None:
            return rate, seen
    return None, len(times)


@given(rates, st.floats(0, 1e5), st.lists(st.floats(-0.05, 0.05), min_size=9, max_size=9))
def test_the_rate_is_that_of_the_steps_whatever_the_jitter(rate, start, jitter):
    times = [start + (n + late) / rate for n, late in enumerate(jitter)]
    assert measured(times)[0] == pytest.approx(rate, rel=0.11)


def test_one_frame_that_comes_late_does_not_halve_it():
    assert measured([0, 0.04, 0.08, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12])[0] == 25.0


def test_nobody_waits_long_for_a_slow_camera():
    assert measured([0.0, 2.5]) == (0.4, 2)
    assert measured([0.0, 1.0, 2.0, 3.0]) == (1.0, 3)
    assert measured([n / 25 for n in range(30)]) == (25.0, FRAMES + 1)


@pytest.mark.parametrize(("step_s", "rate"), [(1e-9, MOST), (1e6, LEAST)])
def test_a_rate_that_no_camera_has_is_limited(step_s, rate):
    assert measured([n * step_s for n in range(9)])[0] == rate


@given(rates, st.lists(st.floats(0, 2), max_size=300))
def test_over_any_time_no_more_pass_than_the_rate_and_one_burst(rate, gaps):
    limit, now, passed = RateLimit(rate), 7.0, 0
    for gap in gaps:
        now += gap / rate
        passed += limit.admit(now)
        assert passed <= max(1, rate * BURST_S) + (now - 7.0) * rate + 1


@given(rates, st.integers(1, 200))
def test_a_camera_that_keeps_to_its_rate_loses_nothing(rate, count):
    limit = RateLimit(rate)
    assert all(limit.admit(n / rate) for n in range(count))
    assert not limit.exceeded


def test_running_away_is_told_until_it_is_over():
    limit = RateLimit(10.0)
    passed = sum(limit.admit(n / 1000) for n in range(1000))
    assert passed == pytest.approx(50, abs=2)
    assert limit.exceeded
    assert all(limit.admit(1.1 + n / 5) for n in range(20))
    assert not limit.exceeded
