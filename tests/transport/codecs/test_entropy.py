"""Packings: lossless, and never more memory than was declared."""

import tracemalloc

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from imagecodecs import lzw_encode

from pipeline.errors import CodecError
from transport.codecs import framing
from transport.codecs.entropy import PACKINGS, Packing

BOMB_BYTES = 64 * 1024 * 1024
packings = pytest.mark.parametrize("packing", PACKINGS, ids=lambda packing: packing.suffix or "plain")


@packings
@given(data=st.binary(min_size=1, max_size=3000))
def test_unpacking_gives_back_what_was_packed(packing: Packing, data: bytes) -> None:
    assert packing.unpack(packing.pack(data), len(data)) == data


@packings
@given(data=st.binary(min_size=2, max_size=500), more=st.integers(-1, 1).filter(bool))
def test_another_length_than_declared_is_refused(packing: Packing, data: bytes, more: int) -> None:
    with pytest.raises(CodecError):
        packing.unpack(packing.pack(data), len(data) + more)


@packings
@given(data=st.binary(max_size=300))
def test_garbage_never_yields_another_length(packing: Packing, data: bytes) -> None:
    try:
        assert len(packing.unpack(data, 16)) == 16
    except CodecError as error:
        assert "\n" not in str(error)


def bombs() -> dict[str, bytes]:
    zeros = bytes(BOMB_BYTES)
    return {
        "+zstd": zstandard.ZstdCompressor().compress(zeros),
        "+lz4": lz4.block.compress(zeros, store_size=False),
        "+lzw": framing.join([lzw_encode(zeros)]),
    }


def test_bombs_are_refused_without_taking_their_memory() -> None:
    packed = bombs()
    tracemalloc.start()
    try:
        for packing in PACKINGS[1:]:
            assert len(packed[packing.suffix]) < BOMB_BYTES / 50
            with pytest.raises(CodecError):
                packing.unpack(packed[packing.suffix], 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_a_zstd_frame_must_state_its_size() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100)
    with pytest.raises(CodecError):
        PACKINGS[1].unpack(frame, 100)


def test_a_zstd_frame_that_lies_about_its_size_is_refused() -> None:
    frame = bytearray(zstandard.ZstdCompressor().compress(b"x" * 100))
    assert frame[5] == 100
    frame[5] = 50
    with pytest.raises(CodecError, match="damaged"):
        PACKINGS[1].unpack(bytes(frame), 50)
