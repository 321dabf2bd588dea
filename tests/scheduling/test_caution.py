import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.caution import FEWEST, MOST, WINDOW, Caution

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


def test_who_has_no_second_chance_asks_for_more_than_nine_in_ten() -> None:
    caution = Caution(quantile=0.95, most=4.0)
    for ratio in (*[1.0] * 37, 3.0, 3.0, 9.0):
        caution.add(100.0, 100.0 * ratio)
    assert caution.factor == pytest.approx(3.0)


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
