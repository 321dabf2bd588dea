"""Sizes that an H.264 stream announces: ours pass, larger ones are refused wherever they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.codecs.bombs import h264
from tests.transport.codecs.clips import smooth_clip
from transport.codecs import framing, get_codec
from transport.codecs.parameter_sets import check_parameter_sets

SMALL, LARGE = h264(64, 64)[0], h264(256, 256)[0]


def unit(chunk: bytes, mark: bytes) -> bytes:
    """The first unit that begins with `mark`."""
    begin = chunk.index(mark)
    return chunk[begin : chunk.index(b"\0\0\1", begin + 3)]


def parameters(chunk: bytes) -> bytes:
    """The first set of sequence parameters, with its start code."""
    return unit(chunk, b"\0\0\1\x67")


def block(size: int) -> int:
    return -(-size // 16) * 16


@given(num_frames=st.integers(1, 3), height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_stream_passes_within_its_own_size_in_blocks_and_no_smaller(
    num_frames: int, height: int, width: int
) -> None:
    clip = smooth_clip(num_frames, 80)[:, : 2 * height, : 2 * width]
    chunks = framing.split("", get_codec("h264:23").encode(clip), num_frames)
    rows, columns = block(2 * height), block(2 * width)
    check_parameter_sets(chunks, rows, columns)
    for smaller in ((rows - 1, columns), (rows, columns - 1)):
        with pytest.raises(ValueError, match=f"frames of {columns} x {rows}, not within"):
            check_parameter_sets(chunks, *smaller)


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
    with pytest.raises(ValueError, match=r"not within 64 x 64|not 4:2:0|order|cut off"):
        check_parameter_sets(chunks, 64, 64)
    check_parameter_sets(chunks[:0], 64, 64)


def test_other_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="4:2:0"):
        check_parameter_sets(h264(64, 64, 1, "yuv444p"), 64, 64)


@pytest.mark.parametrize("mark", [b"\0\0\1\x67", b"\0\0\1\x68"], ids=["sequence", "picture"])
def test_a_chunk_has_one_set_of_parameters_of_a_kind(mark: bytes) -> None:
    check_parameter_sets([SMALL] * 9, 64, 64)
    with pytest.raises(ValueError, match="a second set of parameters"):
        check_parameter_sets([unit(SMALL, mark) + SMALL], 64, 64)


@pytest.mark.parametrize(
    "tiny", [b"", b"\x06", b"\x09\xf0", b"\x41\x80"], ids=["none", "SEI", "AUD", "slice"]
)
def test_a_chunk_has_few_units_and_the_next_has_as_many(tiny: bytes) -> None:
    few = SMALL + (b"\0\0\1" + tiny) * (8 - SMALL.count(b"\0\0\1"))
    check_parameter_sets([few, few], 64, 64)
    with pytest.raises(ValueError, match="more than 8 units"):
        check_parameter_sets([SMALL, few + b"\0\0\1" + tiny], 64, 64)


def test_only_slices_are_long() -> None:
    check_parameter_sets([SMALL + b"\x55" * 100_000], 64, 64)
    for long in (
        b"\0\0\1\x06" + b"\x55" * 2048 + SMALL,
        SMALL + b"\0\0\1\x06" + b"\x55" * 2048,
        b"\x55" * 2049,
    ):
        with pytest.raises(ValueError, match="bytes beside the slices"):
            check_parameter_sets([SMALL, long], 64, 64)


@given(data=st.binary(max_size=70))
def test_any_bytes_are_a_size_or_refused(data: bytes) -> None:
    try:
        check_parameter_sets([b"\0\0\1\x67" + data], 1 << 20, 1 << 20)
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("data", [b"", b"\x64", b"\x42\0\0" + bytes(40)])
def test_parameters_that_end_or_never_begin_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        check_parameter_sets([b"\0\0\1\x67" + data], 64, 64)
