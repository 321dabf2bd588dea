"""Several chunks in one byte string: a table of little-endian uint32 lengths, then the chunks."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from pipeline.errors import CodecError

LENGTH = np.dtype("<u4")


def join(chunks: Sequence[bytes]) -> bytes:
    """One byte string out of several; how many they were is for the reader to know."""
    lengths = np.array([len(chunk) for chunk in chunks], dtype=LENGTH)
    return b"".join([lengths.tobytes(), *chunks])


def split(name: str, data: bytes, count: int) -> list[bytes]:
    """The `count` chunks of `data`; CodecError unless they fill it exactly."""
    start = count * LENGTH.itemsize
    if len(data) < start:
        raise CodecError(f"{name}: {len(data)} bytes are too few for a table of {count} lengths")
    lengths = np.frombuffer(data, dtype=LENGTH, count=count).tolist()
    ends = list(accumulate(lengths, initial=start))
    if ends[-1] != len(data):
        raise CodecError(f"{name}: {len(data)} bytes, where the table of lengths says {ends[-1]}")
    return [data[begin:end] for begin, end in pairwise(ends)]
