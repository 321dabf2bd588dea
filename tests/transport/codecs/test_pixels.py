"""Still-image codecs: lossless where they say so, near enough otherwise, and hard to fool."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from imagecodecs import jpeg8_encode, png_encode

from pipeline.errors import CodecError
from tests.transport.codecs.clips import smooth_clip
from transport.codecs import framing, get_codec

LOSSLESS = ["raw", "raw+zstd", "raw+lz4", "raw+lzw", "png"]
IMAGES = ["png", "jpeg:90"]

clips = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), st.just(3)).flatmap(
    lambda shape: npst.arrays(np.uint8, shape)
)


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(clip=clips)
def test_lossless_codecs_lose_nothing(name: str, clip: np.ndarray) -> None:
    codec = get_codec(name)
    decoded = codec.decode(codec.encode(clip), clip.shape)
    assert decoded.dtype == np.uint8 and np.array_equal(decoded, clip)
    assert codec.max_error(clip) == 0
    decoded[0, 0, 0, 0] = 1


@settings(max_examples=40, deadline=None)
@given(clip=clips, quality=st.integers(1, 100))
def test_jpeg_takes_any_size_and_keeps_the_shape(clip: np.ndarray, quality: int) -> None:
    codec = get_codec(f"jpeg:{quality}")
    assert codec.decode(codec.encode(clip), clip.shape).shape == clip.shape
    assert codec.max_error(clip) is None


def test_jpeg_keeps_the_picture_and_its_colours() -> None:
    clip = smooth_clip()
    codec = get_codec("jpeg:90")
    decoded = codec.decode(codec.encode(clip), clip.shape).astype(int)
    assert np.abs(decoded - clip).mean() < 3
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert (codec.decode(codec.encode(red), red.shape).mean(axis=(0, 1, 2)) > [240, -1, -1]).all()
    assert codec.decode(codec.encode(red), red.shape)[..., 2].max() < 15


def test_a_lower_quality_takes_fewer_bytes() -> None:
    sizes = [len(get_codec(f"jpeg:{quality}").encode(smooth_clip())) for quality in (95, 80, 40)]
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.6 * sizes[0]


def test_a_clip_that_is_not_contiguous_is_taken() -> None:
    clip = smooth_clip()[::2, ::2, ::2]
    codec = get_codec("png")
    assert np.array_equal(codec.decode(codec.encode(clip), clip.shape), clip)


@pytest.mark.parametrize("name", [*LOSSLESS, "jpeg:90"])
@pytest.mark.parametrize("array", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8)])
def test_other_dtypes_and_ranks_are_refused(name: str, array: np.ndarray) -> None:
    with pytest.raises(CodecError, match="uint8"):
        get_codec(name).encode(array)


@pytest.mark.parametrize("name", [*LOSSLESS, "jpeg:90"])
@pytest.mark.parametrize(
    "shape", [(2, 8, 8, 3), (3, 8, 9, 3), (3, 9, 8, 3), (3, 8, 8, 4), (3, 8, 8), (3, 0, 8, 3)]
)
def test_another_shape_than_was_encoded_is_refused(name: str, shape: tuple[int, ...]) -> None:
    codec = get_codec(name)
    data = codec.encode(np.full((3, 8, 8, 3), 7, np.uint8))
    with pytest.raises(CodecError):
        codec.decode(data, shape)


@pytest.mark.parametrize("name", [*LOSSLESS, "jpeg:90"])
@given(cut=st.integers(1, 40), tail=st.binary(min_size=1, max_size=9))
def test_truncated_and_trailing_bytes_are_refused(name: str, cut: int, tail: bytes) -> None:
    codec = get_codec(name)
    clip = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    data = codec.encode(clip)
    for damaged in (data[:-cut], data + tail):
        with pytest.raises(CodecError):
            codec.decode(damaged, clip.shape)


@pytest.mark.parametrize("name", IMAGES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_image_is_refused_or_has_the_declared_shape(name: str, data: st.DataObject) -> None:
    codec = get_codec(name)
    image = bytearray(framing.split("", codec.encode(smooth_clip(1, 16)), 1)[0])
    for _ in range(data.draw(st.integers(1, 6))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = codec.decode(framing.join([bytes(image)]), (1, 16, 16, 3))
    except CodecError as error:
        assert "\n" not in str(error)
    else:
        assert decoded.shape == (1, 16, 16, 3)


@pytest.mark.parametrize(("name", "encode"), [("png", png_encode), ("jpeg:90", jpeg8_encode)])
def test_an_image_larger_than_declared_is_refused_by_its_header(name: str, encode: object) -> None:
    bomb = framing.join([bytes(encode(np.zeros((4000, 4000, 3), np.uint8)))])  # type: ignore[operator]
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="does not decode"):
            get_codec(name).decode(bomb, (1, 32, 32, 3))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    "pixels", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.uint16)]
)
def test_grey_transparent_and_deep_images_are_refused(name: str, pixels: np.ndarray) -> None:
    if name == "jpeg:90" and pixels.dtype == np.uint16:
        pytest.skip("no JPEG of 8 bits holds it")
    encode = png_encode if name == "png" else jpeg8_encode
    with pytest.raises(CodecError):
        get_codec(name).decode(framing.join([bytes(encode(pixels))]), (1, 8, 8, 3))


def test_a_jpeg_of_many_scans_is_refused() -> None:
    codec = get_codec("jpeg")
    image = framing.split("", codec.encode(smooth_clip(1, 16)), 1)[0]
    start = image.index(b"\xff\xda")
    many = image[:-2] + image[start:-2] * 1000 + image[-2:]
    with pytest.raises(CodecError, match="single scan"):
        codec.decode(framing.join([many]), (1, 16, 16, 3))
