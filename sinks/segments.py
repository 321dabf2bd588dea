"""The files of a spool: numbered segments of NDJSON, and the position up to which they were taken."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from sinks.resume import MAX_LINE_BYTES

SUFFIX = ".ndjson"
POSITION = "position"
MOST_SEQ = 1 << 53


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place between two records: byte `offset` of a segment."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """One record as it lies in a spool: its line, newline included, and what that line says."""

    line: bytes
    fields: dict[str, Any]


@dataclass(slots=True)
class Segment:
    """One file of a spool: its number, and how many bytes and records are in it."""

    number: int
    num_bytes: int = 0
    records: int = 0

    def path(self, folder: Path) -> Path:
        """Where it lies in `folder`; names sort like numbers."""
        return folder / f"{self.number:016d}{SUFFIX}"

    @property
    def end(self) -> Position:
        """The place behind its last record."""
        return Position(self.number, self.num_bytes)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Records to hand over at once, and the positions around them; `num_lines` counts broken ones too."""

    records: tuple[Spooled, ...]
    start: Position
    end: Position
    num_lines: int


def parse(line: bytes) -> Spooled | None:
    """The record on a whole line; None for anything else."""
    if not line.endswith(b"\n"):
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return Spooled(line, fields) if isinstance(fields, dict) and "clip_id" in fields else None


def lines_from(path: Path, offset: int, end: int) -> Iterator[bytes]:
    """The lines between two bytes of a file, one at a time; one longer than any record comes in pieces."""
    with path.open("rb") as file:
        file.seek(offset)
        while offset < end and (line := file.readline(min(MAX_LINE_BYTES, end - offset))):
            offset += len(line)
            yield line


def find_segments(folder: Path) -> list[Segment]:
    """The segments in `folder`, oldest first, their records counted and nothing changed."""
    numbers = sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())
    return [_measured(Segment(number), folder) for number in numbers]


def records_before(path: Path, offset: int) -> int | None:
    """How many records end at or before `offset`; None where no record ends exactly there."""
    line, records = b"\n", 0
    for line in lines_from(path, 0, offset):
        records += line.endswith(b"\n")
    return records if line.endswith(b"\n") else None


def is_seq(value: object) -> TypeGuard[int]:
    """Whether this can be the number of a clip."""
    return type(value) is int and 0 <= value < MOST_SEQ


def last_seqs(folder: Path) -> dict[str, int]:
    """The highest number of each source among the records in `folder`, taken or not."""
    last: dict[str, int] = {}
    for segment in find_segments(folder):
        for line in lines_from(segment.path(folder), 0, segment.num_bytes):
            fields = record.fields if (record := parse(line)) else {}
            source, seq = fields.get("source"), fields.get("seq")
            if isinstance(source, str) and is_seq(seq):
                last[source] = max(seq, last.get(source, seq))
    return last


def read_parcel(
    folder: Path, segment: Segment, start: Position, most_records: int, most_bytes: int
) -> Parcel | None:
    """Records from `start` on, at least one however large; none where all lines are broken, and None
    where the file ends before it should."""
    records: list[Spooled] = []
    offset, num_lines = start.offset, 0
    for line in lines_from(segment.path(folder), start.offset, segment.num_bytes):
        if records and offset + len(line) - start.offset > most_bytes:
            break
        offset += len(line)
        num_lines += line.endswith(b"\n")
        if (record := parse(line)) is not None:
            records.append(record)
        if len(records) == most_records:
            break
    if offset == start.offset:
        return None
    return Parcel(tuple(records), start, Position(segment.number, offset), num_lines)


def cut_tail(segment: Segment, folder: Path) -> int:
    """Cut what a crash left behind the last whole record; returns how many bytes that were."""
    path, sound, at, records = segment.path(folder), 0, 0, 0
    sound_records = 0
    for line in lines_from(path, 0, segment.num_bytes):
        at += len(line)
        records += line.endswith(b"\n")
        if parse(line) is not None:
            sound, sound_records = at, records
    cut = segment.num_bytes - sound
    if cut:
        os.truncate(path, sound)
        segment.num_bytes, segment.records = sound, sound_records
    return cut


def read_position(folder: Path) -> Position:
    """The position kept in `folder`; the very beginning where none is or it cannot be understood."""
    try:
        number, offset = (folder / POSITION).read_text("ascii").split()
        return Position(max(0, int(number)), max(0, int(offset)))
    except (OSError, ValueError):
        return Position(0, 0)


def keep_position(folder: Path, position: Position) -> None:
    """Replace the position kept in `folder` in one step; raises OSError, keeping the old one."""
    fresh = folder / f"{POSITION}.new"
    fresh.write_text(f"{position.segment} {position.offset}\n", "ascii")
    fresh.replace(folder / POSITION)


def _measured(segment: Segment, folder: Path) -> Segment:
    path = segment.path(folder)
    segment.num_bytes = path.stat().st_size
    for line in lines_from(path, 0, segment.num_bytes):
        segment.records += line.endswith(b"\n")
    return segment
