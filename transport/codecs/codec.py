"""What every codec offers, and the checks that they share."""

import math
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CodecError

Kind = Literal["tokens", "pixels"]
Shape = tuple[int, ...]
Array = NDArray[Any]
ErrorBound = float | NDArray[np.float32] | None

RANK: dict[Kind, int] = {"tokens": 2, "pixels": 4}
DTYPE: dict[Kind, type[np.generic]] = {"tokens": np.float32, "pixels": np.uint8}
LAYOUT: dict[Kind, str] = {"tokens": "float32 [n, D]", "pixels": "uint8 [T, H, W, 3]"}
ELEMENT_BYTES: dict[Kind, int] = {"tokens": 4, "pixels": 1}
FRAME_BYTES = 4096  # what a frame's headers and tables may take, and what surrounds tokens
MOST_ELEMENTS = 1 << 30


class Codec(Protocol):
    """Turns one array into bytes and back; keeps no state between calls.

    Tokens are float32 [n, D], pixels uint8 [T, H, W, 3]. `decode` yields a fresh, writable array of
    exactly the declared shape, or raises CodecError; it never takes memory beyond that shape.
    """

    @property
    def name(self) -> str:
        """The canonical spec, such as "int8+zstd" or "jpeg:90"."""

    @property
    def kind(self) -> Kind: ...

    def encode(self, array: Array) -> bytes:
        """Bytes of `array`; CodecError for what this codec cannot represent."""

    def decode(self, data: bytes, shape: Shape) -> Array:
        """The array that `data` encodes; CodecError where it does not fit `shape`."""

    def max_error(self, array: Array) -> ErrorBound:
        """Largest |decoded - original|, for each element or for all; None where nothing is stated."""


def check_array(name: str, kind: Kind, array: Array) -> None:
    """Refuse an array of another dtype, rank or layout than `kind` has."""
    if array.dtype != DTYPE[kind]:
        raise CodecError(f"{name}: takes {LAYOUT[kind]}, got {array.dtype}")
    check_shape(name, kind, array.shape)


def check_shape(name: str, kind: Kind, shape: Shape) -> None:
    """Refuse a shape that no array of `kind` has."""
    fits = len(shape) == RANK[kind] and all(size > 0 for size in shape)
    if not fits or (kind == "pixels" and shape[-1] != 3) or math.prod(shape) > MOST_ELEMENTS:
        text = ", ".join(str(size) for size in shape[:8])
        raise CodecError(f"{name}: shape [{text}] is not {LAYOUT[kind]} with every size above 0")


def most_bytes(kind: Kind, shape: Shape) -> int:
    """A payload longer than this encodes no array of this shape, whatever the codec and the array."""
    frames = shape[0] if kind == "pixels" else 1
    return 2 * ELEMENT_BYTES[kind] * math.prod(shape) + FRAME_BYTES * frames


def check_length(name: str, num_bytes: int, expected: int) -> None:
    """Refuse data that is longer or shorter than its declared shape asks for."""
    if num_bytes != expected:
        raise CodecError(f"{name}: {num_bytes} bytes do not fit the declared shape, which takes {expected}")
