"""Records in a SQLite database: one table, one row a clip."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ConfigError, SinkError
from pipeline.items import Prediction
from sinks.record import to_line

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
INSERT = "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteSink:
    """Writes each record in a transaction of its own, in WAL mode, so that others may read meanwhile.

    A later record of the same clip replaces the earlier. Survives a kill; a power cut may take
    the last records, never the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or make the database; ConfigError for a file that is something else."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._prepare(self._connection)
        except (OSError, sqlite3.OperationalError) as error:
            self.close()
            raise self._failed(error) from error
        except (sqlite3.DatabaseError, ConfigError):
            self.close()
            raise ConfigError(
                f"{self._path}: not a database of results, version {VERSION}; choose another file"
            ) from None

    def next_seq(self, source: str) -> int:
        """The number after the last clip of a source in the database; SinkError when it cannot be read."""
        if self._connection is None:
            raise SinkError(f"{self._path}: read before it was opened, or after it was closed")
        try:
            (last,) = self._connection.execute(LAST, (source,)).fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return 0 if last is None else int(last) + 1

    def write(self, prediction: Prediction) -> None:
        """Write one record; SinkError, with nothing written, when the database refuses."""
        if self._connection is None:
            raise SinkError(f"{self._path}: written to before it was opened, or after it was closed")
        try:
            self._connection.execute(INSERT, row(prediction))
        except sqlite3.Error as error:
            raise self._failed(error) from error

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

    def _failed(self, error: Exception) -> SinkError:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return SinkError(f"{self._path}: results cannot be written ({why})")


def row(prediction: Prediction) -> tuple[str | int | float | None, ...]:
    """One record as the values of the table's columns, the whole of it as JSON in the last."""
    best = prediction.classes[0] if prediction.classes else None
    return (
        prediction.clip_id,
        prediction.source,
        prediction.seq,
        str(prediction.status),
        prediction.start_s,
        prediction.end_s,
        best.name if best else None,
        best.confidence if best else None,
        prediction.latency_ms.get("total"),
        prediction.model,
        to_line(prediction).decode("ascii").rstrip("\n"),
    )
