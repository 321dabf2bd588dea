"""The database of results: one table, one row a clip."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ConfigError, SinkError
from sinks.courier import RecordsRefused
from sinks.segments import Spooled

VERSION = 1
BUSY_S = 1.0
TABLE = """
CREATE TABLE predictions (
    clip_id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    seq INTEGER NOT NULL,
    status TEXT NOT NULL,
    start_s REAL,
    end_s REAL,
    class TEXT,
    confidence REAL,
    latency_ms REAL,
    model TEXT NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID
"""
INDEX = "CREATE INDEX IF NOT EXISTS predictions_of_source ON predictions (source, seq)"
LAST = "SELECT max(seq) FROM predictions WHERE source = ?"
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
AS_IT_LIES = ("mode=ro", "mode=ro&immutable=1")
INSERT = "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
REFUSALS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class NoRoom(SinkError):
    """The disk under a database takes nothing now."""


class Database:
    """Results in WAL mode, so that others may read meanwhile.

    A later record of the same clip replaces the earlier. Survives a kill; a power cut may take
    the last records, never the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None

    def open(self, *, make: bool = True) -> None:
        """Open the database, or make one where that is wished; SinkError where that cannot be now,
        ConfigError for a file that is something else."""
        try:
            if make:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            address = f"{self._path.absolute().as_uri()}?mode={'rwc' if make else 'rw'}"
            self._connection = sqlite3.connect(
                address, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=True
            )
            self._file = self._path.stat()
            self._prepare(self._connection)
        except (OSError, sqlite3.OperationalError) as error:
            self.close()
            raise self._failed(error) from error
        except (sqlite3.DatabaseError, ConfigError):
            self.close()
            raise ConfigError(
                f"{self._path}: not a database of results, version {VERSION}; choose another file"
            ) from None

    def open_to_read(self) -> None:
        """Open a database that is there already and cannot be written to now, even without room for the files
        that SQLite puts beside it; SinkError where that cannot be. What a killed run left in such a file may
        then be missing."""
        for way in AS_IT_LIES:
            try:
                self._connection = sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?{way}",
                    timeout=BUSY_S,
                    check_same_thread=False,
                    uri=True,
                )
                self.next_seq("")
            except (sqlite3.Error, SinkError) as error:
                self.close()
                unreadable = error
            else:
                return
        raise SinkError(f"{self._path}: the disk is full and results cannot be read") from unreadable

    def next_seq(self, source: str) -> int:
        """The number after the last clip of a source in the database; SinkError when it cannot be read."""
        if self._connection is None:
            raise SinkError(f"{self._path}: read before it was opened, or after it was closed")
        try:
            (last,) = self._connection.execute(LAST, (source,)).fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return 0 if last is None else int(last) + 1

    def write(self, records: Sequence[Spooled]) -> None:
        """Write all of them or none: RecordsRefused where the database will never take one of them,
        SinkError where it does not now, or is no longer at its path. Blocks for at most `BUSY_S` while
        somebody else writes."""
        if self._connection is None:
            raise SinkError(f"{self._path}: written to before it was opened, or after it was closed")
        self._require_unmoved()
        try:
            rows = [row(record) for record in records]
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(INSERT, rows)
        except REFUSALS as error:
            raise RecordsRefused(f"{self._path}: not a row of results ({error})") from error
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._require_unmoved()

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != VERSION and (version or tables):
            raise ConfigError("another schema")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if not version:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(TABLE)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        connection.execute(INDEX)

    def _require_unmoved(self) -> None:
        with suppress(OSError):
            if self._file is not None and os.path.samestat(self._file, self._path.stat()):
                return
        raise SinkError(f"{self._path}: the database was moved or removed")

    def _failed(self, error: Exception) -> SinkError:
        why = error.strerror if isinstance(error, OSError) else str(error)
        kind = NoRoom if getattr(error, "sqlite_errorcode", 0) & 0xFF in NO_ROOM else SinkError
        return kind(f"{self._path}: results cannot be written ({why})")


def row(record: Spooled) -> tuple[str | int | float | None, ...]:
    """One record as the values of the table's columns, the whole of it as JSON in the last; any of
    LookupError, TypeError, AttributeError or ValueError where it is not a record of a clip."""
    fields = record.fields
    best = fields["predictions"][0] if fields["predictions"] else {}
    values = (
        fields["clip_id"],
        fields["source"],
        fields["seq"],
        fields["status"],
        fields["start_s"],
        fields["end_s"],
        best.get("class"),
        best.get("confidence"),
        fields["latency_ms"].get("total"),
        fields["model"],
        record.line.decode().rstrip("\n"),
    )
    if any(isinstance(value, list | dict) for value in values):
        raise TypeError("a column holds one value")
    return values
