"""What an H.264 stream says of its size and of its units, read before a decoder sees it.

FFmpeg refuses frames of more pixels than it is told, but only after it has made its tables for them, which
are a third of a byte a pixel: 90 MB for a few bytes that announce the largest frame. And it keeps a record of
every unit in a chunk, and parses every set of parameters anew, so that tiny ones cost a hundred times
their bytes.
"""

import re
from collections import Counter
from collections.abc import Iterable

# What follows is only looked at: another unit may begin within it.
UNIT = re.compile(rb"\x00\x00\x01(?=(.{0,65}))", re.DOTALL)
KIND = 0x1F
SLICES, SEQUENCE, PICTURE = (1, 5), 7, 8
# x264 writes four at most: two sets of parameters, its own name in some 700 bytes, and one slice.
MOST_UNITS, MOST_BESIDE_SLICES_BYTES = 8, 2048
ESCAPED, PLAIN = b"\0\0\3", b"\0\0"
# Profiles whose parameters begin with the format of the colours.
HIGH = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
COLOURS_420 = 1
BLOCK = 16
MOST_ZEROS = 24


def check_parameter_sets(chunks: Iterable[bytes], height: int, width: int) -> None:
    """ValueError where a chunk announces frames over this size, other colours, or many units."""
    for chunk in chunks:
        units = _units(chunk)
        for kind, start in units:
            if kind == SEQUENCE:
                rows, columns = _size(_Bits(start[1:].replace(ESCAPED, PLAIN)))
                if rows > height or columns > width:
                    raise ValueError(f"frames of {columns} x {rows}, not within {width} x {height}")
        kinds = Counter(kind for kind, _ in units)
        if kinds[SEQUENCE] > 1 or kinds[PICTURE] > 1:
            raise ValueError("a second set of parameters for one frame")


def _units(chunk: bytes) -> list[tuple[int, bytes]]:
    """The kind and the first bytes of each unit; ValueError where they are more than one frame has."""
    units: list[tuple[int, bytes]] = []
    beside, since = 0, 0
    for mark in UNIT.finditer(chunk):
        if len(units) == MOST_UNITS:
            raise ValueError(f"more than {MOST_UNITS} units for one frame")
        beside += _beside(units, mark.start() - since)
        since = mark.start()
        units.append((mark[1][0] & KIND if mark[1] else 0, mark[1]))
    beside += _beside(units, len(chunk) - since)
    if beside > MOST_BESIDE_SLICES_BYTES:
        raise ValueError(f"{beside} bytes beside the slices of one frame")
    return units


def _beside(units: list[tuple[int, bytes]], num_bytes: int) -> int:
    """How many of the `num_bytes` that end here belong to no slice."""
    return 0 if units and units[-1][0] in SLICES else num_bytes


class _Bits:
    """Reads numbers from bits, the most significant first; ValueError at their end."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def number(self, num_bits: int) -> int:
        """A plain number of `num_bits`."""
        bits = self._bits[self._at : self._at + num_bits]
        if len(bits) < num_bits:
            raise ValueError("a set of parameters is cut off")
        self._at += num_bits
        return int(bits or "0", 2)

    def golomb(self) -> int:
        """A number behind as many zeros as it has bits after its first."""
        zeros = 0
        while self.number(1) == 0:
            zeros += 1
            if zeros > MOST_ZEROS:
                raise ValueError("a parameter beyond all bounds")
        return (1 << zeros) - 1 + self.number(zeros)


def _size(bits: _Bits) -> tuple[int, int]:
    """Height and width of a sequence's frames in whole blocks (ITU-T H.264, 7.3.2.1.1)."""
    profile = bits.number(8)
    bits.number(16)
    bits.golomb()
    if profile in HIGH:
        colours, luma_bits, chroma_bits = (bits.golomb() for _ in range(3))
        if (colours, luma_bits, chroma_bits, bits.number(2)) != (COLOURS_420, 0, 0, 0):
            raise ValueError("not 4:2:0 in 8 bits with plain scaling")
    bits.golomb()
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order != 2:
        raise ValueError("frames in an order that no encoder of ours uses")
    bits.golomb()
    bits.number(1)
    columns, rows = bits.golomb() + 1, bits.golomb() + 1
    fields = 2 - bits.number(1)
    return BLOCK * rows * fields, BLOCK * columns
