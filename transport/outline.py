"""The outline of a msgpack value: how many containers it has, how long they are, and how deep they lie.

The unpacker takes memory for a container as soon as it has read how long that claims to be: a few kilobytes
of containers within each other made it take 30 MB and 60 ms, only to find that they lie too deep.
"""

from collections.abc import Iterator

MOST_CONTAINERS = 256
MOST_ITEMS = 16384
DEEPEST = 16

# By first byte: bytes that follow, how many of those are a length in bytes or items, items for each of which.
_Kind = tuple[int, int, int]


def check_outline(data: bytes) -> None:
    """ValueError for too many containers, too many items in all of them, or containers too deep in others.

    Whatever else may be wrong with `data` is for the unpacker to find.
    """
    position, containers, items = 0, 0, 0
    open_items = [1]
    while open_items and position < len(data):
        if open_items[-1] == 0:
            open_items.pop()
            continue
        open_items[-1] -= 1
        fixed, length_bytes, per_item = _KINDS[data[position]]
        start = position + 1
        position = start + length_bytes
        length = fixed + int.from_bytes(data[start:position])
        if per_item == 0:
            position += length
            continue
        containers += 1
        items += per_item * length
        if containers > MOST_CONTAINERS:
            raise ValueError(f"more than {MOST_CONTAINERS} maps and arrays")
        if items > MOST_ITEMS:
            raise ValueError(f"more than {MOST_ITEMS} items in maps and arrays")
        if len(open_items) > DEEPEST:
            raise ValueError("nested too deep")
        open_items.append(per_item * length)


def _kinds() -> Iterator[_Kind]:
    yield from ((0, 0, 0) for _ in range(0x00, 0x80))
    yield from ((pairs, 0, 2) for pairs in range(16))
    yield from ((count, 0, 1) for count in range(16))
    yield from ((length, 0, 0) for length in range(32))
    yield from ((0, 0, 0) for _ in ("nil", "unused", "false", "true"))
    yield from ((0, size, 0) for size in (1, 2, 4))
    yield from ((1, size, 0) for size in (1, 2, 4))
    yield from ((size, 0, 0) for size in (4, 8, 1, 2, 4, 8, 1, 2, 4, 8))
    yield from ((1 + size, 0, 0) for size in (1, 2, 4, 8, 16))
    yield from ((0, size, 0) for size in (1, 2, 4))
    yield from ((0, size, 1) for size in (2, 4))
    yield from ((0, size, 2) for size in (2, 4))
    yield from ((0, 0, 0) for _ in range(0xE0, 0x100))


_KINDS = tuple(_kinds())
