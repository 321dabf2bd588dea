"""What a still image says of itself, read before a decoder sees it.

A decoder is too late a judge: libpng inflates every text chunk that it meets, and libjpeg takes memory for
the whole of a progressive picture before anybody may ask for its size. A few kilobytes become gigabytes.
Both take their time for each part of a file, however empty, so those are few.
"""

import re
from struct import Struct

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNK = Struct(">I4s")
PNG_START = Struct(">8sI4sIIBBBBB")
CRC_BYTES = 4
# libpng writes chunks of 8192 bytes: half of that, and a few more.
CHUNK_BYTES, SPARE_CHUNKS = 4096, 4
# Rows that cannot be compressed grow by five bytes in every 16 kB. More could only hold blocks without
# pixels, for each of which the decoder builds Huffman codes.
GROWTH, SPARE_BYTES = 64, 64

START_OF_IMAGE = b"\xff\xd8"
START_OF_SCAN = b"\xff\xda"
END_OF_IMAGE = b"\xff\xd9"
BASELINE = 0xC0
SCAN = 0xDA
# Application data, comments, and the tables of Huffman codes and quantisation.
HARMLESS = frozenset({*range(0xE0, 0xF0), 0xFE, 0xC4, 0xDB})
# libjpeg writes eight before the scan, and none within it.
MOST_SEGMENTS = 16
MARK = re.compile(rb"\xff[^\x00]")
JPEG_SEGMENT = Struct(">BBH")
JPEG_FRAME = Struct(">BHHB")


def check_png(data: bytes, height: int, width: int) -> None:
    """ValueError unless `data` is an 8-bit RGB PNG of this size that holds nothing but its pixels."""
    start = PNG_START.pack(PNG_SIGNATURE, 13, b"IHDR", width, height, 8, 2, 0, 0, 0)
    if not data.startswith(start):
        raise ValueError(f"no PNG of {width} x {height}, 8-bit RGB, not interlaced")
    position, kind, length = len(start) + CRC_BYTES, b"", 0
    num_bytes = height * (1 + 3 * width)
    chunks_left = SPARE_CHUNKS + num_bytes // CHUNK_BYTES
    bytes_left = SPARE_BYTES + num_bytes + num_bytes // GROWTH
    while position + PNG_CHUNK.size <= len(data) and kind != b"IEND":
        length, kind = PNG_CHUNK.unpack_from(data, position)
        if kind not in (b"IDAT", b"IEND"):
            raise ValueError("a PNG with a chunk that holds no pixels")
        chunks_left -= 1
        bytes_left -= length
        if chunks_left < 0 or bytes_left < 0:
            raise ValueError("a PNG longer than its pixels, or in too many chunks")
        position += PNG_CHUNK.size + length + CRC_BYTES
    if kind != b"IEND" or length or position != len(data):
        raise ValueError("cut off, or followed by something else")


def check_jpeg(data: bytes, height: int, width: int) -> None:
    """ValueError unless `data` is a baseline JPEG of this size, in three colours and one scan."""
    # Thousands of tiny scans cost minutes; a cut file would decode with grey filling.
    if data.count(START_OF_SCAN) != 1 or not data.endswith(END_OF_IMAGE):
        raise ValueError("cut off, or not a JPEG of a single scan")
    if not data.startswith(START_OF_IMAGE):
        raise ValueError("no JPEG")
    position, frames = len(START_OF_IMAGE), 0
    for _ in range(MOST_SEGMENTS + 1):
        kind, length = _jpeg_segment(data, position)
        if kind == SCAN:
            break
        if kind == BASELINE:
            _check_frame(data, position + JPEG_SEGMENT.size, height, width)
            frames += 1
        elif kind not in HARMLESS:
            raise ValueError("not a baseline JPEG")
        position += 2 + length
    else:
        raise ValueError(f"a JPEG of more than {MOST_SEGMENTS} segments")
    mark = MARK.search(data, position + 2 + length)
    if mark is None or mark.end() != len(data):
        raise ValueError("a JPEG with marks within its scan")
    if frames != 1:
        raise ValueError(f"a JPEG of {frames} frames")


def _jpeg_segment(data: bytes, position: int) -> tuple[int, int]:
    """The kind of the segment at `position`, and its length without the two bytes of its mark."""
    if position + JPEG_SEGMENT.size > len(data):
        raise ValueError("a JPEG without a scan")
    mark, kind, length = JPEG_SEGMENT.unpack_from(data, position)
    if mark != 0xFF or length < 2:
        raise ValueError("a JPEG whose segments do not follow each other")
    return kind, length


def _check_frame(data: bytes, position: int, height: int, width: int) -> None:
    if position + JPEG_FRAME.size > len(data):
        raise ValueError("a JPEG without a scan")
    found = JPEG_FRAME.unpack_from(data, position)
    if found != (8, height, width, 3):
        raise ValueError(f"no JPEG of {width} x {height} in three colours of 8 bits")
