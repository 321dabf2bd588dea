import subprocess
import sys
from itertools import product

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.base import FrameGeometry
from sources.convertible import why_not
from sources.geometry import to_square

SIZES = [(64, 48), (1, 1), (2, 1), (1, 2), (2, 2), (3, 3), (2, 3), (33, 31), (64, 1), (1, 64)]
COMMON = ["yuv420p", "yuvj422p", "yuv420p10le", "nv12", "p010le", "yuyv422", "uyvy422"]
COMMON += ["gray", "gray16be", "pal8", "rgb24", "bgra", "gbrp12le"]


def empty(form: str, width: int, height: int) -> av.VideoFrame | None:
    """A picture that holds nothing in particular; None where its pixels are not in this memory."""
    try:
        return av.VideoFrame(width, height, form)
    except ValueError:
        return None


def convert_all() -> None:
    """Every picture that may be converted, its format told before; ends the process if FFmpeg does."""
    for form, size in product(sorted(av.video.format.names), SIZES):
        picture = empty(form, *size)
        if picture is not None and why_not(picture) is None:
            print(form, *size, flush=True)
            assert to_square(picture, FrameGeometry(8)).shape == (8, 8, 3)


def test_whatever_may_be_converted_is_converted_and_ends_no_process() -> None:
    code = "from tests.sources.test_convertible import convert_all; convert_all()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = done.stdout.splitlines()
    assert done.returncode == 0, f"at {told[-1:]}: {done.stderr[-300:]}"
    assert len({line.split()[0] for line in told}) > 200


@pytest.mark.parametrize("form", ["bgr4", "rgb4", "gray32le", "gbrap32le", "yaf32le", "x2rgb10be", "y210be"])
def test_a_format_that_no_conversion_takes_is_refused_by_its_name(form: str) -> None:
    picture = empty(form, 64, 48)
    if picture is not None:
        assert why_not(picture) == (
            f"pictures of pixel format {form} cannot be converted; yuv420p, nv12 or rgb24 can"
        )


@pytest.mark.parametrize("form", COMMON)
@pytest.mark.parametrize("size", SIZES)
def test_what_cameras_and_files_hold_is_never_refused(form: str, size: tuple[int, int]) -> None:
    picture = empty(form, *size)
    assert picture is not None
    assert why_not(picture) is None


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(["bayer_bggr8", "bayer_grbg16le"]))
def test_a_bayer_picture_needs_whole_squares_of_two_by_two(width: int, height: int, form: str) -> None:
    picture = empty(form, width, height)
    assert picture is not None
    even = width % 2 == height % 2 == 0
    assert why_not(picture) == (
        None if even else f"{form} pictures of {width} x {height} cannot be converted; even sizes can"
    )
