"""Real clips of pixels, filled up to the most that a cloud takes with the smallest parts of their codec."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgpack

from transport.codecs import framing, most_bytes

Fill = Callable[[bytes, int], bytes]

EMPTY_ROWS = struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT"))
PNG_HEADER_BYTES = 33
# The order in which deflate gives the lengths of the codes of lengths.
LENGTHS = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
STORED = b"\0\0\xff\xff"
PNG_END = bytes.fromhex("0000000049454e44ae426082")
MARK, PICTURE = b"\0\0\1", b"\0\0\1\x68"
UNITS = {
    "delimiters": b"\0\0\1\x09\xf0",
    "remarks": b"\0\0\1\x06\x05\x01\0\x80",
    "slices": b"\0\0\1\x01\x80",
    "sequence parameters": b"\0\0\1\x67",
}


def bombs(corpus: Sequence[bytes]) -> Iterator[bytes]:
    """Every one as a message."""
    for message in corpus:
        fields = msgpack.unpackb(message)
        for fill in _fills(str(fields.get("codec"))):
            yield msgpack.packb(fields | {"payload": _filled(fields, fill)})
        if fields.get("codec") == "png":
            yield msgpack.packb(fields | {"payload": _of_empty_blocks(fields)})


def png(header: bytes, rows: bytes, num_bytes: int) -> bytes:
    """A PNG of `rows` whose data begin with `num_bytes` of Huffman codes for blocks that hold nothing."""
    data = (
        b"IDAT\x78\x01" + _empty_blocks(num_bytes) + _deflated(rows) + struct.pack(">I", zlib.adler32(rows))
    )
    return header + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + PNG_END


def _empty_blocks(num_bytes: int) -> bytes:
    """One block: the bits 0, then 2 (own codes), no more codes of lengths than must be, and 257 + 1 lengths,
    of which the end of the block and one distance have 1; RFC 1951, 3.2.7. The last block is a stored one."""
    of_lengths = [(1 if code in (18, 1) else 0, 3) for code in LENGTHS[:18]]
    literals = [(1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 1)]
    fields = [(0, 1), (2, 2), (0, 5), (0, 5), (18 - 4, 4), *of_lengths, *literals, (0, 1), (0, 1)]
    bits = "".join(f"{value:0{width}b}"[::-1] for value, width in fields)
    bits *= (8 * num_bytes - len(STORED) * 8) // len(bits)
    bits += "000" + "0" * (-(len(bits) + 3) % 8)
    return int(bits[::-1], 2).to_bytes(len(bits) // 8, "little") + STORED


def _deflated(rows: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(rows) + packer.flush()


def _fills(codec: str) -> list[Fill]:
    if codec == "png":
        return [lambda image, room: _insert(image, PNG_HEADER_BYTES, EMPTY_ROWS, room)]
    if codec.startswith("jpeg"):
        return [
            lambda image, room: _insert(image, 2, b"\xff\xe0\0\2", room),
            lambda image, room: _insert(image, len(image) - 2, b"\xff\xe0\0\2", room),
        ]
    if codec.startswith("h264"):
        return [_pictures, *(_end_with(unit) for unit in UNITS.values())]
    return []


def _filled(fields: dict[str, Any], fill: Fill) -> bytes:
    """The payload with all that there is room for in its first frame."""
    shape, payload = tuple(fields["shape"]), fields["payload"]
    first, *others = framing.split("clip", payload, shape[0])
    return framing.join([fill(first, most_bytes("pixels", shape) - len(payload)), *others])


def _of_empty_blocks(fields: dict[str, Any]) -> bytes:
    """Black frames, each as long as its rows are before they are packed."""
    _, height, width, _ = fields["shape"]
    rows = bytes(height * (1 + 3 * width))
    frames = framing.split("clip", fields["payload"], fields["shape"][0])
    return framing.join([png(frame[:PNG_HEADER_BYTES], rows, len(rows)) for frame in frames])


def _insert(data: bytes, position: int, part: bytes, room: int) -> bytes:
    return data[:position] + part * (room // len(part)) + data[position:]


def _pictures(chunk: bytes, room: int) -> bytes:
    """A stream's own parameters of pictures, again and again."""
    begin = chunk.index(PICTURE)
    end = chunk.index(MARK, begin + len(MARK))
    return _insert(chunk, end, chunk[begin:end].rstrip(b"\0"), room)


def _end_with(unit: bytes) -> Fill:
    return lambda chunk, room: _insert(chunk, len(chunk), unit, room)
