from dataclasses import replace

import av
import numpy as np
import pytest

from sources.base import FrameGeometry
from sources.live.intake import JUMPED, Intake
from sources.live.rate import FRAMES
from sources.live.reader import LivePicture
from sources.live.states import SourceStates

STATES = {"source": "cam", "now": 0.0, "stall_s": 2.0}


def shade(number):
    pixels = np.full((16, 16, 3), number % 200, np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def live(number, pts_s, arrived_at, **rest):
    return LivePicture(shade(number), pts_s, arrived_at, arrived_at - 0.1, **rest)


def intake(**rest):
    states = SourceStates(**STATES)
    return Intake("cam", FrameGeometry(8), states, **rest), states


def take(taking, pictures):
    return [item for picture in pictures for item in taking.take(picture)]


def steady(count, rate=25.0, start=100.0, first=0):
    return [live(first + n, 7.0 + n / rate, start + n / rate) for n in range(count)]


def test_frames_wait_for_the_rate_and_none_is_lost():
    taking, states = intake()
    assert take(taking, steady(FRAMES)) == []
    assert taking.rate is None
    (*held, newest) = take(taking, steady(2, start=100 + FRAMES / 25, first=FRAMES))[: FRAMES + 1]
    assert [item.frame.index for item in (*held, newest)] == list(range(FRAMES + 1))
    assert taking.rate == pytest.approx(25, rel=0.01)
    assert states.status(0.0).frames == FRAMES + 2


def test_a_source_that_ends_early_gives_what_waited_for_the_rate():
    taking, _ = intake()
    take(taking, steady(3))
    assert [item.frame.index for item in taking.finish()] == [0, 1, 2]
    assert taking.rate == 25.0
    assert taking.finish() == []


def test_a_frame_has_its_own_time_when_it_was_captured_and_its_square():
    taking, _ = intake()
    items = take(taking, steady(20))
    assert [item.frame.pts_s for item in items] == pytest.approx([n / 25 for n in range(20)])
    assert [item.frame.captured_at for item in items] == pytest.approx([99.9 + n / 25 for n in range(20)])
    assert {item.frame.pixels.shape for item in items} == {(8, 8, 3)}


def test_a_new_connection_is_a_new_scene_on_the_same_timeline():
    taking, _ = intake()
    before = take(taking, steady(20))
    taking.broke_off("cut")
    taking.connected()
    after = take(taking, steady(5, start=160.0, first=20))
    assert {item.scene for item in before} == {0}
    assert {item.scene for item in after} == {1}
    assert after[0].frame.pts_s == pytest.approx(60.0)
    assert [item.frame.index for item in after] == list(range(20, 25))


def test_a_clock_that_jumps_makes_a_scene_and_is_counted():
    taking, states = intake()
    take(taking, steady(20))
    (jumped,) = taking.take(live(20, 9000.0, 100.8))
    assert (jumped.scene, taking.reason) == (1, JUMPED)
    status = states.status(100.8)
    assert (status.jumps, status.warnings, status.last_error) == (1, 1, JUMPED)


def test_a_camera_that_runs_away_is_held_to_its_rate_and_told_of_once():
    taking, states = intake()
    take(taking, steady(20))
    fast = take(taking, [live(n, None, 101 + n / 1000) for n in range(2000)])
    assert len(fast) < 2 * 25 * (2 + 4) + 10
    status = states.status(103.0)
    assert status.dropped == 2000 - len(fast)
    assert status.warnings == 1
    assert "2 times as fast" in status.last_error


def test_a_picture_that_never_changes_is_told_of_and_still_given():
    taking, states = intake(frozen_s=2.0)
    items = take(taking, [live(1, n / 25, 100 + n / 25) for n in range(100)])
    assert len(items) == 100
    status = states.status(104.0)
    assert (status.warnings, status.last_error) == (1, "the picture has not changed for 2 s")


def test_a_camera_with_a_wrong_clock_is_told_of_once_a_connection():
    taking, states = intake()
    for connection in range(2):
        taking.connected()
        pictures = [live(n, n / 25, 100 + connection + n / 25, doubtful=True) for n in range(10)]
        take(taking, pictures)
    assert states.status(102.0).warnings == 2


def test_a_camera_whose_pictures_are_old_when_they_arrive_is_told_of_once_a_connection():
    taking, states = intake()
    for begun_at in (100.0, 200.0):
        taking.connected()
        pictures = [live(n, n / 25, begun_at + n / 25) for n in range(200)]
        take(taking, [replace(each, captured_at=each.arrived_at - 0.8) for each in pictures])
    assert states.status(300.0).warnings == 2
