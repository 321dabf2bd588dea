"""What a run leaves behind, read into plain values. All times are Unix seconds."""

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sinks.segments import SUFFIX, read_position

MB = 1e6
RUNNING = "running"
STATUSES = ("ok", "late", "dropped", "failed")
_WAIT = re.compile(r"next attempt in (\d+\.\d+) s")
_TOTALS = re.compile(r"^\d+ clips: ((?:\d+ [a-z]+(?:, )?)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Suffered:
    """A fault that really happened: when it began, and from when on all was well again."""

    part: str
    kind: str
    began: float
    over: float


@dataclass(frozen=True, slots=True)
class Change:
    """A source's new state, as the device's log has it."""

    at: float
    source: str
    state: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause of the device before it calls a camera again."""

    at: float
    source: str
    for_s: float

    def within(self, begin: float, end: float) -> float:
        """How many of its seconds lie between `begin` and `end`."""
        return max(0.0, min(self.at + self.for_s, end) - max(self.at, begin))


@dataclass(frozen=True, slots=True)
class Sample:
    """The device at one moment: what it takes, and how much its results file holds."""

    at: float
    rss_mb: float
    threads: int
    files: int
    written_bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """One record, and when it was seen in the results, to about a second."""

    record: dict[str, Any]
    at: float


@dataclass(slots=True)
class Evidence:
    """All that a run has shown. `calm`: when its warm-up was over; `ended`: when the device was to end."""

    calm: float = 0.0
    ended: float = 0.0
    lines: list[Line] = field(default_factory=list)
    suffered: list[Suffered] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    counted: int = 0
    arrived: Counter[str] = field(default_factory=Counter)
    spooled: set[str] = field(default_factory=set)
    exit_status: int | None = None
    tracebacks: int = 0
    leaks: int = 0

    @property
    def records(self) -> list[dict[str, Any]]:
        return [line.record for line in self.lines]


def sample(pid: int, results: Path, now: float) -> Sample:
    """A look at a process; OSError once it has ended."""
    proc = Path("/proc") / str(pid)
    status = dict(
        line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line
    )
    return Sample(
        now,
        int(status["VmRSS"].split()[0]) * 1024 / MB,
        int(status["Threads"]),
        len(list((proc / "fd").iterdir())),
        results.stat().st_size if results.exists() else 0,
    )


def read_lines(text: str, samples: Sequence[Sample]) -> list[Line]:
    """The records of a results file, each with the time of the first sample that has seen it."""
    sizes, found, end = [each.written_bytes for each in samples], [], 0
    for line in text.splitlines(keepends=True):
        end += len(line)
        place = min(bisect_left(sizes, end), len(samples) - 1)
        found.append(Line(json.loads(line), samples[place].at))
    return found


def read_log(lines: Iterable[str]) -> tuple[list[Change], list[Wait]]:
    """What a device's log, in JSON, says of its sources."""
    changes, waits = [], []
    for line in lines:
        entry = _entry(line)
        if "source" not in entry:
            continue
        at = datetime.fromisoformat(entry["time"]).timestamp()
        if "state" in entry:
            changes.append(Change(at, entry["source"], entry["state"]))
        if wait := _WAIT.search(entry["message"]):
            waits.append(Wait(at, entry["source"], float(wait[1])))
    return changes, waits


def read_totals(text: str) -> dict[str, int]:
    """How many clips ended in which way, by the last line that the device's console shows."""
    found = _TOTALS.findall(text)
    pairs = (each.split() for each in found[-1].split(", ")) if found else ()
    return {status: int(number) for number, status in pairs}


def read_clips(page: str) -> int:
    """How many clips a page of metrics knows: those with a record and those without."""
    counts = re.findall(r"^janus_clips_(?:total\{.*\}|under_way) (\S+)$", page, re.MULTILINE)
    return round(sum(map(float, counts)))


def read_spool(folder: Path) -> set[str]:
    """The clips whose records wait in a spool: those behind its position."""
    position, found = read_position(folder), set()
    for path in folder.glob(f"*{SUFFIX}"):
        skipped = position.offset if int(path.stem) == position.segment else 0
        if int(path.stem) >= position.segment:
            found |= {json.loads(line)["clip_id"] for line in path.read_bytes()[skipped:].splitlines()}
    return found


def _entry(line: str) -> dict[str, str]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
