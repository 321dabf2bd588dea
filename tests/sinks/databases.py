"""Runs that write to a database, and somebody who locks it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.clock import SystemClock
from sinks.outage import Outage
from sinks.spool import Spool
from sinks.sqlite import SqliteSink
from tests.sinks.samples import numbered, rows

LONG_S = 3600.0


def sink_of(
    path: Path, grace_s: float = LONG_S, max_bytes: int = 4_000_000, spool: str = "spool"
) -> SqliteSink:
    clock = SystemClock()
    return SqliteSink(
        path, Spool(path.parent / spool, max_bytes, clock), clock, grace_s, Outage(0.001, 0.002)
    )


def opened(path: Path, *arguments, **keywords) -> SqliteSink:
    sink = sink_of(path, *arguments, **keywords)
    sink.open()
    return sink


def run(path: Path, *seqs: int, **keywords) -> SqliteSink:
    """A run that writes these records."""
    sink = opened(path, **keywords)
    for seq in seqs:
        sink.write(numbered(seq))
    sink.close()
    return sink


def seqs_in(path: Path) -> list[int]:
    """The numbers of all rows."""
    return [seq for (seq,) in rows(path, "seq")]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A database that exists and that somebody else writes to all the time."""
    opened(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()
