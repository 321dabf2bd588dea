"""Lossless packing of plain bytes whose unpacked length both ends know."""

from typing import Protocol

import lz4.block
import zstandard

from pipeline.errors import CodecError
from transport.codecs import framing, lzw
from transport.codecs.codec import check_length


class Packing(Protocol):
    """Packs bytes; `unpack` yields exactly `num_bytes` or raises CodecError, and takes no more memory."""

    suffix: str

    def pack(self, data: bytes) -> bytes: ...

    def unpack(self, data: bytes, num_bytes: int) -> bytes: ...


class Plain:
    """The bytes as they are."""

    suffix = ""

    def pack(self, data: bytes) -> bytes:
        return data

    def unpack(self, data: bytes, num_bytes: int) -> bytes:
        check_length("payload", len(data), num_bytes)
        return data


class Zstd:
    """Zstandard at level 1, the best of its levels on features (bytes against time)."""

    suffix = "+zstd"

    def pack(self, data: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=1).compress(data)

    def unpack(self, data: bytes, num_bytes: int) -> bytes:
        try:
            # The frame's own content size is what gets allocated: read it before anything else.
            check_length("zstd", zstandard.get_frame_parameters(data).content_size, num_bytes)
            unpacked = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise CodecError(f"zstd: damaged data ({error})") from None
        check_length("zstd", len(unpacked), num_bytes)
        return unpacked


class Lz4:
    """LZ4 block format without a stored size."""

    suffix = "+lz4"

    def pack(self, data: bytes) -> bytes:
        return bytes(lz4.block.compress(data, store_size=False))

    def unpack(self, data: bytes, num_bytes: int) -> bytes:
        try:
            unpacked = bytes(lz4.block.decompress(data, uncompressed_size=num_bytes))
        except (lz4.block.LZ4BlockError, ValueError, OverflowError):
            raise CodecError(f"lz4: damaged data, or more than the declared {num_bytes} bytes") from None
        check_length("lz4", len(unpacked), num_bytes)
        return unpacked


class Lzw:
    """LZW as in TIFF (the paper's compression), behind its length so that truncation shows."""

    suffix = "+lzw"

    def pack(self, data: bytes) -> bytes:
        return framing.join([lzw.pack(data)])

    def unpack(self, data: bytes, num_bytes: int) -> bytes:
        (chunk,) = framing.split("lzw", data, 1)
        try:
            return lzw.unpack(chunk, num_bytes)
        except ValueError as error:
            raise CodecError(f"lzw: damaged data ({error})") from None


PACKINGS: tuple[Packing, ...] = (Plain(), Zstd(), Lz4(), Lzw())
