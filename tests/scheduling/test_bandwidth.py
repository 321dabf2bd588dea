import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.bandwidth import HarmonicMean


def test_prior_holds_until_something_was_observed():
    estimate = HarmonicMean(window=3, prior_mbps=12.5)
    assert estimate.mbps == 12.5
    assert not estimate.observed
    estimate.add(1_000_000, 1.0)
    assert estimate.mbps == pytest.approx(8.0)
    assert estimate.observed


def test_only_the_last_window_counts():
    estimate = HarmonicMean(window=2, prior_mbps=1)
    for seconds in (100.0, 1.0, 1.0):
        estimate.add(125_000, seconds)
    assert estimate.mbps == pytest.approx(1.0)


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=20))
def test_equal_amounts_take_the_same_total_time_at_the_mean(rates_mbps):
    estimate = HarmonicMean(window=20, prior_mbps=1)
    for rate in rates_mbps:
        estimate.add(125_000, 1 / rate)
    assert len(rates_mbps) / estimate.mbps == pytest.approx(sum(1 / rate for rate in rates_mbps))


@pytest.mark.parametrize(("num_bytes", "seconds"), [(0, 1.0), (10, 0.0), (10, -1.0)])
def test_nothing_is_learnt_from_nothing(num_bytes, seconds):
    estimate = HarmonicMean(window=2, prior_mbps=5)
    estimate.add(num_bytes, seconds)
    assert estimate.mbps == 5


@pytest.mark.parametrize(("window", "prior_mbps"), [(0, 1.0), (1, 0.0)])
def test_a_senseless_setting_is_refused(window, prior_mbps):
    with pytest.raises(ValueError, match="window"):
        HarmonicMean(window, prior_mbps)
