from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.traces import Trace, constant, sampled
from tests.scheduling.traces.random_traces import traces

STARTS = st.floats(0, 500)
SIZES = st.integers(1, 5_000_000)
STEPS = sampled("steps", np.array([8.0, 0.0, 16.0, 0.0]), 1.0)


def slow_megabits(trace, start_s, stop_s, step_s=0.001):
    middles = np.arange(start_s, stop_s, step_s) + step_s / 2
    return sum(trace.mbps_at(t_s) for t_s in middles) * step_s


@given(traces(), STARTS, SIZES)
@example(STEPS, 0.0, 1_000_000)
@example(STEPS, 3.5, 3_000_000)
@example(sampled("late", np.array([0.0, 0.3, 0.0])), 0.1, 3750)
def test_finish_is_the_earliest_time_by_which_the_link_has_carried_the_message(trace, start_s, num_bytes):
    finish_s = trace.finish_s(start_s, num_bytes)
    megabits = num_bytes * 8e-6
    if finish_s == np.inf:
        assert trace.megabits(start_s, start_s + 1e4) < megabits or trace.total_megabits == 0
        return
    assert finish_s >= start_s
    assert trace.megabits(start_s, finish_s) == pytest.approx(megabits, rel=1e-6, abs=1e-6)
    # It is the earliest: the last bit left in the very last moment.
    earlier_s = finish_s - 1e-3
    assume(earlier_s > start_s)
    assert trace.megabits(start_s, earlier_s) < megabits


@given(traces(), STARTS, st.lists(SIZES, min_size=1, max_size=5))
def test_messages_one_after_the_other_take_as_long_as_all_of_them_in_one(trace, start_s, sizes):
    finish_s = start_s
    for num_bytes in sizes:
        assume(finish_s < 1e6)
        finish_s = trace.finish_s(finish_s, num_bytes)
    together_s = trace.finish_s(start_s, sum(sizes))
    assume(together_s < 1e6)
    assert trace.megabits(start_s, finish_s) == pytest.approx(sum(sizes) * 8e-6, rel=1e-6, abs=1e-6)
    assert together_s == pytest.approx(finish_s, rel=1e-6) or trace.megabits(
        together_s, finish_s
    ) == pytest.approx(0, abs=1e-5)


@given(traces(), STARTS, st.floats(0, 300), st.floats(0, 300))
def test_what_is_carried_adds_up(trace, start_s, first_s, then_s):
    middle_s, stop_s = start_s + first_s, start_s + first_s + then_s
    whole = trace.megabits(start_s, stop_s)
    parts = trace.megabits(start_s, middle_s) + trace.megabits(middle_s, stop_s)
    assert whole >= -1e-9
    assert parts == pytest.approx(whole, rel=1e-9, abs=1e-6)


def test_the_integral_is_the_sum_over_the_rate():
    assert STEPS.megabits(0.25, 2.5) == pytest.approx(0.75 * 8 + 0.5 * 16)
    assert STEPS.megabits(3.5, 5.25) == pytest.approx(8 + 0.0)
    for start_s, stop_s in ((0.25, 2.5), (1.5, 3.5), (3.9, 9.1)):
        assert STEPS.megabits(start_s, stop_s) == pytest.approx(
            slow_megabits(STEPS, start_s, stop_s), abs=0.05
        )


@given(traces(), st.lists(st.tuples(STARTS, SIZES), min_size=1, max_size=6))
def test_many_messages_at_once_finish_as_each_does(trace, messages):
    starts, sizes = (np.array(column) for column in zip(*messages, strict=True))
    many = trace.finish_many(starts, sizes)
    assert many.tolist() == [trace.finish_s(*message) for message in messages]


def test_starts_and_sizes_broadcast():
    finish = constant(8).finish_many(np.array([[0.0], [10.0]]), np.array([0, 1_000_000, 2_000_000]))
    assert finish.tolist() == [[0, 1, 2], [10, 11, 12]]


def test_a_message_that_ends_with_the_last_bit_of_a_round_ends_in_that_round():
    assert STEPS.finish_s(0, 3_000_000) == pytest.approx(3.0)
    assert STEPS.finish_s(0, 6_000_000) == pytest.approx(7.0)
    assert STEPS.finish_s(1.5, 3_000_000) == pytest.approx(5.0)
    # Here 9 rounds divided by one round are a little more than 9.
    assert sampled("x", np.array([0.0, 0.3])).finish_s(0, 33_750) == pytest.approx(1.8)


def test_dead_time_carries_nothing_and_ends():
    assert STEPS.finish_s(1.2, 1) == pytest.approx(2.0)
    assert STEPS.finish_s(3.0, 0) == 3.0
    assert sampled("dead", np.zeros(3)).finish_s(5, 1) == np.inf


def test_a_trace_goes_round_unless_it_is_told_to_keep_its_last_sample():
    assert [STEPS.mbps_at(t_s) for t_s in (0, 0.99, 1, 2.5, 3.5, 4, 6.5)] == [8, 8, 0, 16, 0, 8, 16]
    once = replace(STEPS, looped=False)
    assert [once.mbps_at(t_s) for t_s in (0, 3.5, 4, 100)] == [8, 0, 0, 0]
    assert once.finish_s(2.5, 1_000_001) == np.inf
    growing = sampled("grows", np.array([0.0, 8.0]), 1.0)
    assert replace(growing, looped=False).finish_s(0, 5_000_000) == pytest.approx(6.0)
    assert growing.finish_s(0, 5_000_000) == pytest.approx(10.0)


def test_round_trips_follow_the_trace_where_it_knows_them():
    trace = sampled("x", np.ones(2), 1.0, np.array([20.0, 50.0]))
    assert [trace.rtt_ms_at(t_s, 7) for t_s in (0.5, 1.5, 2.5)] == [20, 50, 20]
    assert STEPS.rtt_ms_at(0.5, 7) == 7


def test_mean_and_total_are_those_of_one_round():
    assert (STEPS.total_megabits, STEPS.mean_mbps) == (24.0, 6.0)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"times_s": []}, "2 mbps for 0 times|no samples"),
        ({"mbps": [1.0]}, "1 mbps for 2 times"),
        ({"mbps": [1.0, np.nan]}, "value 2 is nan, not Mbit/s"),
        ({"mbps": [-1.0, 1.0]}, "value 1 is -1, not Mbit/s"),
        ({"mbps": [np.inf, 1.0]}, "value 1 is inf"),
        ({"rtt_ms": [1.0, -5.0]}, "value 2 is -5, not a round trip"),
        ({"times_s": [0.5, 1.0]}, "value 1 is 0.5, not a time"),
        ({"times_s": [0.0, 0.0]}, "value 2 is 0, not a time"),
        ({"duration_s": 1.0}, "duration 1 s is not after"),
        ({"duration_s": np.inf}, "duration inf s is not"),
        ({"duration_s": np.nan}, "duration nan s is not"),
    ],
)
def test_values_that_are_no_trace_are_refused_by_name(values, problem):
    good = {"times_s": [0.0, 1.0], "mbps": [1.0, 2.0], "duration_s": 2.0, "rtt_ms": None} | values
    arrays = {name: np.array(value) if isinstance(value, list) else value for name, value in good.items()}
    with pytest.raises(ConfigError, match=f"^mine: .*({problem})"):
        Trace("mine", **arrays)
