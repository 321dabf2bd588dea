"""Chunks in one byte string."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import CodecError
from transport.codecs import framing


@given(chunks=st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_splitting_gives_back_what_was_joined(chunks: list[bytes]) -> None:
    assert framing.split("test", framing.join(chunks), len(chunks)) == chunks


@given(data=st.binary(max_size=60), count=st.integers(1, 5))
def test_chunks_fill_the_data_exactly_or_are_refused(data: bytes, count: int) -> None:
    try:
        chunks = framing.split("test", data, count)
    except CodecError:
        return
    assert framing.join(chunks) == data


def test_lengths_beyond_the_data_are_refused() -> None:
    lengths = np.array([2**32 - 1, 2**32 - 1], dtype="<u4").tobytes()
    with pytest.raises(CodecError, match="table of lengths"):
        framing.split("test", lengths + b"abc", 2)
