"""Records on disk in front of a sink that is far away: what it has not taken outlives a kill."""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pipeline.clock import Clock
from pipeline.errors import SinkError
from sinks.files import lock_alone, write_all
from sinks.resume import MAX_LINE_BYTES
from sinks.segments import (
    Parcel,
    Position,
    Segment,
    cut_tail,
    find_segments,
    keep_position,
    read_parcel,
    read_position,
    records_before,
)
from sinks.tail import Tail

SEGMENTS = 8


class Spool:
    """A first-in, first-out queue of records in `folder`, at most `max_bytes` on disk.

    Each record is one write, so a killed process loses none; the disk is told to keep them
    (fdatasync) at most once in `sync_s`, when a segment is full and when the spool is closed, so a power
    cut may lose what came later. What is not acknowledged is read again after a restart. When full,
    the oldest eighth is given up. Any thread may call; all but `open()` block only for the disk.
    `before_removal` is called before records leave the disk; its OSError keeps them there for the next start.
    While the disk refuses (`refusal` says why) the latest wait in a `Tail`, until it takes them again.
    """

    def __init__(self, folder: Path, max_bytes: int, clock: Clock, sync_s: float = 1.0) -> None:
        self.folder = folder
        self.given_up = 0
        self.cut_bytes = 0
        self.refusal: str | None = None
        self.before_removal: Callable[[], None] = lambda: None
        self._max_bytes = max_bytes
        self._segment_bytes = max_bytes // SEGMENTS
        self._clock = clock
        self._sync_s = sync_s
        self._synced_at = clock.now()
        self._segments: deque[Segment] = deque()
        self._position = Position(0, 0)
        self._taken = 0
        self._tail = Tail()
        self._owes_word = False
        self._fd: int | None = None
        self._lock_fd: int | None = None
        self._lock = Lock()

    @property
    def waiting(self) -> int:
        """How many records are not yet acknowledged."""
        with self._lock:
            return sum(segment.records for segment in self._segments) - self._taken + len(self._tail)

    @property
    def in_memory(self) -> int:
        """How many of these are not on disk."""
        return len(self._tail)

    def open(self) -> None:
        """Lock the folder, mend what a crash left and go on behind it; SinkError where that cannot be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            lock_alone(self._lock_fd)
            self._recover()
        except BlockingIOError as error:
            self.close()
            raise SinkError(
                f"{self.folder}: another run is using this spool; name another folder with spool"
            ) from error
        except OSError as error:
            self.close()
            raise self._failed("cannot be used", error) from error

    def append(self, line: bytes) -> None:
        """Put one record behind all others; SinkError when the disk refuses and memory is full. One larger
        than a segment, or than any record may be, is given up."""
        with self._lock:
            if len(line) > min(self._segment_bytes, MAX_LINE_BYTES):
                self.given_up += 1
                return
            try:
                self._spill()
                self._write(line)
                self.refusal = None
            except OSError as error:
                refused = self._failed("records cannot be spooled", error)
                self.refusal = str(refused)
                if not self._tail.add(line):
                    raise refused from error

    def read(self, most_records: int, most_bytes: int = MAX_LINE_BYTES) -> Parcel | None:
        """The oldest records that are not acknowledged, as many as fit, at least one; None for none.

        Reading again without an acknowledgement gives the same. Broken lines are given up.
        """
        with self._lock:
            try:
                return self._read(most_records, most_bytes) or self._tail.read(most_records, most_bytes)
            except OSError as error:
                raise self._failed("records cannot be read", error) from error

    def acknowledge(self, parcel: Parcel) -> bool:
        """Forget what was read; False where it was given up in the meantime."""
        with self._lock:
            if self._tail.take(parcel):
                self._give_word()
                return True
            if parcel.start != self._position:
                return False
            self.given_up += parcel.num_lines - len(parcel.records)
            self._take(parcel)
            return True

    def close(self) -> None:
        """Let the disk keep what waits, remove what does not, and let go of the folder; what the disk does
        not take stays `in_memory`."""
        with self._lock:
            if self._fd is not None:
                with suppress(OSError):
                    self._spill()
                if self._owes_word:
                    self._give_word()
                with suppress(OSError):
                    os.fdatasync(self._fd)
                os.close(self._fd)
                self._fd = None
                self._remove_if_empty()
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None

    @property
    def _num_bytes(self) -> int:
        return sum(segment.num_bytes for segment in self._segments)

    def _recover(self) -> None:
        position = read_position(self.folder)
        for segment in find_segments(self.folder):
            if segment.number < position.segment:
                self._remove(segment)
            else:
                self._segments.append(segment)
        if self._segments:
            self.cut_bytes = cut_tail(self._segments[-1], self.folder)
        else:
            self._segments.append(Segment(position.segment + 1))
        self._fd = self._open_segment(self._segments[-1])
        self._resume_at(position)

    def _resume_at(self, position: Position) -> None:
        first = self._segments[0]
        offset = min(position.offset, first.num_bytes) if position.segment == first.number else 0
        taken = records_before(first.path(self.folder), offset)
        self._position = Position(first.number, 0 if taken is None else offset)
        self._taken = taken or 0
        self._drop_taken()

    def _read(self, most_records: int, most_bytes: int) -> Parcel | None:
        while self._position.offset < self._segments[0].num_bytes:
            first = self._segments[0]
            try:
                parcel = read_parcel(self.folder, first, self._position, most_records, most_bytes)
            except FileNotFoundError:
                self._roll_behind(first)
                self._give_up_oldest()
                continue
            if parcel is not None and parcel.records:
                return parcel
            missing = Parcel((), self._position, first.end, first.records - self._taken)
            self.given_up += (parcel or missing).num_lines
            self._take(parcel or missing)
        return None

    def _spill(self) -> None:
        while (line := self._tail.first) is not None:
            self._write(line)
            self._tail.drop()

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            raise SinkError(f"{self.folder}: written to before it was opened, or after it was closed")
        while self._num_bytes + len(line) > self._max_bytes and len(self._segments) > 1:
            self._give_up_oldest()
        last = self._segments[-1]
        if last.num_bytes + len(line) > self._segment_bytes:
            last = self._roll_behind(last)
        try:
            write_all(self._fd, line)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, last.num_bytes)
            raise
        last.num_bytes += len(line)
        last.records += 1
        if self._clock.now() - self._synced_at >= self._sync_s:
            self._sync()

    def _roll_behind(self, last: Segment) -> Segment:
        """Go on in a new segment unless `last` is not the last."""
        if last is not self._segments[-1] or self._fd is None:
            return self._segments[-1]
        fresh = Segment(last.number + 1)
        self._sync()
        fd = self._open_segment(fresh)
        os.close(self._fd)
        self._fd = fd
        self._segments.append(fresh)
        self._drop_taken()
        return fresh

    def _open_segment(self, segment: Segment) -> int:
        return os.open(segment.path(self.folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _sync(self) -> None:
        self._synced_at = self._clock.now()
        if self._fd is not None:
            os.fdatasync(self._fd)

    def _take(self, parcel: Parcel) -> None:
        self._position = parcel.end
        self._taken += parcel.num_lines
        self._drop_taken()
        self._keep_position()

    def _drop_taken(self) -> None:
        """Remove segments of which nothing waits, but never the one that is written to."""
        while len(self._segments) > 1 and self._position.offset >= self._segments[0].num_bytes:
            self._drop_oldest()

    def _give_up_oldest(self) -> None:
        self.given_up += self._segments[0].records - self._taken
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._segments.popleft()
        self._position, self._taken = Position(self._segments[0].number, 0), 0
        self._remove(oldest)

    def _remove_if_empty(self) -> None:
        if len(self._segments) == 1 and self._position.offset >= self._segments[0].num_bytes:
            self._remove(self._segments[0])

    def _give_word(self) -> None:
        try:
            self.before_removal()
            self._owes_word = False
        except OSError:
            self._owes_word = True

    def _remove(self, segment: Segment) -> None:
        with suppress(OSError):  # the next start removes it
            self.before_removal()
            segment.path(self.folder).unlink()

    def _keep_position(self) -> None:
        with suppress(OSError):  # a stale position only means that some records are sent twice
            keep_position(self.folder, self._position)

    def _failed(self, what: str, error: OSError) -> SinkError:
        return SinkError(f"{self.folder}: {what} ({error.strerror})")
