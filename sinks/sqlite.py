"""Records to a SQLite database, and to a spool while that is locked or its disk is full."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.lowlevel

from pipeline.clock import Clock
from pipeline.errors import ConfigError, JanusError, SinkError
from sinks.database import Database, NoRoom
from sinks.outage import Outage
from sinks.segments import Spooled
from sinks.spool import Spool
from sinks.spooled import SpooledSink

MOST_RECORDS = 500


class SqliteRemote:
    """A database that is there already; up to `MOST_RECORDS` records are one transaction."""

    greets = True
    most_records = MOST_RECORDS

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def tell(self, source: str, state: str) -> None:
        """A database holds clips only."""

    @asynccontextmanager
    async def session(self) -> AsyncGenerator["SqliteSession", None]:
        database = Database(self._path)
        try:
            database.open(make=False)
        except ConfigError as error:
            raise SinkError(str(error)) from None
        try:
            yield SqliteSession(database)
        finally:
            database.close()


class SqliteSession:
    """One connection. It blocks its event loop, which is the courier's own, no longer than a lock is
    waited for, and lets it run between two parcels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, records: Sequence[Spooled]) -> None:
        """Write all of them in one transaction; RecordsRefused or SinkError, with none written."""
        await anyio.lowlevel.checkpoint()
        self._database.write(records)

    async def lost(self) -> None:
        """A database that cannot be written to shows when it is."""
        await anyio.sleep_forever()


class SqliteSink(SpooledSink):
    """Records in a database, in `spool` while it cannot be written to.

    `open()` makes the database and raises ConfigError for a file that is something else; one that is there
    already may be on a full disk. `next_seq()` counts the database's clips, too.
    """

    def __init__(
        self, path: Path, spool: Spool, clock: Clock, grace_s: float = 5.0, outage: Outage | None = None
    ) -> None:
        super().__init__(spool, SqliteRemote(path), clock, grace_s, outage)
        self._database = Database(path)

    def open(self) -> None:
        """Open the database and the spool, and start to write."""
        try:
            self._open_database()
            self._open_spool()
        except JanusError:
            self._let_go()
            raise
        self._start()

    def next_seq(self, source: str) -> int:
        """The number after a source's last clip in the database, or that ever was in the spool."""
        return max(self._database.next_seq(source), super().next_seq(source))

    def close(self) -> None:
        """Write what waits while the grace lasts, and say what stays."""
        super().close()
        self._let_go()

    def _open_database(self) -> None:
        try:
            self._database.open()
        except NoRoom:
            self._database.open_to_read()

    def _let_go(self) -> None:
        self._spool.close()
        self._database.close()
