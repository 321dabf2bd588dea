"""Codecs by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from transport.codecs import codec_names, family, get_codec, most_bytes


@pytest.mark.parametrize("name", codec_names())
def test_every_name_makes_a_codec_of_that_family(name: str) -> None:
    codec = get_codec(name)
    assert family(codec.name) == name
    assert get_codec(codec.name).name == codec.name


def test_the_design_is_covered() -> None:
    tokens = {
        f"{base}{packing}"
        for base in ("float32", "float16", "int8", "int4")
        for packing in ("", "+zstd", "+lz4", "+lzw")
    }
    assert {name for name in codec_names() if get_codec(name).kind == "tokens"} == tokens
    assert {name for name in codec_names() if get_codec(name).kind == "pixels"} == {
        "raw", "raw+zstd", "raw+lz4", "raw+lzw", "png", "jpeg", "h264",
    }  # fmt: skip


@pytest.mark.parametrize("spec", [*codec_names(), "jpeg:100", "h264:0"])
@pytest.mark.parametrize("size", [1, 2, 40])
def test_not_even_noise_takes_more_bytes_than_a_codec_may_make(spec: str, size: int) -> None:
    codec, rng = get_codec(spec), np.random.default_rng(size)
    if codec.kind == "tokens":
        noise = rng.uniform(-60000, 60000, (size, 3 * size)).astype(np.float32)
    else:
        noise = rng.integers(0, 256, (5, 2 * size, 2 * size, 3), np.uint8)
    assert len(codec.encode(noise)) <= 0.8 * most_bytes(codec.kind, noise.shape)


@pytest.mark.parametrize(("bare", "full"), [("jpeg", "jpeg:90"), ("h264", "h264:23")])
def test_a_bare_name_has_a_number(bare: str, full: str) -> None:
    assert get_codec(bare).name == full


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "int9",
        "int8+gzip",
        "png+zstd",
        "int8:4",
        "jpeg:0",
        "jpeg:101",
        "jpeg:",
        "h264:52",
        "jpeg:-1",
        "jpeg:9.5",
        "jpeg:٩",
        "INT8",
    ],
)
def test_other_specs_say_what_there_is(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"there is float32, .*h264|must lie in"):
        get_codec(spec)


@given(spec=st.text(max_size=300))
def test_no_text_makes_anything_but_a_codec_or_one_short_line(spec: str) -> None:
    try:
        get_codec(spec)
    except ConfigError as error:
        assert "\n" not in str(error) and len(str(error)) < 800
