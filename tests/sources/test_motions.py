"""Synthetic motions: repeatable, balanced, alike at every size, and truly moving as their label says."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.motions import DIRECTIONS, LABELS, draw_path, motion_clip, motion_sequence

seeds = st.integers(0, 2**32)
labels = st.sampled_from(LABELS)


@given(seeds, labels, st.integers(2, 20), st.integers(32, 96))
@settings(max_examples=30, deadline=None)
def test_a_clip_has_the_shape_asked_for_and_is_the_same_every_time(seed, label, frames, size):
    clip = motion_clip(np.random.default_rng(seed), label, frames, size)
    again = motion_clip(np.random.default_rng(seed), label, frames, size)
    assert clip.shape == (frames, size, size, 3)
    assert clip.dtype == np.uint8
    np.testing.assert_array_equal(clip, again)


@given(seeds, st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_every_block_of_eight_shows_every_label_once(seed, block):
    shown = [motion_sequence(seed, 8 * block + place, frames=2, size=32)[0] for place in range(8)]
    assert sorted(shown) == sorted(LABELS)


def test_a_sequence_is_read_from_anywhere():
    forwards = [motion_sequence(7, index, size=32) for index in range(10)]
    label, clip = motion_sequence(7, 9, size=32)
    assert forwards[9][0] == label
    np.testing.assert_array_equal(forwards[9][1], clip)


def test_clips_and_seeds_differ():
    firsts = {motion_sequence(seed, index, 2, 32)[1].tobytes() for seed in range(5) for index in range(5)}
    assert len(firsts) == 25


def test_the_order_of_labels_differs_from_block_to_block():
    orders = {tuple(motion_sequence(0, 8 * block + k, 2, 32)[0] for k in range(8)) for block in range(5)}
    assert len(orders) > 1


@given(seeds, labels)
@settings(max_examples=30, deadline=None)
def test_a_larger_drawing_shows_the_same_scene(seed, label):
    small = motion_clip(np.random.default_rng(seed), label, 4, 64)
    large = motion_clip(np.random.default_rng(seed), label, 4, 256)
    shrunk = np.stack([cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in large])
    assert np.abs(shrunk.astype(float) - small).mean() < 12


@given(seeds, labels)
@settings(max_examples=200, deadline=None)
def test_the_path_does_what_the_label_says_and_little_else(seed, label):
    path = draw_path(np.random.default_rng(seed), label, 16)
    travel = path.centre[-1] - path.centre[0]
    growth, turn = path.radius[-1] / path.radius[0], path.angle[-1] - path.angle[0]
    wanted = np.array(DIRECTIONS.get(label, (0.0, 0.0)))
    along = travel @ wanted
    assert along > 0.2 or not wanted.any()
    assert np.abs(travel - along * wanted).max() < 0.04
    assert {"grow": growth > 1.6, "shrink": growth < 1 / 1.6}.get(label, abs(growth - 1) < 0.06)
    assert {"clockwise": turn > 55, "counter-clockwise": turn < -55}.get(label, abs(turn) < 7)


@given(seeds, labels)
@settings(max_examples=200, deadline=None)
def test_motion_never_pauses_or_turns_back(seed, label):
    path = draw_path(np.random.default_rng(seed), label, 16)
    for track in (*path.centre.T, path.radius, path.angle):
        steps = np.diff(track)
        assert (steps > 0).all() or (steps < 0).all()


@given(seeds, labels)
@settings(max_examples=200, deadline=None)
def test_most_of_the_object_stays_in_the_picture(seed, label):
    path = draw_path(np.random.default_rng(seed), label, 16)
    margin = np.minimum(path.centre, 1 - path.centre).min(axis=1)
    assert (margin > 0.45 * path.radius).all()


def centroid(clip: np.ndarray) -> np.ndarray:
    """Mean position (x, y) of what differs from the median picture, for each frame."""
    change = np.abs(clip.astype(float) - np.median(clip, axis=0)).sum(axis=3)
    change[change < 100] = 0
    across = np.arange(clip.shape[1])
    total = change.sum(axis=(1, 2))
    return np.stack([(change.sum(axis=1) @ across) / total, (change.sum(axis=2) @ across) / total], axis=1)


@pytest.mark.parametrize("label", sorted(DIRECTIONS))
def test_pixels_move_the_way_the_label_says(label):
    right = 0
    for seed in range(20):
        where = centroid(motion_clip(np.random.default_rng(seed), label))
        right += (where[-1] - where[0]) @ DIRECTIONS[label] > 8
    assert right >= 18


def steepness(picture: np.ndarray) -> float:
    """The long axis of what is bright, in degrees clockwise from the x axis, -90..90."""
    moments = cv2.moments((picture.astype(float).sum(axis=2) > 400).astype(np.uint8))
    return float(np.degrees(0.5 * np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"])))


def bright_boxes(label: str) -> list[np.ndarray]:
    clips = (motion_clip(np.random.default_rng(seed), label, 16, 96) for seed in range(60))
    masks = [(clip, clip.astype(float).sum(axis=3) > 400) for clip in clips]
    return [clip for clip, mask in masks if 0.03 < mask.mean() < 0.25 and elongated(mask[0])]


def elongated(mask: np.ndarray) -> bool:
    moments = cv2.moments(mask.astype(np.uint8))
    spread = np.linalg.eigvalsh([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]])
    return bool(spread[1] > 3 * spread[0])


@pytest.mark.parametrize(("label", "sign"), [("clockwise", 1), ("counter-clockwise", -1)])
def test_pixels_turn_the_way_the_label_says(label, sign):
    clips = bright_boxes(label)
    assert len(clips) >= 3
    for clip in clips:
        turns = np.diff([steepness(picture) for picture in clip[:6]])
        assert sign * np.median((turns + 90) % 180 - 90) > 1


@pytest.mark.parametrize(
    ("label", "frames", "size", "named"),
    [("sideways", 16, 64, "left, right"), ("left", 16, 8, "32 to 1024"), ("left", 10**9, 64, "2 to 256")],
)
def test_what_cannot_be_drawn_is_refused(label, frames, size, named):
    with pytest.raises(ConfigError, match=named):
        motion_clip(np.random.default_rng(0), label, frames, size)
