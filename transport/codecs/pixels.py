"""Codecs for pixels, uint8 [T, H, W, 3], that take every frame for itself."""

import math
from typing import ClassVar

import numpy as np
from imagecodecs import PNG, jpeg8_decode, jpeg8_encode, png_encode, spng_decode
from numpy.typing import NDArray

from pipeline.errors import CodecError
from transport.codecs import framing
from transport.codecs.codec import Array, ErrorBound, Kind, Shape, check_array, check_shape
from transport.codecs.entropy import Packing
from transport.codecs.headers import check_jpeg, check_png

Picture = NDArray[np.uint8]


class Raw:
    """Every byte of every frame, then a packing."""

    kind: ClassVar[Kind] = "pixels"

    def __init__(self, packing: Packing) -> None:
        self.name = "raw" + packing.suffix
        self._packing = packing

    def encode(self, array: Array) -> bytes:
        check_array(self.name, self.kind, array)
        return self._packing.pack(array.tobytes())

    def decode(self, data: bytes, shape: Shape) -> Array:
        check_shape(self.name, self.kind, shape)
        unpacked = self._packing.unpack(data, math.prod(shape))
        return np.frombuffer(unpacked, dtype=np.uint8).reshape(shape).copy()

    def max_error(self, array: Array) -> ErrorBound:
        return 0.0


class Png:
    """One PNG a frame: nothing is lost."""

    name = "png"

    def write(self, picture: Picture) -> bytes:
        # Of all strategies and filters, run lengths over "up" were both fast and small on video.
        return bytes(png_encode(picture, 1, strategy=PNG.STRATEGY.RLE, filter=PNG.FILTER.UP))

    def read(self, data: bytes, out: Picture) -> None:
        check_png(data, *out.shape[:2])
        # Unlike libpng, libspng stops at the last row, whatever the compressed data would go on to yield.
        spng_decode(data, out=out)

    max_error = 0.0


class Jpeg:
    """One baseline JPEG a frame, at a quality of 1 to 100."""

    max_error = None

    def __init__(self, quality: int) -> None:
        self.name = f"jpeg:{quality}"
        self._quality = quality

    def write(self, picture: Picture) -> bytes:
        return bytes(jpeg8_encode(picture, self._quality))

    def read(self, data: bytes, out: Picture) -> None:
        check_jpeg(data, *out.shape[:2])
        jpeg8_decode(data, out=out)


class ImageCodec:
    """Every frame as one still image; the decoder writes straight into the declared shape."""

    kind: ClassVar[Kind] = "pixels"

    def __init__(self, image: Png | Jpeg) -> None:
        self.name = image.name
        self._image = image

    def encode(self, array: Array) -> bytes:
        check_array(self.name, self.kind, array)
        return framing.join([self._image.write(np.ascontiguousarray(picture)) for picture in array])

    def decode(self, data: bytes, shape: Shape) -> Array:
        check_shape(self.name, self.kind, shape)
        chunks = framing.split(self.name, data, shape[0])
        frames = np.zeros(shape, dtype=np.uint8)
        for index, chunk in enumerate(chunks):
            self._read(index, chunk, frames[index])
        return frames

    def max_error(self, array: Array) -> ErrorBound:
        return self._image.max_error

    def _read(self, index: int, chunk: bytes, out: Picture) -> None:
        try:
            self._image.read(chunk, out)
        except (RuntimeError, ValueError) as error:
            text = " ".join(str(error).split())[:120]
            raise CodecError(f"{self.name}: frame {index} does not decode ({text})") from None
