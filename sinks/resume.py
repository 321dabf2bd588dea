"""What an earlier run has already written."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pipeline.errors import SinkError
from pipeline.items import Status
from sinks.record import SCHEMA

MAX_LINE_BYTES = 1 << 20
BEGINNING = f'{{"schema": {SCHEMA},'.encode()


@dataclass(frozen=True, slots=True)
class DoneClip:
    """A clip that already has its record."""

    start_s: float
    status: Status


@dataclass(slots=True)
class Written:
    """Records found: `done` by clip_id (a later record of the same clip counts), the clip_ids found
    more than once, the models that made them, the number after the last clip of each source, and the
    bytes up to which the file is sound."""

    done: dict[str, DoneClip] = field(default_factory=dict)
    duplicates: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    next_seq: dict[str, int] = field(default_factory=dict)
    sound_bytes: int = 0


def read_written(file: BinaryIO, name: str) -> Written:
    """Read records line by line from the start of `file`, holding one line at a time.

    What follows the last record, a half-written line or what a crash left there, is not counted
    in `sound_bytes`. Raises SinkError for a broken line with a record behind it, for a record of
    another format, and for a file that does not begin like a results file.
    """
    written = Written()
    broken = end = 0
    for number, line in _lines(file):
        end += len(line)
        record = _parse(line)
        if record is None:
            broken = broken or number
            if not written.done and not _torn(line):
                raise SinkError(f"{name}: not a file of results (line {number}); choose another output file")
            continue
        if broken:
            raise SinkError(f"{name}: line {broken} is broken; mend or remove that line, then resume")
        _take(written, record, f"{name}: line {number}")
        written.sound_bytes = end
    return written


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; one longer than any record comes in pieces, none of which parses."""
    number = 1
    while line := file.readline(MAX_LINE_BYTES):
        yield number, line
        number += line.endswith(b"\n")


def _torn(line: bytes) -> bool:
    """Whether a file's first line may be what is left of a record."""
    return line[: len(BEGINNING)] == BEGINNING[: len(line)] or not line.strip(b"\0\n")


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _take(written: Written, record: dict[str, Any], where: str) -> None:
    if record.get("schema") != SCHEMA:
        raise SinkError(f"{where} is of schema {record.get('schema')!r}, not {SCHEMA}; choose another output")
    try:
        clip_id, model = str(record["clip_id"]), str(record["model"])
        source, seq = str(record["source"]), int(record["seq"])
        clip = DoneClip(float(record["start_s"]), Status(record["status"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SinkError(f"{where} is not a record of a clip ({error!r}); choose another output") from error
    if clip_id in written.done:
        written.duplicates.add(clip_id)
    written.done[clip_id] = clip
    written.next_seq[source] = max(seq + 1, written.next_seq.get(source, 0))
    if model:
        written.models.add(model)
