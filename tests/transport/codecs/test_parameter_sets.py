"""Sizes that an H.264 stream announces: ours pass, larger ones are refused wherever they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.codecs.bombs import h264
from tests.transport.codecs.clips import smooth_clip
from transport.codecs import framing, get_codec
from transport.codecs.parameter_sets import check_parameter_sets

SMALL, LARGE = h264(64, 64)[0], h264(256, 256)[0]


def parameters(chunk: bytes) -> bytes:
    """The first set of sequence parameters, with its start code."""
    begin = chunk.index(b"\0\0\1\x67")
    return chunk[begin : chunk.index(b"\0\0\1", begin + 3)]


def block(size: int) -> int:
    return -(-size // 16) * 16


@given(num_frames=st.integers(1, 3), height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_stream_passes_within_its_own_size_in_blocks_and_no_smaller(
    num_frames: int, height: int, width: int
) -> None:
    clip = smooth_clip(num_frames, 80)[:, : 2 * height, : 2 * width]
    chunks = framing.split("", get_codec("h264:23").encode(clip), num_frames)
    rows, columns = block(2 * height), block(2 * width)
    check_parameter_sets(chunks, rows, columns, num_frames)
    for smaller in ((rows - 1, columns), (rows, columns - 1)):
        with pytest.raises(ValueError, match=f"frames of {columns} x {rows}, not within"):
            check_parameter_sets(chunks, *smaller, num_frames)


@pytest.mark.parametrize(
    "chunks",
    [
        [SMALL, LARGE],
        [SMALL + LARGE],
        [parameters(SMALL) + parameters(LARGE)],
        [b"\0\0\1\x67" + parameters(LARGE)],
        [parameters(LARGE).replace(b"\x67", b"\x07", 1)],
    ],
    ids=["later", "in the same chunk", "at once", "within another", "of no reference"],
)
def test_a_larger_size_is_found_wherever_it_stands(chunks: list[bytes]) -> None:
    with pytest.raises(ValueError):
        check_parameter_sets(chunks, 64, 64, 9)
    check_parameter_sets(chunks[:0], 64, 64, 9)


def test_other_colours_and_more_sets_than_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="4:2:0"):
        check_parameter_sets(h264(64, 64, 1, "yuv444p"), 64, 64, 1)
    check_parameter_sets([parameters(SMALL) * 2], 64, 64, 2)
    with pytest.raises(ValueError, match="3 sets of parameters for 2 frames"):
        check_parameter_sets([parameters(SMALL) * 3], 64, 64, 2)


@given(data=st.binary(max_size=70))
def test_any_bytes_are_a_size_or_refused(data: bytes) -> None:
    try:
        check_parameter_sets([b"\0\0\1\x67" + data], 1 << 20, 1 << 20, 1)
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("data", [b"", b"\x64", b"\x42\0\0" + bytes(40)])
def test_parameters_that_end_or_never_begin_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        check_parameter_sets([b"\0\0\1\x67" + data], 64, 64, 1)
