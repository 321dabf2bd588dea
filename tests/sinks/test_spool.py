import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.clock import ManualClock
from pipeline.errors import SinkError
from sinks.segments import Segment
from sinks.spool import SEGMENTS, Spool
from sinks.tail import Tail

ROOMY = 1_000_000


def small(seq: int) -> bytes:
    return b'{"clip_id": "cam/%06d", "seq": %6d}\n' % (seq, seq)


def opened(folder: Path, max_bytes: int = ROOMY, clock: ManualClock | None = None) -> Spool:
    spool = Spool(folder, max_bytes, clock or ManualClock())
    spool.open()
    return spool


def drain(spool: Spool, most: int = 7) -> list[int]:
    """The numbers of all records in the spool, each acknowledged."""
    seqs = []
    while parcel := spool.read(most):
        seqs += [record.fields["seq"] for record in parcel.records]
        assert spool.acknowledge(parcel)
    return seqs


def torn_write(fd: int, line: bytes) -> None:
    os.write(fd, line[:5])
    raise OSError(errno.ENOSPC, "No space left on device")


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.ndjson"))


class Spooling(RuleBasedStateMachine):
    """Whatever happens in whatever order, records come out in order, none is missing unless it was
    given up, and none that is acknowledged comes back unless the acknowledgement was lost. A full disk
    changes none of it."""

    @initialize(most=st.sampled_from([400, 1000, 5000, ROOMY]))
    def begin(self, most: int) -> None:
        self.home = TemporaryDirectory()
        self.most = most
        self.spool = opened(Path(self.home.name), most)
        self.appended = self.acknowledged = self.seen = self.lost = 0
        self.parcel = None
        self.turned = pytest.MonkeyPatch()

    @rule(full=st.booleans())
    def fill_the_disk(self, full: bool) -> None:
        self.turned.undo()
        if full:
            self.turned.setattr("sinks.spool.write_all", torn_write)

    @rule(count=st.integers(1, 20))
    def append(self, count: int) -> None:
        for seq in range(self.appended, self.appended + count):
            self.spool.append(small(seq))
        self.appended += count

    @rule(most=st.integers(1, 12))
    def read(self, most: int) -> None:
        self.parcel = self.spool.read(most)
        if self.parcel is None:
            assert self.spool.waiting == 0
            return
        seqs = [record.fields["seq"] for record in self.parcel.records]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert seqs[0] == self.acknowledged + self.lost + self.spool.given_up

    @precondition(lambda self: self.parcel is not None)
    @rule()
    def acknowledge(self) -> None:
        if self.spool.acknowledge(self.parcel):
            self.acknowledged += len(self.parcel.records)
        self.parcel = None

    @rule(torn=st.binary(max_size=30), crash=st.booleans())
    def restart(self, torn: bytes, crash: bool) -> None:
        self.turned.undo()
        if crash and not self.spool.in_memory:
            self.die(torn)
        else:
            self.spool.close()
        self.lost += self.spool.given_up
        self.spool = opened(Path(self.home.name), self.most)
        self.parcel = None

    def die(self, torn: bytes) -> None:
        for fd in (self.spool._fd, self.spool._lock_fd):
            os.close(fd)
        last = max(Path(self.home.name).glob("*.ndjson"))
        with last.open("ab") as file:
            file.write(torn.replace(b"\n", b"") + b"\n" * (torn[:1] > b"a"))

    @invariant()
    def the_books_balance_and_the_disk_is_bounded(self) -> None:
        gone = self.acknowledged + self.lost + self.spool.given_up
        assert self.spool.waiting == self.appended - gone
        assert on_disk(Path(self.home.name)) <= self.most

    def teardown(self) -> None:
        self.turned.undo()
        gone = self.acknowledged + self.lost + self.spool.given_up
        assert drain(self.spool) == list(range(gone, self.appended))
        self.spool.close()
        self.home.cleanup()


TestSpooling = Spooling.TestCase
TestSpooling.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_reading_again_gives_the_same_until_it_is_acknowledged(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for seq in range(3):
        spool.append(small(seq))
    first = spool.read(2)
    assert spool.read(2) == first
    assert spool.acknowledge(first)
    assert not spool.acknowledge(first)
    assert drain(spool) == [2]


def test_what_was_acknowledged_does_not_come_back_in_the_next_run(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for seq in range(5):
        spool.append(small(seq))
    spool.acknowledge(spool.read(3))
    spool.close()
    assert drain(opened(tmp_path)) == [3, 4]


def test_a_segment_that_a_crash_kept_from_being_removed_is_not_sent_again(tmp_path: Path) -> None:
    spool = opened(tmp_path, len(small(0)) * 80)
    for seq in range(25):
        spool.append(small(seq))
    delivered = Segment(1).path(tmp_path).read_bytes()
    spool.acknowledge(spool.read(10))
    spool.close()
    assert not Segment(1).path(tmp_path).exists()
    Segment(1).path(tmp_path).write_bytes(delivered)
    assert drain(opened(tmp_path)) == list(range(10, 25))
    assert not Segment(1).path(tmp_path).exists()


def test_a_full_spool_gives_up_its_oldest_eighth_and_stays_within_its_bytes(tmp_path: Path) -> None:
    spool = opened(tmp_path, len(small(0)) * 80)
    for seq in range(81):
        spool.append(small(seq))
    assert spool.given_up == 80 // SEGMENTS
    assert on_disk(tmp_path) <= len(small(0)) * 80
    assert drain(spool) == list(range(10, 81))


def test_an_acknowledgement_of_what_was_given_up_meanwhile_counts_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path, len(small(0)) * 80)
    for seq in range(80):
        spool.append(small(seq))
    parcel = spool.read(5)
    spool.append(small(80))
    assert not spool.acknowledge(parcel)
    assert spool.given_up + len(drain(spool)) == 81


def test_a_record_larger_than_a_segment_is_given_up_alone(tmp_path: Path) -> None:
    spool = opened(tmp_path, 8000)
    spool.append(small(0))
    spool.append(b'{"clip_id": "%s"}\n' % (b"x" * 1000))
    spool.append(small(1))
    assert spool.given_up == 1
    assert drain(spool) == [0, 1]


def test_delivered_segments_leave_the_disk_and_an_empty_spool_leaves_none(tmp_path: Path) -> None:
    spool = opened(tmp_path, 8000)
    for seq in range(100):
        spool.append(small(seq))
    before = on_disk(tmp_path)
    parcel = spool.read(60)
    spool.acknowledge(parcel)
    assert on_disk(tmp_path) < before
    drain(spool)
    spool.close()
    assert on_disk(tmp_path) == 0
    again = opened(tmp_path)
    again.append(small(7))
    assert drain(again) == [7]


def test_broken_lines_in_the_middle_are_given_up_and_hold_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for seq in range(6):
        spool.append(small(seq))
    spool.close()
    path = Segment(1).path(tmp_path)
    path.write_bytes(path.read_bytes().replace(small(0), b"\0" * (len(small(0)) - 1) + b"\n"))
    path.write_bytes(path.read_bytes().replace(small(3), b"#" * (len(small(3)) - 1) + b"\n"))
    spool = opened(tmp_path)
    assert drain(spool, most=1) == [1, 2, 4, 5]
    assert spool.given_up == 2


def test_a_segment_that_somebody_removed_is_given_up(tmp_path: Path) -> None:
    spool = opened(tmp_path, len(small(0)) * 80)
    for seq in range(25):
        spool.append(small(seq))
    Segment(1).path(tmp_path).unlink()
    assert drain(spool) == list(range(10, 25))
    assert spool.given_up == 10
    spool.append(small(25))
    Segment(3).path(tmp_path).unlink()
    assert drain(spool) == []
    spool.append(small(26))
    assert drain(spool) == [26]


def test_a_segment_that_somebody_emptied_is_given_up(tmp_path: Path) -> None:
    spool = opened(tmp_path, len(small(0)) * 80)
    for seq in range(15):
        spool.append(small(seq))
    Segment(1).path(tmp_path).write_bytes(b"")
    assert drain(spool) == list(range(10, 15))
    assert (spool.given_up, spool.waiting) == (10, 0)


def test_a_position_in_the_middle_of_a_record_sends_the_segment_again(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for seq in range(3):
        spool.append(small(seq))
    spool.close()
    (tmp_path / "position").write_text("1 10")
    assert drain(opened(tmp_path)) == [0, 1, 2]


def test_the_disk_is_told_to_keep_records_once_in_a_while_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[float] = []
    clock = ManualClock()
    spool = opened(tmp_path, clock=clock)
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(clock.now()))
    for seq in range(10):
        clock.advance(0.25)
        spool.append(small(seq))
    spool.close()
    assert synced == [1.0, 2.0, 2.5]


@pytest.mark.parametrize("how", ["taken", "given up", "closed", "left by a kill"])
def test_whoever_asks_is_told_before_records_leave_the_disk_and_may_keep_them_there(tmp_path, how):
    told: list[bool] = []
    first = Segment(1).path(tmp_path)

    def tell() -> None:
        told.append(first.exists())
        raise OSError("no room")

    spool = opened(tmp_path, len(small(0)) * 80)
    spool.before_removal = tell
    for seq in range({"closed": 1, "given up": 81}.get(how, 15)):
        spool.append(small(seq))
    if how != "given up":
        drain(spool)
    spool.close()
    if how == "left by a kill":
        told.clear()
        spool = Spool(tmp_path, ROOMY, ManualClock())
        spool.before_removal = tell
        spool.open()
        spool.close()
    assert told
    assert all(told)
    assert first.exists()
    spool = opened(tmp_path)
    drain(spool)
    spool.close()
    assert not first.exists()


def test_two_runs_do_not_share_a_spool(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(SinkError, match="another run is using this spool"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="file/spool: cannot be used"):
        opened(tmp_path / "file" / "spool")


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.close()
    with pytest.raises(SinkError, match="after it was closed"):
        spool.append(small(0))


@pytest.fixture
def limited_files() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = len(small(0)) * 5 // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_refuses_a_record_as_a_whole_and_takes_it_once_there_is_room(
    tmp_path: Path, limited_files: int
) -> None:
    spool = opened(tmp_path)
    for seq in range(4):
        spool.append(small(seq))
    assert (spool.waiting, spool.in_memory) == (4, 2)
    assert spool.refusal == f"{tmp_path}: records cannot be spooled (File too large)"
    assert on_disk(tmp_path) == 2 * len(small(0))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    spool.append(small(4))
    assert (spool.waiting, spool.in_memory, spool.refusal) == (5, 0, None)
    assert on_disk(tmp_path) == 5 * len(small(0))
    assert drain(spool) == [0, 1, 2, 3, 4]


def test_records_pass_a_full_disk_by_and_the_numbers_are_kept(tmp_path, limited_files):
    told: list[int] = []
    spool = opened(tmp_path)
    spool.before_removal = lambda: told.append(spool._taken)
    for seq in range(9):
        spool.append(small(seq))
    assert drain(spool, most=3) == list(range(9))
    assert len(told) == 3
    assert (spool.waiting, spool.in_memory) == (0, 0)


def test_memory_that_is_full_too_refuses_and_loses_nothing_that_it_took(tmp_path, limited_files):
    spool = opened(tmp_path)
    spool._tail = Tail(len(small(0)))
    for seq in range(3):
        spool.append(small(seq))
    for _ in range(2):
        with pytest.raises(SinkError, match="cannot be spooled"):
            spool.append(small(3))
    assert drain(spool) == [0, 1, 2]


@pytest.mark.parametrize("room", [True, False])
def test_at_the_end_memory_goes_to_the_disk_if_it_can(tmp_path, room):
    spool = opened(tmp_path)
    with pytest.MonkeyPatch.context() as full:
        full.setattr("sinks.spool.write_all", torn_write)
        for seq in range(3):
            spool.append(small(seq))
        if not room:
            spool.close()
    spool.close()
    assert spool.in_memory == (0 if room else 3)
    assert drain(opened(tmp_path)) == ([0, 1, 2] if room else [])


def test_numbers_that_could_not_be_kept_in_time_are_kept_at_the_end(tmp_path):
    told = []

    def tell() -> None:
        told.append(len(told))
        if len(told) == 1:
            raise OSError("no room")

    spool = opened(tmp_path)
    spool.before_removal = tell
    with pytest.MonkeyPatch.context() as full:
        full.setattr("sinks.spool.write_all", torn_write)
        spool.append(small(0))
        assert drain(spool) == [0]
    spool.append(small(1))
    spool.close()
    assert told == [0, 1]


WRITER = """
import sys
from itertools import count
from pathlib import Path
from pipeline.clock import SystemClock
from sinks.record import to_line
from sinks.spool import Spool
from tests.sinks.samples import numbered
spool = Spool(Path(sys.argv[1]), 1 << 30, SystemClock())
spool.open()
for seq in count(int(sys.argv[2])):
    spool.append(to_line(numbered(seq)))
    print(seq, flush=True)
"""


def test_killed_at_any_moment_nothing_that_was_spooled_is_lost(tmp_path: Path) -> None:
    spooled = -1
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(spooled + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(60):
                spooled = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            spooled = int((process.stdout.read().split() or [spooled])[-1])
        spool = opened(tmp_path)
        waiting = spool.waiting
        spool.close()
        assert waiting in (spooled + 1, spooled + 2)
        spooled = waiting - 1
    spool = opened(tmp_path)
    assert drain(spool, most=50) == list(range(waiting))


@given(st.data())
def test_a_spool_cut_anywhere_opens_with_all_whole_records_before_the_cut(data: st.DataObject) -> None:
    lines = [small(seq) for seq in range(8)]
    cut = data.draw(st.integers(0, len(b"".join(lines))))
    with TemporaryDirectory() as home:
        spool = opened(Path(home))
        for line in lines:
            spool.append(line)
        spool.close()
        os.truncate(Segment(1).path(Path(home)), cut)
        whole = sum(len(b"".join(lines[: seq + 1])) <= cut for seq in range(8))
        spool = opened(Path(home))
        assert drain(spool) == list(range(whole))
        assert spool.cut_bytes == cut - len(b"".join(lines[:whole]))
