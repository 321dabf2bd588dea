"""Reading bytes that a stranger wrote: bounded, without executing or echoing any of it."""

from typing import Any

import msgpack

from pipeline.errors import ProtocolError
from transport.outline import check_outline

MOST_ITEMS = 4096


def unpack_map(data: bytes) -> dict[str, Any]:
    """The one msgpack map in `data`, arrays as tuples; ProtocolError for anything else.

    Its containers are bounded in number, length and depth, so that a message can neither unpack into many
    times its own size nor take long to refuse.
    """
    try:
        check_outline(data)
        value = msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            strict_map_key=True,
            ext_hook=_refuse_extension,
            max_str_len=MOST_ITEMS,
            max_bin_len=len(data),
            max_array_len=MOST_ITEMS,
            max_map_len=MOST_ITEMS,
            max_ext_len=0,
        )
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
