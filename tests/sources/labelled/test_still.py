import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import SourceError
from pipeline.items import Pixels
from sources.base import FrameGeometry
from sources.labelled import still
from sources.labelled.still import decode_still
from tests.data import shared_data

RED = (200, 30, 40)
EXIF_ORIENTATION = 0x0112


def noise(height: int, width: int) -> Image.Image:
    rng = np.random.default_rng(height * 1000 + width)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def smooth(height: int, width: int) -> Image.Image:
    """A picture without sharp edges, so that no step of a resize is clipped to 0..255."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return Image.fromarray(np.stack([60 + 120 * x, 200 - 130 * y, 90 + 60 * (x + y)], -1).astype(np.uint8))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def decoded(image: Image.Image, form: str = "PNG", size: int = 16, **options: object) -> Pixels:
    return decode_still(encoded(image, form, **options), "a", FrameGeometry(size))


def cut_from_the_whole(image: Image.Image, size: int, shorter: int) -> Pixels:
    """The long way: resize all of it, then crop."""
    width, height = (side * shorter // min(image.size) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    whole = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(whole.crop((left, top, left + size, top + size)))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.sampled_from([1.0, 0.9, 0.875, 0.5]))
@settings(max_examples=80, deadline=None)
def test_any_image_gives_the_centre_of_itself_resized(h: int, w: int, size: int, crop: float) -> None:
    image = smooth(h, w)
    square = decode_still(encoded(image), "a", FrameGeometry(size, crop))
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    whole = cut_from_the_whole(image, size, int(size / crop))
    assert np.abs(square.astype(int) - whole).max() <= 2


def test_a_real_image_is_resized_to_248_and_cut_to_224() -> None:
    path = shared_data("images", "imagenet-sample", "n01440764_tench.JPEG")
    square = decode_still(path.read_bytes(), "tench", FrameGeometry(224, 0.9))
    with Image.open(path) as image:
        assert np.abs(square.astype(int) - cut_from_the_whole(image, 224, 248)).max() <= 1


def test_fine_detail_is_smoothed_not_sampled() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(decoded(Image.fromarray(stripes))[:, 2:-2]) <= 4


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "LA", "CMYK"])
def test_every_mode_becomes_rgb(form: str, mode: str) -> None:
    image = Image.new("RGB", (20, 30), (255, 255, 255)).convert(mode)
    try:
        content = encoded(image, form)
    except OSError:
        pytest.skip(f"{form} holds no {mode}")
    assert decode_still(content, "a", FrameGeometry(8)).min() >= 253


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "P"])
def test_colours_are_kept(mode: str) -> None:
    image = Image.new("RGB", (20, 30), RED).convert(mode)
    square = decoded(image, "JPEG" if mode == "CMYK" else "PNG")
    assert np.abs(square.astype(int) - RED).max() <= (51 if mode == "P" else 4)


def test_what_is_see_through_is_white() -> None:
    image = Image.new("RGBA", (20, 20), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 10))
    square = decoded(image, size=20)
    assert (square[:8] == 255).all()
    assert np.abs(square[12:].astype(int) - RED).max() <= 1


def test_a_see_through_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert (decoded(image, transparency=1) == 255).all()
    assert (decoded(image, transparency=0)[..., 0] == 40).all()


def test_sixteen_bits_of_gray_keep_their_shade() -> None:
    image = Image.fromarray(np.full((20, 20), 128 * 257, np.uint16))
    assert np.abs(decoded(image).astype(int) - 128).max() <= 1


def test_an_image_is_turned_upright() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:10] = 255
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    square = decoded(Image.fromarray(pixels), "JPEG", 20, exif=exif, quality=95)
    assert np.abs(square.astype(int) - np.rot90(pixels, -1)).mean() < 3


def test_only_the_first_picture_of_several_is_taken() -> None:
    frames = [Image.new("RGB", (20, 20), (shade, shade, shade)) for shade in (0, 255)]
    assert decoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True).max() == 0


@pytest.mark.parametrize("content", [b"", b"hello" * 50, encoded(noise(8, 8), "TIFF")])
def test_bytes_that_are_no_image_are_one_error_naming_it(content: bytes) -> None:
    with pytest.raises(SourceError, match=r"a\.jpg: not an image of a known kind"):
        decode_still(content, "a.jpg", FrameGeometry(8))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
def test_an_image_cut_short_is_one_error_naming_it(form: str) -> None:
    content = encoded(noise(60, 60), form)
    with pytest.raises(SourceError, match=r"a\.jpg: ") as caught:
        decode_still(content[: len(content) // 2], "a.jpg", FrameGeometry(8))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF"]), st.data())
@settings(max_examples=200, deadline=None)
def test_damage_anywhere_gives_a_square_or_an_error_of_ours(form: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    content = bytearray(encoded(noise(12, 9), form, **({} if form in {"BMP", "GIF"} else {"exif": exif})))
    for index, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)
    ):
        content[index] = value
    try:
        assert decode_still(bytes(content), "a", FrameGeometry(8)).shape == (8, 8, 3)
    except SourceError as error:
        assert str(error).startswith("a: ")


def test_an_image_over_the_limit_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(noise(40, 50))
    monkeypatch.setattr(still, "MAX_PIXELS", 1999)
    with pytest.raises(SourceError, match="50 x 40 is over 1999 pixels"):
        decode_still(content[:60], "a", FrameGeometry(8))


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    header = bytearray(encoded(Image.new("L", (8, 8)), "BMP"))
    header[18:26] = (40_000).to_bytes(4, "little") * 2
    with pytest.raises(SourceError, match="a: its size is over"):
        decode_still(bytes(header), "a", FrameGeometry(8))


def test_a_thin_image_takes_no_more_memory_than_its_square() -> None:
    assert decoded(Image.new("L", (1, 60_000), 77), size=224).shape == (224, 224, 3)
    assert decoded(Image.new("L", (500_000, 2), 77), size=224).shape == (224, 224, 3)
