"""What an H.264 stream says of its size, read before a decoder sees it.

FFmpeg refuses frames of more pixels than it is told, but only after it has made its tables for them, which
are a third of a byte a pixel: 90 MB for a few bytes that announce the largest frame.
"""

import re
from collections.abc import Iterable

# What follows is only looked at: another set may begin within it.
SEQUENCE_PARAMETERS = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67\x87\xa7\xc7\xe7](?=(.{0,64}))", re.DOTALL)
ESCAPED, PLAIN = b"\0\0\3", b"\0\0"
# Profiles whose parameters begin with the format of the colours.
HIGH = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
COLOURS_420 = 1
BLOCK = 16
MOST_ZEROS = 24


def check_parameter_sets(chunks: Iterable[bytes], height: int, width: int, most: int) -> None:
    """ValueError where a stream announces frames over this size, other colours, or `most` sizes and more."""
    found = [sps for chunk in chunks for sps in SEQUENCE_PARAMETERS.findall(chunk)]
    if len(found) > most:
        raise ValueError(f"{len(found)} sets of parameters for {most} frames")
    for sps in found:
        rows, columns = _size(_Bits(sps.replace(ESCAPED, PLAIN)))
        if rows > height or columns > width:
            raise ValueError(f"frames of {columns} x {rows}, not within {width} x {height}")


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
