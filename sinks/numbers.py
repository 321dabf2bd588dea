"""How far each source has counted, kept beside the records of a spool and for longer than they are."""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

from sinks.files import write_all
from sinks.segments import is_seq, last_seqs

log = logging.getLogger(__name__)

NUMBERS = "numbers"
MOST_BYTES = 1 << 20


class Numbers:
    """The highest number of each source among all records that ever were in the spool of `folder`.

    What removes records calls `keep()` before; a killed process loses none that way. Any thread may call.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: dict[str, int] | None = None
        self._lock = Lock()

    def load(self) -> None:
        """See what earlier runs left, once; raises OSError. Nobody else may be using the folder."""
        with self._lock:
            self._loaded()

    def reserve(self) -> None:
        """See to it that a disk that is full later has room for the numbers, if it has any now."""
        with suppress(OSError):
            self.keep()

    def next_seq(self, source: str) -> int:
        """The number after a source's last one, 0 where it has none."""
        with self._lock:
            return self._loaded().get(source, -1) + 1

    def note(self, source: str, seq: int) -> None:
        """A record of this number is about to be put into the spool."""
        with self._lock:
            last = self._loaded()
            last[source] = max(seq, last.get(source, seq))

    def keep(self) -> None:
        """Let the disk keep the numbers; raises OSError, keeping the old ones."""
        with self._lock:
            replace_numbers(self._folder, self._loaded())

    def _loaded(self) -> dict[str, int]:
        if self._last is None:
            kept, found = read_numbers(self._folder), last_seqs(self._folder)
            self._last = {each: max(kept.get(each, 0), found.get(each, 0)) for each in kept | found}
        return self._last


def read_numbers(folder: Path) -> dict[str, int]:
    """The numbers kept in `folder`; none, with a warning, where they cannot be understood. Raises OSError."""
    path = folder / NUMBERS
    try:
        return _understood(path)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        log.warning("%s: cannot be understood and is ignored; sources count on from what waits here", path)
        return {}


def replace_numbers(folder: Path, numbers: dict[str, int]) -> None:
    """Replace the numbers kept in `folder` in one step; raises OSError, keeping the old ones.

    The next file is there before it is needed, and is the last one again, so that a full disk needs no room.
    """
    data, path = json.dumps(numbers).encode(), folder / NUMBERS
    fresh, last = folder / f"{NUMBERS}.new", folder / f"{NUMBERS}.old"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        write_all(fd, data)
        os.ftruncate(fd, len(data))
        os.fdatasync(fd)
    finally:
        os.close(fd)
    with suppress(OSError):
        os.link(path, last)
    fresh.replace(path)
    try:
        last.replace(fresh)
    except OSError:
        with suppress(OSError):
            fresh.write_bytes(b" " * len(data))


def _understood(path: Path) -> dict[str, int]:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("too large")
    with path.open("rb") as file:
        numbers = json.loads(file.read(MOST_BYTES))
    if not isinstance(numbers, dict) or not all(map(is_seq, numbers.values())):
        raise ValueError("not numbers of sources")
    return numbers
