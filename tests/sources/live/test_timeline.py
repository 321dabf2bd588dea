from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.live.timeline import JUMP_S, LAG_S, LiveTimeline

steps = st.tuples(
    st.floats(0, 5), st.none() | st.floats(-1e6, 1e6, allow_nan=False) | st.floats(0, 1), st.booleans()
)


@given(st.lists(steps, max_size=60))
def test_time_rises_strictly_and_stays_near_arrival_whatever_a_camera_says(script):
    timeline, arrived_at, times = LiveTimeline(), 50.0, []
    for waited_s, pts_s, reconnected in script:
        arrived_at += waited_s
        if reconnected:
            timeline.connected()
        time_s, _ = timeline.place(pts_s, arrived_at)
        times.append(time_s)
        elapsed_s = arrived_at - 50.0 - script[0][0]
        assert elapsed_s - LAG_S - 0.1 <= time_s <= elapsed_s + JUMP_S + 0.1
    assert all(after > before for before, after in pairwise(times))


@given(st.floats(-1e4, 1e4), st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=50))
def test_the_cameras_own_steps_survive_an_uneven_network(first, delays):
    timeline = LiveTimeline()
    times = [timeline.place(first + n / 25, 100 + n / 25 + delay) for n, delay in enumerate(delays)]
    assert [after[0] - before[0] for before, after in pairwise(times)] == pytest.approx(
        [0.04] * (len(delays) - 1), abs=1e-6
    )
    assert not any(jumped for _, jumped in times)


def test_connections_follow_each_other_by_our_clock():
    timeline = LiveTimeline()
    assert timeline.place(900.0, 10.0) == (0.0, False)
    assert timeline.place(901.0, 11.0) == (1.0, False)
    timeline.connected()
    assert timeline.place(0.0, 41.0) == (31.0, False)
    assert timeline.place(0.04, 41.5) == (pytest.approx(31.04), False)


@pytest.mark.parametrize("jump", [-1e5, -3.0, 3.0, 26.5 * 3600])
def test_a_jump_is_told_and_mended(jump):
    timeline = LiveTimeline()
    for n in range(100):
        timeline.place(n / 25, 10 + n / 25)
    time_s, jumped = timeline.place(4 + jump, 14.0)
    assert (time_s, jumped) == (pytest.approx(4.0, abs=0.01), True)
    assert timeline.place(4.04 + jump, 14.04) == (pytest.approx(time_s + 0.04), False)


def test_a_pause_is_no_jump():
    timeline = LiveTimeline()
    timeline.place(0.0, 10.0)
    assert timeline.place(9.0, 19.0) == (9.0, False)


def test_a_clock_that_stands_still_is_mended_again_and_again():
    timeline = LiveTimeline()
    times = [timeline.place(0.0, 10.0 + n) for n in range(101)]
    assert sum(jumped for _, jumped in times) == 9
    assert times[-1][0] == pytest.approx(100, abs=LAG_S + 1)


def test_a_burst_after_a_hold_up_is_no_jump():
    timeline = LiveTimeline()
    timeline.place(0.0, 10.0)
    assert [timeline.place(n / 10, 20.0)[1] for n in range(1, 100)] == [False] * 99
