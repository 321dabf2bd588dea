"""The test picture: labelled clips back to back, at their rate, until it is closed."""

import threading
from itertools import islice
from typing import Any

import numpy as np
import pytest

from pipeline.clock import ManualClock, SystemClock
from pipeline.errors import ConfigError
from pipeline.items import SourceBreak
from sources.base import Source
from sources.motions import motion_sequence
from sources.pattern import PatternSource


def pattern(**changes: Any) -> PatternSource:
    settings = {"seed": 3, "size": 32, "fps": None, "clips": 2, "clip_frames": 4, "clock": ManualClock()}
    return PatternSource("pattern", **(settings | changes))


def test_clips_follow_one_another_frame_by_frame_with_their_labels():
    frames = list(pattern().frames())
    for k in range(2):
        label, clip = motion_sequence(3, k, 4, 32)
        shown = frames[4 * k : 4 * k + 4]
        assert [frame.label for frame in shown] == [label] * 4
        np.testing.assert_array_equal(np.stack([frame.pixels for frame in shown]), clip)
    assert [frame.index for frame in frames] == list(range(8))


def test_without_clips_it_does_not_end():
    assert len(list(islice(pattern(clips=None).frames(), 50))) == 50


def test_live_frames_come_at_their_rate_on_the_clock_given():
    clock = ManualClock(100.0)
    frames = list(pattern(fps=8, clock=clock, wait=clock.advance).frames())
    assert [frame.pts_s for frame in frames] == pytest.approx([k / 8 for k in range(8)])
    assert [frame.captured_at for frame in frames] == pytest.approx([100 + k / 8 for k in range(8)])


def test_a_late_reader_gets_what_it_missed_at_once_and_then_waits_again():
    clock, waits = ManualClock(), []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    frames = pattern(fps=10, clock=clock, wait=wait).frames()
    next(frames)
    clock.advance(0.25)
    captured = [next(frames).captured_at for _ in range(3)]
    assert captured == pytest.approx([0.25, 0.25, 0.3])
    assert waits == pytest.approx([0.05])


def test_without_a_rate_it_never_waits():
    def wait(_seconds: float) -> None:
        raise AssertionError("must not wait")

    frames = list(pattern(wait=wait).frames())
    assert [frame.pts_s for frame in frames[:3]] == pytest.approx([0, 0.04, 0.08])


def test_close_ends_it_at_the_next_frame():
    source = pattern(clips=None)
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == [SourceBreak("pattern", "closed", closed=True)]


def test_close_from_another_thread_wakes_a_waiting_reader():
    source = pattern(fps=0.001, clock=SystemClock())
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(source.frames()))
    reader.start()
    source.close()
    reader.join(timeout=30)
    assert not reader.is_alive()
    assert [type(item) for item in seen[-1:]] == [SourceBreak]
    assert len(seen) <= 2


def test_it_is_a_source_and_knows_its_rate():
    source: Source = pattern(fps=8)
    assert source.rate == 8
    assert pattern().rate is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fps": 0}, "frames a second"),
        ({"fps": float("nan")}, "frames a second"),
        ({"fps": 1e9}, "frames a second"),
        ({"clips": 0}, "clips"),
        ({"seed": -1}, "seed"),
        ({"size": 31}, "32 to 1024"),
        ({"size": 10**9}, "32 to 1024"),
        ({"clip_frames": 1}, "2 to 256"),
    ],
)
def test_settings_that_cannot_be_played_are_refused_at_once(changes, named):
    with pytest.raises(ConfigError, match=named):
        pattern(**changes)
