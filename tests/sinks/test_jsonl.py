import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, SinkError
from sinks.jsonl import JsonlSink
from sinks.record import to_line
from tests.sinks.samples import numbered


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "out.jsonl"


def write(sink: JsonlSink, *seqs: int) -> None:
    sink.open()
    for seq in seqs:
        sink.write(numbered(seq))
    sink.close()


def seqs(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


def test_records_are_appended_one_line_each(path: Path) -> None:
    write(JsonlSink(path), 0, 1, 2)
    assert path.read_bytes() == b"".join(to_line(numbered(seq)) for seq in range(3))


def test_each_record_is_one_write_to_the_system(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or real(fd, data))
    write(JsonlSink(path), 0, 1)
    assert sizes == [len(to_line(numbered(0))), len(to_line(numbered(1)))]


def test_a_record_is_in_the_file_before_write_returns(path: Path) -> None:
    sink = JsonlSink(path)
    sink.open()
    sink.write(numbered(0))
    assert seqs(path) == [0]
    sink.close()


def test_a_file_with_results_is_not_touched_unasked(path: Path) -> None:
    write(JsonlSink(path), 0)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"--resume .* --overwrite"):
        JsonlSink(path).open()
    assert path.read_bytes() == before


def test_overwrite_begins_anew(path: Path) -> None:
    write(JsonlSink(path), 0, 1)
    write(JsonlSink(path, overwrite=True), 7)
    assert seqs(path) == [7]


def test_resume_tells_what_is_done_and_goes_on_behind_it(path: Path) -> None:
    write(JsonlSink(path, resume=True), 0, 1)
    sink = JsonlSink(path, resume=True)
    write(sink, 2)
    assert list(sink.done) == ["abseiling/000000", "abseiling/000001"]
    assert sink.cut_bytes == 0
    assert seqs(path) == [0, 1, 2]


@pytest.mark.parametrize("tail", [to_line(numbered(9))[:-1], to_line(numbered(9))[:20], b"\0" * 4096])
def test_resume_mends_a_torn_end(path: Path, tail: bytes) -> None:
    write(JsonlSink(path), 0, 1)
    with path.open("ab") as file:
        file.write(tail)
    sink = JsonlSink(path, resume=True)
    write(sink, 2)
    assert sink.cut_bytes == len(tail)
    assert seqs(path) == [0, 1, 2]


def test_resume_leaves_a_file_alone_that_it_cannot_read(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"dear diary\n")
    with pytest.raises(SinkError, match="not a file of results"):
        JsonlSink(path, resume=True).open()
    assert path.read_bytes() == b"dear diary\n"


def test_resume_and_overwrite_exclude_each_other(path: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        JsonlSink(path, resume=True, overwrite=True)


@pytest.mark.parametrize("ask", [{}, {"resume": True}, {"overwrite": True}])
def test_only_one_run_at_a_time_writes_to_a_file(path: Path, ask: dict[str, bool]) -> None:
    first = JsonlSink(path)
    first.open()
    first.write(numbered(0))
    with pytest.raises(SinkError, match="another run"):
        JsonlSink(path, **ask).open()
    assert seqs(path) == [0]
    first.close()
    write(JsonlSink(path, resume=True), 1)


def test_a_refused_open_lets_go_of_the_lock(path: Path) -> None:
    write(JsonlSink(path), 0)
    refused = JsonlSink(path)
    with pytest.raises(ConfigError):
        refused.open()
    write(JsonlSink(path, resume=True), 1)


@pytest.fixture
def full_disk() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = len(to_line(numbered(0))) * 5 // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_leaves_whole_lines_and_names_the_file(path: Path, full_disk: int) -> None:
    sink = JsonlSink(path)
    sink.open()
    sink.write(numbered(0))
    sink.write(numbered(1))
    with pytest.raises(SinkError, match=r"out.jsonl: results cannot be written"):
        sink.write(numbered(2))
    assert seqs(path) == [0, 1]
    sink.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_one_clear_error() -> None:
    sink = JsonlSink("/dev/full")
    sink.open()
    with pytest.raises(SinkError, match=r"/dev/full.*space"):
        sink.write(numbered(0))
    sink.close()


def test_a_folder_or_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="directory"):
        JsonlSink(tmp_path).open()
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be written"):
        JsonlSink(tmp_path / "file" / "out.jsonl").open()


def test_writing_to_a_closed_sink_is_an_error(path: Path) -> None:
    sink = JsonlSink(path)
    write(sink, 0)
    with pytest.raises(SinkError, match="after it was closed"):
        sink.write(numbered(1))


def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    write(JsonlSink("-"), 4)
    assert json.loads(capfd.readouterr().out)["seq"] == 4
    print("still open")
    assert capfd.readouterr().out == "still open\n"


WRITER = """
import sys
from itertools import count
from sinks.jsonl import JsonlSink
from tests.sinks.samples import numbered
sink = JsonlSink(sys.argv[1], resume=True)
sink.open()
for seq in count(len(sink.done)):
    sink.write(numbered(seq))
    if seq % 50 == 49:
        print(seq, flush=True)
"""


def test_killed_and_resumed_the_file_holds_every_record_once(path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    sink = JsonlSink(path, resume=True)
    sink.open()
    sink.close()
    assert len(sink.done) >= 150
    assert seqs(path) == list(range(len(sink.done)))


def test_a_file_tells_where_each_source_went_up_to_and_a_new_one_that_none_has_begun(path: Path) -> None:
    write(JsonlSink(path), 0, 1, 5)
    for resume, number in ((True, 6), (False, 0)):
        sink = JsonlSink(path, resume=resume, overwrite=not resume)
        sink.open()
        assert (sink.next_seq("abseiling"), sink.next_seq("door")) == (number, 0)
        sink.close()
