"""Headers of still images: ours pass, and whatever else is refused before a decoder sees it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagecodecs import jpeg8_encode, png_encode

from tests.transport.codecs.bombs import chunk, jpeg, png, progressive
from transport.codecs.headers import check_jpeg, check_png
from transport.codecs.pixels import Jpeg, Png

ROWS = chunk(b"IDAT", b"")
sizes = st.tuples(st.integers(1, 50), st.integers(1, 50), st.just(3))


@given(shape=sizes, quality=st.integers(1, 100))
def test_what_our_encoders_write_passes(shape: tuple[int, int, int], quality: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    check_png(Png().write(picture), *shape[:2])
    check_jpeg(Jpeg(quality).write(picture), *shape[:2])


@given(shape=sizes, other=sizes)
def test_no_image_passes_for_one_of_another_size(
    shape: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    picture = np.zeros(shape, np.uint8)
    for data, check in ((Png().write(picture), check_png), (Jpeg(90).write(picture), check_jpeg)):
        if shape != other:
            with pytest.raises(ValueError, match=f"{other[1]} x {other[0]}"):
                check(data, *other[:2])


@given(shape=sizes, cut=st.integers(1, 60))
def test_a_cut_image_is_refused(shape: tuple[int, int, int], cut: int) -> None:
    picture = np.zeros(shape, np.uint8)
    for data, check in ((Png().write(picture), check_png), (Jpeg(90).write(picture), check_jpeg)):
        with pytest.raises(ValueError):
            check(data[:-cut], *shape[:2])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (png(chunk(b"zTXt", b"key\0\0x"), ROWS), "holds no pixels"),
        (png(ROWS, chunk(b"tEXt", b"key\0x")), "holds no pixels"),
        (png(chunk(b"abCd", b"")), "holds no pixels"),
        (png(ROWS) + b"x", "followed by"),
        (png(ROWS)[:-12], "cut off"),
        (bytes(png_encode(np.zeros((64, 64), np.uint8))), "RGB"),
        (b"", "no PNG"),
    ],
)
def test_a_png_holds_rows_of_pixels_and_nothing_else(data: bytes, why: str) -> None:
    check_png(png(ROWS), 64, 64)
    with pytest.raises(ValueError, match=why):
        check_png(data, 64, 64)


def with_segment(kind: int, data: bytes) -> bytes:
    """A good JPEG with one more segment in front of the others."""
    good = jpeg(64, 64)
    return good[:2] + bytes([0xFF, kind]) + (len(data) + 2).to_bytes(2) + data + good[2:]


def test_a_png_has_no_more_chunks_than_its_pixels_could_fill() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    check_png(Png().write(noise), 224, 224)
    check_png(png(ROWS * 6), 64, 64)
    with pytest.raises(ValueError, match="too many chunks"):
        check_png(png(ROWS * 7), 64, 64)


def test_a_png_is_no_longer_than_rows_that_cannot_be_compressed() -> None:
    num_bytes = 64 * (1 + 3 * 64)
    most = num_bytes + num_bytes // 64 + 64
    check_png(png(chunk(b"IDAT", bytes(most))), 64, 64)
    for rows in (chunk(b"IDAT", bytes(most + 1)), 2 * chunk(b"IDAT", bytes(most // 2 + 1))):
        with pytest.raises(ValueError, match="longer than its pixels"):
            check_png(png(rows), 64, 64)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (progressive(64, 64), "baseline"),
        (jpeg(64, 64, 0xCA), "baseline"),
        (jpeg(64, 64, 0xC3), "baseline"),
        (with_segment(0xC0, bytes.fromhex("080040004003") + bytes(9)), "2 frames"),
        (with_segment(0xCC, b"\0\0"), "baseline"),
        (jpeg(64, 64)[:2] + b"\0" + jpeg(64, 64)[2:], "follow each other"),
        (jpeg(64, 64)[:2] + b"\xff\xe0\0\1" + jpeg(64, 64)[2:], "follow each other"),
        (b"\xff\xd8\xff\xe0\xff\xff\xff\xda\xff\xd9", "without a scan"),
        (b"\xff\xd8\xff\xda\0\2\xff\xd9", "0 frames"),
        (b"x" + jpeg(64, 64), "no JPEG"),
        (b"", "cut off"),
        (bytes(jpeg8_encode(np.zeros((64, 64), np.uint8))), "three colours"),
    ],
)
def test_a_jpeg_has_one_baseline_frame_and_one_scan(data: bytes, why: str) -> None:
    check_jpeg(with_segment(0xFE, b"a comment"), 64, 64)
    with pytest.raises(ValueError, match=why):
        check_jpeg(data, 64, 64)


@pytest.mark.parametrize("empty", [b"\xff\xe0\0\2", b"\xff\xfe\0\2", b"\xff\xc4\0\2", b"\xff\xdb\0\2"])
def test_a_jpeg_has_few_segments_all_before_its_scan(empty: bytes) -> None:
    good = jpeg(64, 64)
    check_jpeg(good[:2] + empty * 8 + good[2:], 64, 64)
    with pytest.raises(ValueError, match="more than 16 segments"):
        check_jpeg(good[:2] + empty * 9 + good[2:], 64, 64)
    with pytest.raises(ValueError, match="marks within its scan"):
        check_jpeg(good[:-2] + empty + good[-2:], 64, 64)


@pytest.mark.parametrize("mark", [b"\xff\xd0", b"\xff\xff", b"\xff\xd9"])
def test_a_scan_is_not_interrupted(mark: bytes) -> None:
    good = jpeg(64, 64)
    with pytest.raises(ValueError, match="marks within its scan"):
        check_jpeg(good[:-2] + mark + good[-2:], 64, 64)


@given(data=st.binary(max_size=80), position=st.integers(0, 700), image=st.sampled_from(["png", "jpeg"]))
def test_damage_is_refused_or_passed_on_but_never_breaks(data: bytes, position: int, image: str) -> None:
    good, check = (png(ROWS), check_png) if image == "png" else (jpeg(64, 64), check_jpeg)
    try:
        check(good[:position] + data + good[position + len(data) :], 64, 64)
    except ValueError as error:
        assert "\n" not in str(error)
