import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.correction import Correction

anything = st.floats(allow_nan=True, allow_infinity=True)


def after(ratios, predicted_ms=10.0):
    correction = Correction()
    for ratio in ratios:
        correction.add(predicted_ms, predicted_ms * ratio)
    return correction


def test_it_starts_by_believing_the_profile():
    assert Correction().factor == 1.0


@given(st.lists(st.tuples(anything, anything), max_size=60))
def test_whatever_is_measured_it_stays_within_its_bounds(clips):
    correction = Correction()
    for predicted_ms, measured_ms in clips:
        correction.add(predicted_ms, measured_ms)
        assert 0.1 <= correction.factor <= 20


@given(st.floats(1e-6, 1e9), st.integers(0, 40), st.lists(st.floats(0.95, 1.05), min_size=60, max_size=60))
def test_one_outlier_of_any_size_moves_it_by_less_than_the_noise_does(outlier, at, ratios):
    disturbed = Correction()
    for index, ratio in enumerate(ratios):
        disturbed.add(10.0, 10.0 * (outlier if index == at else ratio))
        assert 0.95 <= disturbed.factor <= 1.05


@given(st.floats(0.3, 4.0), st.sampled_from([0.5, 2.0]))
def test_it_follows_a_lasting_change_of_load_within_twenty_clips(level, change):
    correction = after([level] * 40)
    assert correction.factor == pytest.approx(level, rel=0.01)
    for _ in range(20):
        correction.add(10.0, 10.0 * level * change)
    assert correction.factor == pytest.approx(level * change, rel=0.03)


@given(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=40))
def test_slow_and_fast_weigh_the_same(ratios):
    slower, faster = after(ratios), after(1 / ratio for ratio in ratios)
    assert slower.factor * faster.factor == pytest.approx(1.0)


@given(st.lists(st.floats(0.1, 20.0), max_size=40), st.floats(0.01, 1e6))
def test_only_the_ratio_counts(ratios, predicted_ms):
    assert after(ratios, predicted_ms).factor == pytest.approx(after(ratios).factor)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_nothing_is_learnt_from_a_time_that_is_none(wrong):
    correction = after([3.0] * 20)
    before = correction.factor
    for _ in range(20):
        correction.add(wrong, 10.0)
        correction.add(10.0, wrong)
    assert correction.factor == before


def test_a_load_beyond_all_bounds_is_clamped():
    assert after([1e6] * 60).factor == pytest.approx(20, rel=0.01)
    assert after([1e-6] * 60).factor == pytest.approx(0.1, rel=0.01)
