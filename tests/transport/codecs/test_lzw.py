"""LZW: what is packed comes back, and nothing that is damaged does more than be refused."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.codecs.lzw import MOST_BYTES, pack, unpack

# A segmentation fault in the plain decoder of imagecodecs 2026.3.6.
CRASHING = bytes.fromhex("805e6048")
NOISE = random.Random(0).randbytes(20_000)


@given(st.binary(min_size=1, max_size=3000))
def test_what_is_packed_comes_back(data: bytes) -> None:
    assert unpack(pack(data), len(data)) == data


@pytest.mark.parametrize("data", [NOISE, bytes(1_000_000), NOISE * 20], ids=["noise", "zeros", "both"])
def test_tables_that_fill_up_come_back_as_well(data: bytes) -> None:
    assert unpack(pack(data), len(data)) == data


@given(st.binary(min_size=1, max_size=300), st.integers(-300, 300).filter(bool))
def test_another_length_than_that_of_the_stream_is_refused(data: bytes, more: int) -> None:
    with pytest.raises(ValueError):
        unpack(pack(data), len(data) + more)


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_what_it_says(stream: bytes) -> None:
    for data in (stream, b"\x80" + stream):
        with suppress(ValueError):
            assert len(unpack(data, 100)) == 100


@given(st.integers(0, 2**32))
def test_a_damaged_stream_is_refused_or_what_it_says(seed: int) -> None:
    rng, stream = random.Random(seed), bytearray(pack(NOISE))
    for _ in range(rng.randint(1, 8)):
        stream[rng.randrange(len(stream))] = rng.randrange(256)
    with suppress(ValueError):
        assert len(unpack(bytes(stream[: rng.randint(1, len(stream))]), len(NOISE))) == len(NOISE)


def test_a_stream_that_ends_other_decoders_is_refused() -> None:
    with pytest.raises(ValueError, match="not whole"):
        unpack(CRASHING, 16_000)


@pytest.mark.parametrize("num_bytes", [-1, 0, MOST_BYTES + 1])
def test_a_length_that_no_row_has_is_refused(num_bytes: int) -> None:
    with pytest.raises(ValueError, match="none, or too many"):
        unpack(pack(b"x"), num_bytes)
