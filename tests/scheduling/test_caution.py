import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.caution import FEWEST, MOST, MOST_OVERRUN_MS, WINDOW, Caution, Overrun

times_ms = st.floats(0.01, 1e7)


def after(*ratios):
    caution = Caution()
    for ratio in ratios:
        caution.add(100.0, 100.0 * ratio)
    return caution.factor


def test_without_experience_there_is_no_margin():
    assert after() == 1.0
    assert after(*[1.4] * (FEWEST - 1)) == 1.0
    assert after(*[1.4] * FEWEST) == pytest.approx(1.4)


def test_clips_that_are_faster_than_expected_make_no_plan_bolder():
    assert after(*[0.5] * WINDOW) == 1.0


def test_nine_clips_in_ten_would_have_been_in_time():
    ratios = [0.9 + 0.01 * step for step in range(WINDOW)]
    margin = after(*ratios)
    assert sum(ratio <= margin for ratio in ratios) >= 0.9 * WINDOW - 1
    assert margin < max(ratios)


def test_one_clip_that_was_stuck_changes_little_and_is_forgotten():
    assert after(*[1.0] * (WINDOW - 1), 600.0) == pytest.approx(1.0)
    assert after(*[600.0] * WINDOW, *[1.0] * WINDOW) == 1.0


def test_a_plan_without_an_expectation_teaches_nothing():
    caution = Caution()
    for _ in range(WINDOW):
        caution.add(0.0, 500.0)
    assert caution.factor == 1.0


@given(st.lists(st.tuples(times_ms, times_ms), max_size=2 * WINDOW))
def test_it_stays_within_its_bounds(clips):
    caution = Caution()
    for expected_ms, measured_ms in clips:
        caution.add(expected_ms, measured_ms)
        assert 1.0 <= caution.factor <= MOST


def beyond(*milliseconds):
    overrun = Overrun()
    for each in milliseconds:
        overrun.add(100.0, 100.0 + each)
    return overrun.ms


def test_without_experience_nothing_is_begun_sooner():
    assert beyond() == beyond(*[50.0] * (FEWEST - 1)) == 0.0
    assert beyond(*[50.0] * FEWEST) == pytest.approx(50.0)


def test_nineteen_pieces_of_work_in_twenty_would_have_been_in_time():
    assert beyond(*[0.0] * (WINDOW - 3), *[70.0] * 3) == pytest.approx(70.0)
    assert beyond(*[0.0] * (WINDOW - 1), 150.0) == 0.0
    assert beyond(*[-50.0] * WINDOW) == 0.0, "who is early does not begin later"


@given(st.lists(st.floats(-100, 1e6), min_size=FEWEST))
def test_it_is_never_negative_and_never_without_bound(milliseconds):
    assert 0.0 <= beyond(*milliseconds) <= MOST_OVERRUN_MS


def test_what_was_held_up_long_ago_is_forgotten_and_what_expects_nothing_teaches_nothing():
    assert beyond(*[150.0] * WINDOW, *[0.0] * WINDOW) == 0.0
    overrun = Overrun()
    for _ in range(WINDOW):
        overrun.add(0.0, 500.0)
    assert overrun.ms == 0.0
