"""From the bytes of an image to a square, the way Vision Transformers are evaluated."""

import io
import math
import warnings
from struct import error as StructError
from zlib import error as ZlibError

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import SourceError
from pipeline.items import Pixels
from sources.base import FrameGeometry

MAX_PIXELS = 8192 * 8192
MAX_IMAGE_BYTES = 256 * 2**20
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, StructError, ZlibError)

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Pillow warns of sizes that are refused here anyway, and of EXIF data that it passes over.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_still(content: bytes, name: str, geometry: FrameGeometry) -> Pixels:
    """The centre square of an image, uint8 [S, S, 3], RGB, upright; see-through parts become white.

    The shorter side is resized to floor(input_size / crop_pct), bicubic with antialiasing, as timm
    does. Raises SourceError for what does not decode and, before it is decoded, for what is too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SourceError(name, f"{image.width} x {image.height} is over {MAX_PIXELS} pixels")
            return np.array(_centre(_rgb(ImageOps.exif_transpose(image)), geometry), dtype=np.uint8)
    except Image.DecompressionBombError:
        raise SourceError(name, f"its size is over {MAX_PIXELS} pixels") from None
    except UnidentifiedImageError:
        raise SourceError(name, f"not an image of a known kind ({', '.join(FORMATS)})") from None
    except DAMAGE as error:
        raise SourceError(name, f"the image is damaged ({' '.join(str(error).split())})") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Sixteen bits of gray; Pillow would clip them to eight.
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    shown = image.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(white, shown).convert("RGB")


def _centre(image: Image.Image, geometry: FrameGeometry) -> Image.Image:
    size = geometry.input_size
    shorter = math.floor(size / geometry.crop_pct)
    left, right = _span(image.width, min(image.size), shorter, size)
    top, bottom = _span(image.height, min(image.size), shorter, size)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, right, bottom))


def _span(length: int, shortest: int, shorter: int, size: int) -> tuple[float, float]:
    """What becomes the central `size` pixels of a side, in its own pixels, when it is resized whole."""
    resized = length * shorter // shortest
    start = round((resized - size) / 2)
    return start * length / resized, (start + size) * length / resized
