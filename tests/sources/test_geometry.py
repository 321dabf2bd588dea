import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.items import Pixels
from sources.base import FrameGeometry
from sources.geometry import PLANAR, _crop, to_square
from tests.data import shared_data

BT601, BT709, LIMITED, FULL = 5, 1, 1, 2


def smooth(height: int, width: int) -> Pixels:
    """A picture without sharp edges, so that ways of sampling chroma hardly differ."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([60 + 120 * x, 200 - 130 * y, 90 + 60 * (x + y)], -1).astype(np.uint8)


def encoded(pixels: Pixels, form: str, matrix: int = BT601, span: int = LIMITED) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame = frame.reformat(format=form, dst_colorspace=matrix, dst_color_range=span)
    frame.colorspace, frame.color_range = matrix, span
    return frame


def cropped(pixels: Pixels, size: int, crop: float = 1.0, align: int = 2) -> Pixels:
    height, width = pixels.shape[:2]
    side = round(min(height, width) * crop) // align * align
    top, left = ((length - side) // 2 // align * align for length in (height, width))
    square = pixels[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def difference(left: Pixels, right: Pixels) -> int:
    return int(np.abs(left.astype(int) - right.astype(int)).max())


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p", "rgb24", "nv12", "yuv420p10le", "gbrp"])
@pytest.mark.parametrize(
    ("matrix", "span"), [(BT601, LIMITED), (BT709, LIMITED), (BT601, FULL), (BT709, FULL)]
)
def test_colours_come_back_from_every_format_matrix_and_range(form: str, matrix: int, span: int) -> None:
    pixels = smooth(120, 160)
    square = to_square(encoded(pixels, form, matrix, span), FrameGeometry(64))
    assert difference(square, cropped(pixels, 64)) <= 6


@pytest.mark.parametrize("form", sorted(PLANAR))
def test_planes_give_what_a_conversion_of_the_whole_picture_gives(form: str) -> None:
    frame = av.VideoFrame.from_ndarray(smooth(240, 320), format="rgb24").reformat(format=form)
    slow = cropped(frame.to_ndarray(format="rgb24"), 112)
    assert difference(to_square(frame, FrameGeometry(112)), slow) <= 4


def test_gray_pictures_become_gray_rgb() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((40, 60), 77, np.uint8), format="gray")
    assert difference(to_square(frame, FrameGeometry(8)), np.full((8, 8, 3), 77, np.uint8)) <= 1


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 40),
    st.floats(0.05, 1.0),
    st.sampled_from(sorted(PLANAR)),
)
@settings(max_examples=60, deadline=None)
def test_any_size_gives_a_square_of_the_centre(h: int, w: int, size: int, crop: float, form: str) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((h, w, 3), (200, 40, 90), np.uint8), format="rgb24")
    square = to_square(frame.reformat(format=form), FrameGeometry(size, crop))
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    assert square.flags.c_contiguous
    assert difference(square, np.broadcast_to(np.uint8([200, 40, 90]), square.shape)) <= 3


def test_the_crop_is_the_centre_and_keeps_luma_and_chroma_together() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[24:76, 124:176] = (250, 30, 30)
    square = to_square(encoded(pixels, "yuv444p"), FrameGeometry(50, crop_pct=0.5))
    assert difference(square, np.broadcast_to(np.uint8([250, 30, 30]), square.shape)) <= 3


@pytest.mark.parametrize("name", ["video_0.mov", "video_90.mov"])
def test_a_rotation_flag_turns_a_real_picture(name: str) -> None:
    with av.open(str(shared_data("videos", "odd", name))) as container:
        frame = next(container.decode(video=0))
    upright = cropped(np.rot90(frame.to_ndarray(format="rgb24"), -1 if "90" in name else 0), 64)
    square = to_square(frame, FrameGeometry(64))
    assert np.abs(square.astype(int) - upright.astype(int)).mean() < 2


@pytest.mark.parametrize(("size", "crop"), [(0, 1.0), (5000, 1.0), (224, 0.0), (224, 1.1)])
def test_a_geometry_that_makes_no_sense_is_refused(size: int, crop: float) -> None:
    with pytest.raises(ConfigError):
        FrameGeometry(size, crop)


@pytest.mark.parametrize("form", ["yuv444p", "rgb24"])
@pytest.mark.parametrize("upright", [False, True])
def test_a_crop_moves_along_the_longer_side_from_end_to_end(form: str, upright: bool) -> None:
    thirds = np.repeat(np.uint8([40, 120, 200]), 60)
    pixels = np.broadcast_to(thirds[None, :, None], (60, 180, 3))
    frame = encoded(pixels.swapaxes(0, 1) if upright else pixels, form)
    for along, shade in [(0.0, 40), (0.5, 120), (1.0, 200)]:
        square = to_square(frame, FrameGeometry(20), along)
        assert difference(square, np.full((20, 20, 3), shade, np.uint8)) <= 3


@given(st.integers(2, 70), st.integers(2, 70), st.floats(0.05, 1.0), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_crop_stays_inside_the_picture_wherever_it_is_moved(
    h: int, w: int, crop: float, along: float
) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((h, w, 3), 90, np.uint8), format="rgb24")
    top, left, side = _crop(frame, FrameGeometry(8, crop), along, align=1)
    assert 0 <= top <= h - side
    assert 0 <= left <= w - side
