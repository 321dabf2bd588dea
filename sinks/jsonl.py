"""Predictions as NDJSON, one line each, in a file that survives being killed at any moment."""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ConfigError, SinkError
from pipeline.items import Prediction
from sinks.files import lock_alone, write_all
from sinks.record import to_line
from sinks.resume import DoneClip, Written, read_written

STDOUT = "-"


class JsonlSink:
    """Appends each record with one write, so that a kill leaves at most half a line at the end.

    `path` "-" is standard output. A file that already holds something needs `resume` (go on
    behind its last whole record) or `overwrite`. Only one run at a time may write to a file.
    After `open()` with `resume`, `written` tells what is already there and `cut_bytes` how much of a
    half-written end was removed.
    """

    def __init__(self, path: Path | str, resume: bool = False, overwrite: bool = False) -> None:
        if resume and str(path) == STDOUT:
            raise ConfigError("--resume needs a file: what went to standard output cannot be read again")
        if resume and overwrite:
            raise ConfigError(f"{path}: choose either --resume or --overwrite, not both")
        self.written = Written()
        self.cut_bytes = 0
        self._path = Path(path)
        self._resume = resume
        self._overwrite = overwrite
        self._fd: int | None = None
        self._end = 0
        self._regular = False

    @property
    def done(self) -> dict[str, DoneClip]:
        """The clips that already have their record, by clip_id."""
        return self.written.done

    def open(self) -> None:
        """Open, lock and, if asked, mend or empty the file; touches nothing when it raises."""
        try:
            self._fd = self._open()
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            if self._regular and not self._is_stdout:
                self._lock(self._fd)
                self._prepare(self._fd)
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        except (ConfigError, SinkError):
            self.close()
            raise

    def next_seq(self, source: str) -> int:
        """The number after the last clip of a source that the file held when it was opened."""
        return self.written.next_seq.get(source, 0)

    def write(self, prediction: Prediction) -> None:
        """Write one record; raises SinkError, leaving whole lines only, when the system refuses."""
        if self._fd is None:
            raise SinkError(f"{self._path}: written to before it was opened, or after it was closed")
        line = to_line(prediction)
        try:
            write_all(self._fd, line)
        except OSError as error:
            self._take_back(self._fd)
            raise self._failed(error) from error
        self._end += len(line)

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def _is_stdout(self) -> bool:
        return str(self._path) == STDOUT

    def _open(self) -> int:
        if self._is_stdout:
            sys.stdout.flush()
            return os.dup(1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def _lock(self, fd: int) -> None:
        try:
            lock_alone(fd)
        except BlockingIOError as error:
            raise SinkError(f"{self._path}: another run is writing to it; choose another output") from error

    def _prepare(self, fd: int) -> None:
        size = os.fstat(fd).st_size
        if size and not self._resume and not self._overwrite:
            raise ConfigError(
                f"{self._path}: already holds results; --resume goes on with them, --overwrite discards them"
            )
        if self._resume:
            with open(fd, "rb", closefd=False) as file:
                self.written = read_written(file, str(self._path))
        self._end = self.written.sound_bytes
        self.cut_bytes = size - self._end if self._resume else 0
        os.ftruncate(fd, self._end)

    def _take_back(self, fd: int) -> None:
        if self._regular and not self._is_stdout:
            with suppress(OSError):
                os.ftruncate(fd, self._end)

    def _failed(self, error: OSError) -> SinkError:
        name = "standard output" if self._is_stdout else str(self._path)
        return SinkError(f"{name}: results cannot be written ({error.strerror})")
