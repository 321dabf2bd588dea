from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.timeline import Timeline


def place(times: list[float | None], rate: float = 10.0) -> list[float]:
    timeline = Timeline(rate)
    return [timeline.place(time_s) for time_s in times]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=2), st.sampled_from([1.0, 25.0, 240.0]))
def test_times_rise_strictly_whatever_the_container_says(times: list[float | None], rate: float) -> None:
    assert all(before < after for before, after in pairwise(place(times, rate)))


@given(st.lists(st.floats(-1e6, 1e6), unique=True))
def test_rising_times_are_left_as_they_are(times: list[float]) -> None:
    assert place(sorted(times)) == sorted(times)


def test_a_frame_without_a_time_follows_a_period_later() -> None:
    assert place([None, None, 0.5, None]) == pytest.approx([0.0, 0.1, 0.5, 0.6])


def test_a_repeated_time_lets_no_drift_grow() -> None:
    assert place([0.0, 0.1, 0.1, 0.2, 0.3])[-2:] == [0.2, 0.3]


def test_a_new_start_goes_on_where_the_old_one_ended() -> None:
    assert place([100.0, 100.1, 0.0, 0.1, 0.25]) == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.45])
