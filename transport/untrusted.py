"""Reading bytes that a stranger wrote: bounded, without executing or echoing any of it."""

from collections.abc import Iterable
from typing import Any

import msgpack

from pipeline.errors import ProtocolError

MOST_CONTAINERS = 256
MOST_ITEMS = 4096


class _Budget:
    """Counts the containers of one message while it is unpacked."""

    def __init__(self) -> None:
        self._left = MOST_CONTAINERS

    def take_map(self, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        self._take()
        return dict(pairs)

    def take_array(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        self._take()
        return items

    def _take(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MOST_CONTAINERS} maps and arrays")


def unpack_map(data: bytes) -> dict[str, Any]:
    """The one msgpack map in `data`, arrays as tuples; ProtocolError for anything else.

    Every container has a bounded number of items, and all of them together a bounded number of
    containers, so that a message cannot unpack into many times its own size.
    """
    budget = _Budget()
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            strict_map_key=True,
            object_pairs_hook=budget.take_map,
            list_hook=budget.take_array,
            ext_hook=_refuse_extension,
            max_str_len=MOST_ITEMS,
            max_bin_len=len(data),
            max_array_len=MOST_ITEMS,
            max_map_len=MOST_ITEMS,
            max_ext_len=0,
        )
    except msgpack.exceptions.StackError:
        raise ProtocolError("not one bounded msgpack map: nested too deep") from None
    except ValueError as error:
        raise ProtocolError(f"not one bounded msgpack map: {one_line(error) or 'no msgpack'}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"a msgpack {type(value).__name__} where a map belongs")
    return value


def _refuse_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def printable(text: str) -> str:
    """`text` without control characters, which could command the terminal that shows it."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def one_line(value: object, limit: int = 60) -> str:
    """`value` as printable text on one line of at most `limit` characters."""
    if isinstance(value, tuple | dict):
        return f"a {type(value).__name__}"
    cut = value[: limit + 1] if isinstance(value, str | bytes) else value
    text = " ".join(str(cut).split()).encode("ascii", "backslashreplace").decode()
    text = printable(text)
    return text if len(text) <= limit else text[: limit - 3] + "..."
