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


def _insert(data: bytes, position: int, part: bytes, room: int) -> bytes:
    return data[:position] + part * (room // len(part)) + data[position:]


def _pictures(chunk: bytes, room: int) -> bytes:
    """A stream's own parameters of pictures, again and again."""
    begin = chunk.index(PICTURE)
    end = chunk.index(MARK, begin + len(MARK))
    return _insert(chunk, end, chunk[begin:end].rstrip(b"\0"), room)


def _end_with(unit: bytes) -> Fill:
    return lambda chunk, room: _insert(chunk, len(chunk), unit, room)
