"""What the sample model learns from: repeatable from any batch on, damaged but recognisable."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.sample.clips import TrainingClips, batches, brightened, damaged, resized, through_jpeg
from sources.motions import LABELS, motion_clip, motion_sequence


def clip_of(seed: int, size: int = 64) -> np.ndarray:
    return motion_clip(np.random.default_rng(seed), "left", 16, size)


@given(st.integers(0, 2**32), st.sampled_from([48, 64, 100]))
@settings(max_examples=20, deadline=None)
def test_damage_leaves_a_clip_that_fits_the_model_and_resembles_what_it_was(seed, size):
    clip = clip_of(seed, size)
    after = damaged(np.random.default_rng(seed), clip)
    assert after.shape == (16, 64, 64, 3)
    assert after.dtype == np.uint8
    assert np.abs(after.astype(float) - resized(clip, cv2.INTER_AREA)).mean() < 60


def test_damage_differs_from_clip_to_clip():
    clip = clip_of(0)
    assert len({damaged(np.random.default_rng(seed), clip).tobytes() for seed in range(8)}) == 8


@given(st.floats(0, 3), st.floats(-300, 300))
@settings(max_examples=50, deadline=None)
def test_brightness_stays_in_range_and_keeps_the_order_of_values(gain, offset):
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    after = brightened(ramp, gain, offset).reshape(-1, 3)[:, 0].astype(int)
    assert (np.diff(after) >= 0).all()
    expected = np.clip(np.arange(256) * gain + offset, 0, 255)
    assert np.abs(after - expected).max() <= 1


def test_jpeg_keeps_every_frame_in_its_place_and_colour():
    clip = np.zeros((3, 32, 32, 3), np.uint8)
    for frame in range(3):
        clip[frame, :, :, frame] = 200
    after = through_jpeg(clip, 95)
    # colours run over the seam by half a block at most
    assert np.abs(after.astype(int) - clip)[:, 4:-4].max() < 12


def test_a_lower_quality_loses_more():
    clip = clip_of(1)
    loss = [np.abs(through_jpeg(clip, quality).astype(float) - clip).mean() for quality in (95, 50)]
    assert 0 < loss[0] < loss[1]


def test_clips_carry_the_class_of_the_sequence():
    clips = TrainingClips(seed=5, count=16)
    assert len(clips) == 16
    assert [clips[i][1] for i in range(8)] == [LABELS.index(motion_sequence(5, i)[0]) for i in range(8)]


def test_what_a_batch_holds_depends_on_its_number_alone():
    (pixels, classes), *others = batches(3, first=2, stop=3, batch_size=4)
    assert not others
    clips = TrainingClips(3, 12)
    np.testing.assert_array_equal(pixels.numpy(), np.stack([clips[index][0] for index in range(8, 12)]))
    assert classes.tolist() == [clips[index][1] for index in range(8, 12)]


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC])
def test_resizing_brings_every_size_to_the_models(interpolation):
    assert resized(clip_of(0, 100), interpolation).shape == (16, 64, 64, 3)
    small = clip_of(0)
    assert resized(small, interpolation) is small
