"""Damage to messages, drawn from a seed: the same numbers give the same attack."""

import random
from collections.abc import Callable, Sequence

import msgpack

Fields = dict[str, object]
Mutation = Callable[[bytes, random.Random], bytes]

LARGEST = 64_000
NUMBERS = (-1, 0, 1, 255, 65535, 65536, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -1.5, 1e308)
TEXTS = (
    "",
    "x",
    "x" * 5000,
    "\x1b[31m\n",
    "\ud7ff",
    "int8+zstd",
    "raw",
    "png",
    "jpeg:100",
    "h264:51",
    "clip",
)
LISTS = ([], [[]], [0] * 12, [1] * 2000, [65536] * 1024, [-1], [129, 128], [16, 64, 64, 3], [65535] * 3 + [3])
OTHERS = (None, True, float("nan"), float("inf"), b"", b"\0" * 100, {}, {"a": {}})
EXTREMES: tuple[object, ...] = (*NUMBERS, *TEXTS, *LISTS, *OTHERS)


class Mutator:
    """Makes message after message out of real ones."""

    def __init__(self, corpus: Sequence[bytes], seed: int) -> None:
        self._corpus = corpus
        self._rng = random.Random(seed)
        self._kinds: dict[Mutation, int] = {
            flip: 20,
            cut: 10,
            grow: 5,
            self._splice: 10,
            swap: 35,
            garbage: 8,
            nest: 4,
            lie: 4,
            inflate: 1,
            as_it_is: 1,
        }

    def next(self, first: bool = False) -> bytes:
        """A damaged message; a damaged hello where it is to be the `first`, nine times in ten."""
        rng = self._rng
        message = self._corpus[0] if first and rng.random() < 0.9 else rng.choice(self._corpus)
        (mutation,) = rng.choices(list(self._kinds), list(self._kinds.values()))
        return mutation(message, rng)

    def _splice(self, message: bytes, rng: random.Random) -> bytes:
        other = rng.choice(self._corpus)
        return message[: rng.randint(0, len(message))] + other[rng.randint(0, len(other)) :]


def as_it_is(message: bytes, rng: random.Random) -> bytes:
    """Not damaged, but out of place: a second hello, a clip twice, a cloud's own message."""
    return message


def flip(message: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, mostly near the beginning, where the fields are."""
    data = bytearray(message)
    for _ in range(rng.randint(1, 8)):
        end = len(data) if rng.random() < 0.3 else min(len(data), 300)
        data[rng.randrange(end)] = rng.randrange(256)
    return bytes(data)


def cut(message: bytes, rng: random.Random) -> bytes:
    """Ended too early."""
    return message[: rng.randrange(len(message))]


def grow(message: bytes, rng: random.Random) -> bytes:
    """Gone on for too long."""
    return message + rng.randbytes(rng.randint(1, 200))


def swap(message: bytes, rng: random.Random) -> bytes:
    """Some fields with other values, gone, or doubled under another name."""
    fields: Fields = dict(msgpack.unpackb(message))
    for name in rng.sample(sorted(fields), rng.randint(1, min(3, len(fields)))):
        what = rng.random()
        if what < 0.7:
            fields[name] = rng.choice(EXTREMES)
        elif what < 0.85:
            fields[name] = fields[rng.choice(sorted(fields))]
        elif what < 0.95:
            del fields[name]
        else:
            fields[f"{name}_"] = fields[name]
    return bytes(msgpack.packb(fields))


def garbage(message: bytes, rng: random.Random) -> bytes:
    """Nothing at all that was ever a message."""
    return rng.randbytes(rng.choice((0, 1, 2, 10, 100, 1000, 20_000)))


def nest(message: bytes, rng: random.Random) -> bytes:
    """Containers within containers, or very many of them side by side."""
    depth = rng.choice((5, 400, 5000, LARGEST))
    return rng.choice((b"\x91", b"\x81\xa1a", b"\x90", b"\xdc\x0f\xff")) * (depth // 4) + b"\xc0"


def lie(message: bytes, rng: random.Random) -> bytes:
    """A map or array of more items than there are bytes in the world."""
    start = rng.choice(
        (b"\xdf\xff\xff\xff\xff", b"\x81\xa1a\xdd\xff\xff\xff\xff", b"\x81\xa1a\xc6\xff\xff\xff\xff")
    )
    return start + rng.randbytes(rng.randint(0, 100))


def inflate(message: bytes, rng: random.Random) -> bytes:
    """A payload of megabytes, alike or random."""
    fields: Fields = dict(msgpack.unpackb(message))
    size = rng.choice((100_000, 400_000, 1_500_000))
    fields["payload"] = bytes(size) if rng.random() < 0.5 else rng.randbytes(size)
    return bytes(msgpack.packb(fields))
