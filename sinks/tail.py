"""The last records of a spool whose disk takes no more: they wait in memory, behind those on disk."""

from collections import deque

from sinks.segments import Parcel, Position, Spooled, parse

IN_MEMORY = -1
MOST_BYTES = 1 << 20


class Tail:
    """A first-in, first-out queue of lines, at most `most_bytes` unless it is one line alone."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()
        self._num_bytes = 0
        self._taken = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def first(self) -> bytes | None:
        """The oldest line; None for none."""
        return self._lines[0] if self._lines else None

    def add(self, line: bytes) -> bool:
        """Put a line behind all others; False where it does not fit."""
        if self._lines and self._num_bytes + len(line) > self._most_bytes:
            return False
        self._lines.append(line)
        self._num_bytes += len(line)
        return True

    def read(self, most_records: int, most_bytes: int) -> Parcel | None:
        """The oldest records, as many as fit, at least one; None for none."""
        records: list[Spooled] = []
        num_bytes = num_lines = 0
        for line in self._lines:
            num_bytes += len(line)
            if len(records) == most_records or (records and num_bytes > most_bytes):
                break
            num_lines += 1
            if (record := parse(line)) is not None:
                records.append(record)
        return Parcel(tuple(records), self._start, self._behind(num_lines), num_lines) if num_lines else None

    def take(self, parcel: Parcel) -> bool:
        """Forget what was read here; False for a parcel that does not begin with the oldest line."""
        if not self._lines or parcel.start != self._start:
            return False
        self.drop(parcel.num_lines)
        return True

    def drop(self, num_lines: int = 1) -> None:
        """Forget the oldest lines."""
        for _ in range(num_lines):
            self._num_bytes -= len(self._lines.popleft())
        self._taken += num_lines

    @property
    def _start(self) -> Position:
        return self._behind(0)

    def _behind(self, num_lines: int) -> Position:
        return Position(IN_MEMORY, self._taken + num_lines)
