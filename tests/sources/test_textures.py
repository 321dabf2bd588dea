"""Textures, shapes and colours: visible, repeatable, alike at every resolution."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.textures import PATTERNS, draw_outline, draw_surface, fill, paint, random_colours

seeds = st.integers(0, 2**32)


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_what_is_in_front_stands_out_from_what_is_behind(seed):
    behind, front = random_colours(np.random.default_rng(seed))
    gaps = np.abs(behind.mean(axis=1)[:, None] - front.mean(axis=1)[None, :])
    assert gaps.min() > 35


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_a_texture_mixes_its_two_colours_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    colours, _ = random_colours(rng)
    picture = paint(draw_surface(rng, colours, (1, 4)), 48)
    assert picture.shape == (48, 48, 3)
    assert (picture >= colours.min(axis=0) - 0.01).all()
    assert (picture <= colours.max(axis=0) + 0.01).all()
    assert np.ptp(picture @ (colours[1] - colours[0])) > 0


def test_every_kind_of_texture_is_drawn():
    rng = np.random.default_rng(0)
    colours, _ = random_colours(rng)
    assert {draw_surface(rng, colours, (1, 4)).kind for _ in range(100)} == set(PATTERNS)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_texture_is_the_same_at_every_resolution(seed):
    rng = np.random.default_rng(seed)
    surface = draw_surface(rng, random_colours(rng)[0], (1, 2))
    shrunk = cv2.resize(paint(surface, 256), (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - paint(surface, 64)).mean() < 4


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_a_shape_lies_in_the_unit_circle_and_covers_a_good_part_of_it(seed):
    outline = draw_outline(np.random.default_rng(seed))
    assert np.hypot(*outline.T).max() <= 1.001
    assert fill(outline, 64).mean() > 0.15


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_a_turn_of_a_shape_is_visible(seed):
    outline = draw_outline(np.random.default_rng(seed))
    angle = np.radians(25)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert np.abs(fill(outline @ turn, 96) - fill(outline, 96)).mean() > 0.01


def test_a_shape_is_smooth_at_its_edge_and_full_inside():
    cover = fill(np.array([[0.9, 0.0], [0.0, 0.9], [-0.9, 0.0], [0.0, -0.9]]), 64)
    assert cover[32, 32] == 1
    assert cover[0, 0] == 0
    assert ((cover > 0.1) & (cover < 0.9)).any()
    assert cover.mean() == pytest.approx(0.9**2 / 2, abs=0.05)
