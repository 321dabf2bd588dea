"""LZW as TIFF has it, unpacked by libtiff, whose decoder has met hostile files for decades.

The plain decoder of imagecodecs ends the process on some damaged streams, one of them four bytes long.
libtiff wants a file, so a stream gets a header: one row of grey pixels in one strip.
"""

from struct import Struct

from imagecodecs import TiffError, lzw_encode, tiff_decode

MOST_BYTES = (1 << 31) - 2
START = b"II*\0\x08\0\0\0"
COUNT = Struct("<H")
TAG = Struct("<HHII")
SHORT, LONG = 3, 4
NO_NEXT = bytes(4)
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
LZW, BLACK_IS_ZERO = 5, 1


def pack(data: bytes) -> bytes:
    """A stream that begins with a clear code and ends with the code of the end."""
    return bytes(lzw_encode(data))


def unpack(stream: bytes, num_bytes: int) -> bytes:
    """The `num_bytes` of a stream; ValueError for one that is damaged, or holds fewer or more."""
    if not 0 < num_bytes <= MOST_BYTES:
        raise ValueError(f"{num_bytes} bytes are none, or too many")
    unpacked = _decoded(stream, num_bytes)
    if unpacked is None:
        raise ValueError(f"less than {num_bytes} bytes, or not whole")
    # libtiff stops where the row is full; one byte more tells too much from enough.
    if _decoded(stream, num_bytes + 1) is not None:
        raise ValueError(f"more than {num_bytes} bytes")
    return unpacked


def _decoded(stream: bytes, num_bytes: int) -> bytes | None:
    try:
        return bytes(tiff_decode(_header(len(stream), num_bytes) + stream).tobytes())
    except TiffError:
        return None


def _header(stream_bytes: int, num_bytes: int) -> bytes:
    tags = (
        (WIDTH, LONG, num_bytes),
        (LENGTH, LONG, 1),
        (BITS, SHORT, 8),
        (COMPRESSION, SHORT, LZW),
        (PHOTOMETRIC, SHORT, BLACK_IS_ZERO),
        (STRIP_OFFSETS, LONG, 0),
        (SAMPLES, SHORT, 1),
        (ROWS_PER_STRIP, LONG, 1),
        (STRIP_BYTES, LONG, stream_bytes),
    )
    begin = len(START) + COUNT.size + TAG.size * len(tags) + len(NO_NEXT)
    entries = (TAG.pack(tag, kind, 1, begin if tag == STRIP_OFFSETS else value) for tag, kind, value in tags)
    return START + COUNT.pack(len(tags)) + b"".join(entries) + NO_NEXT
