"""Codecs for tokens, float32 [n, D]: as they are, in half precision, or quantised token by token."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CodecError
from transport.codecs.codec import Array, ErrorBound, Kind, Shape, check_array, check_shape
from transport.codecs.entropy import Packing

Tokens = NDArray[np.float32]
SCALES = np.dtype("<f4")
FLOAT32 = np.finfo(np.float32)


class Layout(Protocol):
    """How tokens lie in plain bytes, whose number follows from the shape alone."""

    name: str

    def num_bytes(self, shape: Shape) -> int: ...

    def write(self, tokens: Tokens) -> bytes: ...

    def read(self, data: bytes, shape: Shape) -> Tokens: ...

    def max_error(self, tokens: Tokens) -> ErrorBound: ...


class Float32:
    """Little-endian float32: nothing is lost, and NaN and infinity pass."""

    name = "float32"
    dtype: np.dtype[np.float32] | np.dtype[np.float16] = np.dtype("<f4")

    def num_bytes(self, shape: Shape) -> int:
        return shape[0] * shape[1] * self.dtype.itemsize

    def write(self, tokens: Tokens) -> bytes:
        return tokens.astype(self.dtype, copy=False).tobytes()

    def read(self, data: bytes, shape: Shape) -> Tokens:
        return np.frombuffer(data, dtype=self.dtype).reshape(shape).astype(np.float32)

    def max_error(self, tokens: Tokens) -> ErrorBound:
        return 0.0


class Float16(Float32):
    """Little-endian float16, rounded to nearest; only finite values up to 65504."""

    name = "float16"
    dtype = np.dtype("<f2")

    def write(self, tokens: Tokens) -> bytes:
        with np.errstate(over="ignore"):
            halves = tokens.astype(self.dtype)
        if not np.isfinite(halves).all():
            raise CodecError("float16: the tokens hold NaN, infinity or a value beyond 65504")
        return halves.tobytes()

    def max_error(self, tokens: Tokens) -> ErrorBound:
        """Half a unit in the last place: 2^-11 of the value, 2^-25 among the subnormals."""
        return np.abs(tokens) * np.float32(2.0**-11) + np.float32(2.0**-25)


class Quantised:
    """Whole numbers 0..2^bits - 1 on each token's own line: value = low + step * number.

    The two float32 of every token come first. Affine and not symmetric because activations have
    one-sided outlier channels: 15 to 45 % less error on ViT features for the same bytes.
    """

    def __init__(self, bits: int) -> None:
        self.name = f"int{bits}"
        self._top = 2**bits - 1
        self._per_byte = 8 // bits

    def num_bytes(self, shape: Shape) -> int:
        return shape[0] * (2 * SCALES.itemsize + self._row_bytes(shape[1]))

    def write(self, tokens: Tokens) -> bytes:
        low, step = self._line(tokens)
        numbers = tokens - low
        numbers /= step
        np.rint(numbers, out=numbers)
        np.minimum(numbers, self._top, out=numbers)
        scales = np.concatenate([low, step], axis=1).astype(SCALES, copy=False)
        return scales.tobytes() + self._pack(numbers.astype(np.uint8)).tobytes()

    def read(self, data: bytes, shape: Shape) -> Tokens:
        num_tokens, dim = shape
        scales = np.frombuffer(data, dtype=SCALES, count=2 * num_tokens).reshape(num_tokens, 2)
        if not np.isfinite(scales).all():
            raise CodecError(f"{self.name}: a token's scale is not finite")
        packed = np.frombuffer(data, dtype=np.uint8, offset=scales.nbytes)
        tokens = self._unpack(packed.reshape(num_tokens, -1), dim).astype(np.float32)
        with np.errstate(over="ignore"):
            tokens *= scales[:, 1:]
            tokens += scales[:, :1]
        return tokens

    def max_error(self, tokens: Tokens) -> ErrorBound:
        """Half a step, plus a few roundings of float32 at the token's largest value."""
        _, step = self._line(tokens)
        largest: Tokens = np.abs(tokens).max(axis=1, keepdims=True)
        return step * np.float32(0.5) + largest * (4 * FLOAT32.eps)

    def _line(self, tokens: Tokens) -> tuple[Tokens, Tokens]:
        low = tokens.min(axis=1, keepdims=True)
        with np.errstate(over="ignore", invalid="ignore"):
            step = (tokens.max(axis=1, keepdims=True) - low) / np.float32(self._top)
        if not np.isfinite(step).all():
            raise CodecError(f"{self.name}: the tokens hold NaN, infinity or too wide a range")
        return low, np.maximum(step, FLOAT32.tiny)

    def _row_bytes(self, dim: int) -> int:
        return -(-dim // self._per_byte)

    def _pack(self, numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._per_byte == 1:
            return numbers
        if numbers.shape[1] % 2:
            numbers = np.pad(numbers, ((0, 0), (0, 1)))
        return numbers[:, ::2] | np.left_shift(numbers[:, 1::2], 4, dtype=np.uint8)

    def _unpack(self, packed: NDArray[np.uint8], dim: int) -> NDArray[np.uint8]:
        if self._per_byte == 1:
            return packed
        numbers = np.empty((len(packed), 2 * packed.shape[1]), dtype=np.uint8)
        np.bitwise_and(packed, 15, out=numbers[:, ::2])
        np.right_shift(packed, 4, out=numbers[:, 1::2])
        return numbers[:, :dim]


LAYOUTS: tuple[Layout, ...] = (Float32(), Float16(), Quantised(8), Quantised(4))


class TokenCodec:
    """A layout of tokens, then a packing of its bytes."""

    kind: ClassVar[Kind] = "tokens"

    def __init__(self, layout: Layout, packing: Packing) -> None:
        self.name = layout.name + packing.suffix
        self._layout = layout
        self._packing = packing

    def encode(self, array: Array) -> bytes:
        check_array(self.name, self.kind, array)
        return self._packing.pack(self._layout.write(array))

    def decode(self, data: bytes, shape: Shape) -> Array:
        check_shape(self.name, self.kind, shape)
        return self._layout.read(self._packing.unpack(data, self._layout.num_bytes(shape)), shape)

    def max_error(self, array: Array) -> ErrorBound:
        check_array(self.name, self.kind, array)
        return self._layout.max_error(array)
