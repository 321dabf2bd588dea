from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.traces import constant, generate_lte, outages, sampled
from tests.scheduling.traces.random_traces import traces


def test_a_constant_link_is_the_same_at_any_time():
    link = constant(10, rtt_ms=25)
    assert {link.mbps_at(t_s) for t_s in (0, 0.3, 1, 1e6 + 0.1)} == {10}
    assert link.rtt_ms_at(3, 99) == 25
    assert constant(10).rtt_ms_at(3, 99) == 99
    assert link.finish_s(7.25, 605_000) == pytest.approx(7.25 + 0.484)


def test_a_made_up_link_is_the_same_for_the_same_seed():
    first, again, other = (generate_lte(seed, 60) for seed in (1, 1, 2))
    assert np.array_equal(first.mbps, again.mbps) and np.array_equal(first.rtt_ms, again.rtt_ms)
    assert not np.array_equal(first.mbps, other.mbps)


@pytest.mark.parametrize("mean_mbps", [2.0, 40.0])
def test_a_made_up_link_wanders_around_its_mean_and_dies_at_times(mean_mbps):
    link = generate_lte(5, 3600, mean_mbps=mean_mbps, outage_every_s=20, outage_s=2)
    alive = link.mbps[link.mbps > 0]
    assert link.duration_s == pytest.approx(3600)
    assert alive.mean() == pytest.approx(mean_mbps, rel=0.15)
    assert alive.std() > 0.2 * mean_mbps
    assert np.corrcoef(alive[:-1], alive[1:])[0, 1] > 0.9
    assert 0.05 < (link.mbps == 0).mean() < 0.15
    assert link.rtt_ms.mean() == pytest.approx(35, rel=0.1) and link.rtt_ms.min() > 0


def test_a_made_up_link_without_outages_never_dies():
    assert generate_lte(5, 600, outage_s=0).mbps.min() > 0


@pytest.mark.parametrize("seconds", [0, 0.05, -1, 1e9, float("nan")])
def test_a_made_up_link_of_no_length_or_far_too_long_is_refused(seconds):
    with pytest.raises(ConfigError, match=r"choose 0.1 to 86400 s"):
        generate_lte(1, seconds)


@given(traces(looped=True), st.floats(1, 60), st.floats(0.05, 0.95), st.integers(0, 400))
def test_the_end_of_every_period_is_dead_and_all_else_as_it_was(trace, every_s, share, sample):
    length_s = every_s * share
    cut = outages(trace, every_s, length_s)
    t_s = (sample + 0.5) / 401 * cut.duration_s
    phase_s = t_s % every_s
    if abs(phase_s - (every_s - length_s)) < 1e-6:
        return
    dead = phase_s > every_s - length_s
    assert cut.mbps_at(t_s) == (0 if dead else trace.mbps_at(t_s))
    assert cut.duration_s / every_s == pytest.approx(round(cut.duration_s / every_s))
    assert cut.duration_s >= trace.duration_s * (1 - 1e-9)


@given(st.floats(0.5, 60), st.floats(0.05, 0.95))
def test_outages_take_their_share_of_a_steady_link(every_s, share):
    link = outages(constant(10, rtt_ms=20), every_s, every_s * share)
    assert link.mean_mbps == pytest.approx(10 * (1 - share))
    assert set(link.rtt_ms) == {20}


def test_fifteen_seconds_up_five_down():
    link = outages(constant(8), 20, 5)
    assert [link.mbps_at(t_s) for t_s in (0, 14.9, 15.1, 19.9, 20.1, 34.9, 35.1)] == [8, 8, 0, 0, 8, 8, 0]
    assert link.finish_s(14.5, 1_000_000) == pytest.approx(20.5)


def test_a_link_that_keeps_its_last_sample_is_not_left_dead():
    once = replace(sampled("x", np.full(40, 8.0), 1.0), looped=False)
    link = outages(once, 20, 5)
    assert [link.mbps_at(t_s) for t_s in (10, 17, 25, 37, 39.5, 1e4)] == [8, 0, 8, 8, 8, 8]


@pytest.mark.parametrize(("every_s", "length_s"), [(5, 5), (5, 0), (5, -1), (0, 0), (np.inf, 1), (5, np.nan)])
def test_outages_that_leave_nothing_or_are_none_are_refused(every_s, length_s):
    with pytest.raises(ConfigError, match="needs EVERY:LENGTH"):
        outages(constant(1), every_s, length_s)


def test_outages_that_would_take_too_much_memory_are_refused_before_it_is_taken():
    for trace, every_s in ((constant(1), 1e9), (sampled("long", np.ones(1000), 1000.0), 1e-2)):
        with pytest.raises(ConfigError, match=r"would make \d+ samples"):
            outages(trace, every_s, every_s / 2)
