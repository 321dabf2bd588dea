"""Nothing that was handed to a database is lost, however it fails and however runs end meanwhile."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pipeline.errors import SinkError
from sinks.database import Database
from tests.sinks.databases import locked, opened, run, seqs_in
from tests.sinks.samples import numbered

SOURCE = numbered(0).source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


class TurnedDatabase(Database):
    """Works, or fails in the way that a test turns."""

    way = "works"

    def write(self, records):
        if self.way == "refuses":
            raise SinkError("results.db: not now")
        pages = "(SELECT * FROM pragma_page_count)" if self.way == "full" else "1000000"
        (most,) = self._connection.execute(f"SELECT {pages}").fetchone()
        self._connection.execute(f"PRAGMA max_page_count = {most}")
        super().write(records)
        if self.way == "breaks behind":
            raise SinkError("results.db: written, but who knows")


class Writing(RuleBasedStateMachine):
    """However a database fails, and however runs end meanwhile, each record is one row at last, and no
    run uses a number twice."""

    @initialize()
    def begin(self) -> None:
        self.home = TemporaryDirectory()
        self.path = Path(self.home.name) / "results.db"
        self.turned = pytest.MonkeyPatch()
        self.turned.setattr("sinks.database.BUSY_S", 0.001)
        self.turned.setattr("sinks.sqlite.Database", TurnedDatabase)
        self.written = 0
        self.lock: sqlite3.Connection | None = None
        self.sink = opened(self.path, grace_s=0.0)

    @rule(count=st.integers(1, 20))
    def write(self, count: int) -> None:
        for seq in range(self.written, self.written + count):
            self.sink.write(numbered(seq))
        self.written += count

    @rule(way=st.sampled_from(["works", "refuses", "full", "breaks behind"]))
    def turn(self, way: str) -> None:
        TurnedDatabase.way = way

    @precondition(lambda self: self.lock is None)
    @rule()
    def lock_it(self) -> None:
        self.lock = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        self.lock.execute("BEGIN IMMEDIATE")

    @precondition(lambda self: self.lock is not None)
    @rule()
    def unlock_it(self) -> None:
        self.lock.close()
        self.lock = None

    @precondition(lambda self: self.lock is None and TurnedDatabase.way == "works")
    @rule()
    def arrive(self) -> None:
        while self.sink.statistics().spooled:
            time.sleep(0.001)
        assert seqs_in(self.path) == list(range(self.written))

    @rule(grace_s=st.sampled_from([0.0, 0.02]), killed=st.booleans(), torn=st.binary(max_size=30))
    def start_anew(self, grace_s: float, killed: bool, torn: bytes) -> None:
        if killed:
            self.die(torn.replace(b"\n", b""))
        else:
            self.sink.close()
        self.sink = opened(self.path, grace_s=grace_s)
        assert self.sink.next_seq(SOURCE) == self.written

    def die(self, torn: bytes) -> None:
        spool = self.sink._spool
        self.sink._grace_s = 0.0
        self.sink._on_loop(self.sink._closing.set)
        self.sink._thread.join()
        for fd in (spool._fd, spool._lock_fd):
            os.close(fd)
        with max(spool.folder.glob("*.ndjson")).open("ab") as file:
            file.write(torn)

    def teardown(self) -> None:
        TurnedDatabase.way = "works"
        if self.lock is not None:
            self.lock.close()
        self.sink.close()
        run(self.path)
        assert seqs_in(self.path) == list(range(self.written))
        self.turned.undo()
        self.home.cleanup()


TestWriting = Writing.TestCase
TestWriting.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


WRITER = """
import sys
from itertools import count
from pathlib import Path
from pipeline.clock import SystemClock
from sinks.spool import Spool
from sinks.sqlite import SqliteSink
from tests.sinks.samples import numbered
path, clock = Path(sys.argv[1]), SystemClock()
sink = SqliteSink(path, Spool(path.parent / "spool", 1 << 30, clock), clock)
sink.open()
for seq in count(sink.next_seq("abseiling")):
    sink.write(numbered(seq))
    print(seq, flush=True)
"""


def killed_after(path: Path, records: int) -> list[int]:
    """The numbers that a process wrote before it was killed."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = [int(process.stdout.readline()) for _ in range(records)]
        process.send_signal(signal.SIGKILL)
        return first + [int(line) for line in process.stdout.read().splitlines()]


def test_killed_again_and_again_while_the_database_is_locked_nothing_is_lost_and_numbers_go_on(path):
    run(path, 0, 1, 2)
    written = 3
    with locked(path):
        for _ in range(2):
            seqs = killed_after(path, 40)
            assert seqs[0] in (written, written + 1)
            written = seqs[-1] + 1
        assert seqs_in(path) == [0, 1, 2]
    sink = opened(path)
    ahead = sink.next_seq(SOURCE)
    assert ahead in (written, written + 1)
    sink.close()
    assert seqs_in(path) == list(range(ahead))


def test_killed_while_it_writes_nothing_is_lost_and_numbers_go_on(path):
    written = 0
    for _ in range(2):
        seqs = killed_after(path, 100)
        assert seqs[0] in (written, written + 1)
        written = seqs[-1] + 1
    run(path)
    assert len(seqs_in(path)) in (written, written + 1)
