"""Codecs for tokens: what comes back is within the stated error, and hostile bytes are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pipeline.errors import CodecError
from transport.codecs import codec_names, get_codec

TOKEN_CODECS = [name for name in codec_names() if get_codec(name).kind == "tokens"]
LOSSY = [name for name in TOKEN_CODECS if not name.startswith("float32")]

shapes = st.tuples(st.integers(1, 9), st.integers(1, 33))
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
halves = st.floats(-60000, 60000, width=32)


def tokens_of(elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return shapes.flatmap(lambda shape: npst.arrays(np.float32, shape, elements=elements))


def heavy_tailed(num_tokens: int = 197, dim: int = 768) -> np.ndarray:
    tokens = np.random.default_rng(7).standard_t(3, (num_tokens, dim)).astype(np.float32)
    tokens[:, 5 % dim :: 95] += 40
    return tokens


@pytest.mark.parametrize("name", TOKEN_CODECS)
@settings(max_examples=60, deadline=None)
@given(tokens=tokens_of(halves))
def test_what_comes_back_is_within_the_stated_error(name: str, tokens: np.ndarray) -> None:
    codec = get_codec(name)
    decoded = codec.decode(codec.encode(tokens), tokens.shape)
    assert decoded.dtype == np.float32 and decoded.shape == tokens.shape
    assert (np.abs(decoded.astype(np.float64) - tokens) <= codec.max_error(tokens)).all()


@pytest.mark.parametrize("name", ["int8", "int4"])
@given(tokens=tokens_of(finite))
def test_any_finite_range_is_within_its_error_or_refused(name: str, tokens: np.ndarray) -> None:
    codec = get_codec(name)
    try:
        data = codec.encode(tokens)
    except CodecError:
        assert np.ptp(tokens.astype(np.float64), axis=1).max() > np.finfo(np.float32).max
        return
    error = np.abs(codec.decode(data, tokens.shape).astype(np.float64) - tokens)
    assert (error <= codec.max_error(tokens)).all()


@given(tokens=tokens_of(st.floats(width=32)))
def test_float32_returns_every_bit_even_of_nan(tokens: np.ndarray) -> None:
    codec = get_codec("float32")
    assert codec.decode(codec.encode(tokens), tokens.shape).tobytes() == tokens.tobytes()


def test_stated_errors_are_worth_stating() -> None:
    tokens = heavy_tailed()
    widest = np.ptp(tokens, axis=1).max()
    assert np.max(get_codec("int8").max_error(tokens)) < widest / 500
    assert np.max(get_codec("int4").max_error(tokens)) < widest / 29


@pytest.mark.parametrize(("name", "share"), [("float16", 0.5), ("int8", 0.255), ("int4", 0.13)])
def test_quantised_tokens_take_their_share_of_the_bytes(name: str, share: float) -> None:
    tokens = heavy_tailed()
    assert len(get_codec(name).encode(tokens)) <= share * tokens.nbytes


def test_one_sided_outliers_cost_less_than_a_symmetric_scale_would() -> None:
    tokens = heavy_tailed()
    scale = np.abs(tokens).max(axis=1, keepdims=True) / 127
    symmetric = np.rint(tokens / scale) * scale
    codec = get_codec("int8")
    ours = codec.decode(codec.encode(tokens), tokens.shape)
    assert np.square(ours - tokens).mean() < 0.6 * np.square(symmetric - tokens).mean()


@pytest.mark.parametrize("name", TOKEN_CODECS)
def test_decoded_tokens_may_be_written_to(name: str) -> None:
    codec = get_codec(name)
    codec.decode(codec.encode(heavy_tailed(3, 7)), (3, 7))[0, 0] = 1


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_cannot_be_represented_is_refused(name: str, bad: float) -> None:
    tokens = np.ones((2, 4), dtype=np.float32)
    tokens[1, 2] = bad
    with pytest.raises(CodecError, match="NaN"):
        get_codec(name).encode(tokens)


def test_float16_refuses_what_overflows() -> None:
    with pytest.raises(CodecError, match="65504"):
        get_codec("float16").encode(np.full((1, 1), 70000, dtype=np.float32))


@pytest.mark.parametrize(
    "array",
    [np.ones((2, 2)), np.ones(4, np.float32), np.ones((1, 2, 2), np.float32), np.ones((0, 3), np.float32)],
)
def test_other_dtypes_and_ranks_are_refused(array: np.ndarray) -> None:
    with pytest.raises(CodecError, match="float32"):
        get_codec("float32").encode(array)


@pytest.mark.parametrize("name", TOKEN_CODECS)
@pytest.mark.parametrize("shape", [(3, 8), (5, 7), (2, 7), (3, 4000), (3,), (0, 7), (-3, 7), (1 << 40, 7)])
def test_another_shape_than_was_encoded_is_refused(name: str, shape: tuple[int, ...]) -> None:
    codec = get_codec(name)
    data = codec.encode(heavy_tailed(3, 6))
    with pytest.raises(CodecError):
        codec.decode(data, shape)


@pytest.mark.parametrize("name", TOKEN_CODECS)
@given(cut=st.integers(1, 20), tail=st.binary(min_size=1, max_size=9))
def test_truncated_and_trailing_bytes_are_refused(name: str, cut: int, tail: bytes) -> None:
    codec = get_codec(name)
    data = codec.encode(heavy_tailed(3, 6))
    for damaged in (data[:-cut], data + tail):
        with pytest.raises(CodecError):
            codec.decode(damaged, (3, 6))


@pytest.mark.parametrize("name", TOKEN_CODECS)
@given(data=st.binary(max_size=200))
def test_garbage_is_refused_or_has_the_declared_shape(name: str, data: bytes) -> None:
    try:
        decoded = get_codec(name).decode(data, (2, 5))
    except CodecError as error:
        assert "\n" not in str(error)
    else:
        assert decoded.shape == (2, 5) and decoded.dtype == np.float32


def test_a_scale_that_is_not_finite_is_refused() -> None:
    codec = get_codec("int8")
    data = bytearray(codec.encode(np.ones((1, 4), dtype=np.float32)))
    data[:4] = np.float32(np.nan).tobytes()
    with pytest.raises(CodecError, match="finite"):
        codec.decode(bytes(data), (1, 4))
