"""Traces from text: the lists of a measurement campaign, tables of our own, and the name of one run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import NoReturn

import numpy as np

from pipeline.errors import ConfigError
from scheduling.traces.making import STEP_S, sampled
from scheduling.traces.trace import Floats, Trace

TECHNOLOGIES = ("5g", "lte")
_HEADING = re.compile(r"run\s+(\d{1,6})", re.IGNORECASE)
_SPEC = re.compile(r"(?P<path>.+?)(:(?P<run>\d{1,6})(:(?P<technology>5g|lte))?)?", re.IGNORECASE | re.DOTALL)
_COLUMNS = (["t_s", "mbps"], ["t_s", "mbps", "rtt_ms"])


@dataclass(frozen=True, slots=True)
class TraceSpec:
    """Which trace of which file; None takes the first that there is."""

    path: Path
    run: int | None = None
    technology: str | None = None

    def choose(self, traces: list[Trace]) -> Trace:
        """The one of `traces` that is meant; ConfigError names those that there are."""
        for trace in traces:
            if self.run in (None, trace.run) and self.technology in (None, trace.technology):
                return trace
        known = ", ".join(dict.fromkeys(_label(trace) for trace in traces))
        wanted = ":".join(str(part) for part in (self.run, self.technology) if part is not None)
        raise ConfigError(f"{self.path}: has no run {wanted}; there is {known}")


def parse_trace_spec(text: str) -> TraceSpec:
    """The trace that `FILE[:RUN[:5g|lte]]` names."""
    found = _SPEC.fullmatch(text)
    if not found:
        raise ConfigError(f"trace {text[:80]!r} is not of the form FILE[:RUN[:5g|lte]]")
    technology = found["technology"]
    run = None if found["run"] is None else int(found["run"])
    return TraceSpec(Path(found["path"]), run, technology and technology.lower())


def parse_list(text: str, name: str) -> list[Trace]:
    """The traces of a list: under each heading `Run K` one line of Mbit/s, 100 ms a value, or four lines.

    Four are 5G times, 5G Mbit/s, LTE times, LTE Mbit/s, with times in seconds, and make two traces, each
    from its own first time on. A time that is stated twice counts once. Where a clock falls back, as in
    the LTE lines of the 5G-MeMU 2022 set, the samples still follow one another, so they are taken
    at their usual distance. Raises ConfigError in one line that names the file, the run and the value.
    """
    runs = list(_runs(text, name))
    if not runs:
        raise ConfigError(f"{name}: holds no run; a list has lines 'Run K', each with its values below")
    return [trace for run, lines in runs for trace in _traces_of_run(run, lines, f"{name} run {run}")]


def parse_ping_list(text: str, name: str) -> list[Floats]:
    """The round trips of each run of a list of pings, in milliseconds and in file order."""
    return [_numbers(line, f"{name} run {run}") for run, lines in _runs(text, name) for line in lines]


def parse_csv(text: str, name: str) -> Trace:
    """The trace of a table `t_s,mbps[,rtt_ms]`; the last row holds as long as rows usually do.

    Raises ConfigError in one line that names the file and the line.
    """
    lines = text.splitlines()
    header = [column.strip().lower() for column in (lines or [""])[0].split(",")]
    if header not in _COLUMNS:
        raise ConfigError(f"{name} line 1: is {','.join(header)[:60]!r}, not the header t_s,mbps[,rtt_ms]")
    rows: list[list[float]] = []
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            rows.append(_row(line, len(header), f"{name} line {number}", rows[-1][0] if rows else -inf))
    if not rows:
        raise ConfigError(f"{name}: has no rows below its header")
    table = np.array(rows, np.float64)
    times_s = table[:, 0] - table[0, 0]
    rtt_ms = table[:, 2] if len(header) == 3 else None
    return Trace(name, times_s, table[:, 1], float(times_s[-1]) + _usual_step(times_s), rtt_ms)


def _label(trace: Trace) -> str:
    return f"{trace.run}:{trace.technology}" if trace.technology else str(trace.run)


def _runs(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each run's number and its lines."""
    run, lines = None, list[str]()
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        heading = _HEADING.fullmatch(line)
        if heading:
            if run is not None:
                yield run, lines
            run, lines = int(heading[1]), []
        elif run is None and line.strip("#"):
            raise ConfigError(f"{name} line {number}: is {line[:40]!r}, where the first 'Run K' belongs")
        elif line.strip("#"):
            lines.append(line)
    if run is not None:
        yield run, lines


def _traces_of_run(run: int, lines: list[str], where: str) -> Iterator[Trace]:
    if len(lines) == 1:
        yield replace(sampled(where, _numbers(lines[0], where)), run=run)
    elif len(lines) == 4:
        columns = [_numbers(line, f"{where} line {number}") for number, line in enumerate(lines, 1)]
        for technology, times_s, mbps in zip(TECHNOLOGIES, columns[::2], columns[1::2], strict=True):
            yield replace(_timed(f"{where} {technology}", times_s, mbps), run=run, technology=technology)
    else:
        raise ConfigError(
            f"{where}: has {len(lines)} lines of values; one (Mbit/s) or four (5G times, 5G Mbit/s, "
            "LTE times, LTE Mbit/s) belong there"
        )


def _timed(where: str, times_s: Floats, mbps: Floats) -> Trace:
    if len(times_s) != len(mbps):
        raise ConfigError(f"{where}: has {len(times_s)} times for {len(mbps)} values; each value has one")
    stated_once = np.diff(times_s, prepend=-np.inf) != 0
    times_s, mbps = times_s[stated_once], mbps[stated_once]
    step_s = _usual_step(times_s)
    if (np.diff(times_s) < 0).any():
        return sampled(where, mbps, step_s)
    return Trace(where, times_s - times_s[0], mbps, float(times_s[-1] - times_s[0]) + step_s)


def _usual_step(times_s: Floats) -> float:
    """The median distance in seconds of samples that follow one another."""
    steps_s = np.diff(times_s)
    steps_s = steps_s[steps_s > 0]
    return round(float(np.median(steps_s)), 6) if len(steps_s) else STEP_S


def _numbers(line: str, where: str) -> Floats:
    cells = line.removesuffix(",").split(",")
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not (np.isfinite(values) & (values >= 0)).all():
        _refuse_cell(cells, where)
    return values


def _refuse_cell(cells: list[str], where: str) -> NoReturn:
    number, cell = next((number, cell) for number, cell in enumerate(cells, 1) if not _fits(cell))
    raise ConfigError(f"{where}: value {number} is {cell.strip()[:40]!r}, not a number from 0 up")


def _fits(cell: str) -> bool:
    try:
        value = float(cell)
    except ValueError:
        return False
    return isfinite(value) and value >= 0


def _row(line: str, columns: int, where: str, after_s: float) -> list[float]:
    cells = line.split(",")
    if len(cells) != columns:
        raise ConfigError(f"{where}: has {len(cells)} values for {columns} columns")
    if not all(map(_fits, cells)):
        _refuse_cell(cells, where)
    row = [float(cell) for cell in cells]
    if row[0] <= after_s:
        raise ConfigError(f"{where}: time {row[0]:g} s is not after {after_s:g} s of the row before it")
    return row
