"""`simulate`: what each policy would have made of measured links."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from commands.runtime import OK
from commands.simulation.comparison import against_ranges, gains
from commands.simulation.contestants import Entry, Rules, contestants
from commands.simulation.tables import gains_table, ranges_table, task_tables
from commands.traces import read_traces
from pipeline.errors import ConfigError
from scheduling.simulation.metrics import Row
from scheduling.simulation.setup import Setup, Task, parse_setup
from scheduling.traces import Trace, generate_lte

LTE_SECONDS = 600.0
MOST_SETUP_BYTES = 1 << 20
MOST_CLIPS = 2_000_000
MOST_CLIPS_PER_S = 1000.0
LEAST_MBPS = 1e-3
COLUMNS = 130
PAPERS_RUN = "driving/lte/throughput run 8"


@dataclass(frozen=True, slots=True)
class SimulateRequest:
    """What `simulate` was asked for; no `policies` and no `task` mean all, no `series` the paper's run."""

    setup: Path
    traces: tuple[Path, ...] = ()
    lte: int | None = None
    policies: tuple[str, ...] = ()
    task: str | None = None
    pixels_stay: bool = False
    rescue: bool = True
    clips_per_second: float | None = None
    series: str | None = None
    html: Path | None = None
    as_json: bool = False


def run(request: SimulateRequest) -> int:
    """Simulate, and show the tables; with `as_json` they go to stderr, and the rows as JSON to stdout."""
    setup = read_setup(request.setup)
    traces = _traces(request)
    rules = Rules(request.pixels_stay, request.rescue, _rate(request.clips_per_second, traces))
    chosen = contestants(request.policies, rules)
    shown = _shown(request, traces)
    if request.html is not None:
        _require_writable(request.html)
    entries = [Entry(one, task, rules) for task in _tasks(setup, request.task) for one in chosen]
    rows = play(entries, by_group(traces), setup)
    console = Console(stderr=request.as_json)
    if not console.is_terminal:
        console.width = COLUMNS
    _show(console, rows, setup)
    if request.as_json:
        json.dump([row.as_dict() for row in rows], sys.stdout, indent=1, allow_nan=False)
        print(flush=True)
    if request.html is not None:
        _write_report(request.html, entries, rows, shown, setup)
    return OK


def read_setup(path: Path) -> Setup:
    """The setup of a YAML or JSON file; ConfigError in one line that names the file and the key."""
    if not path.is_file():
        raise ConfigError(f"{path}: is no file; --setup takes a YAML file such as configs/paper.yaml")
    if path.stat().st_size > MOST_SETUP_BYTES:
        raise ConfigError(f"{path}: is over {MOST_SETUP_BYTES >> 20} MiB, too large for a setup")
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as a setup: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a setup is a map with the keys machines, tokens, tasks and rtt_ms")
    return parse_setup(data, str(path))


def by_group(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    """Traces by their group, both in the order in which they came."""
    found: dict[str, list[Trace]] = {}
    for trace in traces:
        found.setdefault(trace.group, []).append(trace)
    return found


def play(entries: Sequence[Entry], groups: Mapping[str, Sequence[Trace]], setup: Setup) -> list[Row]:
    """Every contestant over every group: rows by task, then by group; progress on stderr."""
    rows: list[Row] = []
    with _progress() as progress:
        total_s = sum(trace.duration_s for traces in groups.values() for trace in traces)
        bar = progress.add_task("simulate", total=total_s * len(entries))
        for task in dict.fromkeys(entry.task.name for entry in entries):
            for group, traces in groups.items():
                for entry in (entry for entry in entries if entry.task.name == task):
                    rows.append(entry.row(group, traces, setup.rtt_ms(group)))
                    progress.advance(bar, sum(trace.duration_s for trace in traces))
    return rows


def _traces(request: SimulateRequest) -> list[Trace]:
    if not request.traces and request.lte is None:
        raise ConfigError("say over which links: --traces FILE or FOLDER, or --lte SEED for a made-up one")
    found = [trace for path in request.traces for trace in _read(path)]
    if request.lte is not None:
        found.append(generate_lte(request.lte, LTE_SECONDS))
    for trace in found:
        if trace.mean_mbps < LEAST_MBPS:
            raise ConfigError(
                f"{trace.name}: carries next to nothing ({trace.mean_mbps:g} Mbit/s in the mean)"
            )
    return found


def _read(path: Path) -> list[Trace]:
    if not path.exists():
        raise ConfigError(f"{path}: does not exist; --traces takes files and folders of traces")
    return [replace(trace, group=trace.group or path.stem) for trace in read_traces(path)]


def _rate(clips_per_s: float | None, traces: Sequence[Trace]) -> float | None:
    if clips_per_s is None:
        return None
    if not 0 < clips_per_s <= MOST_CLIPS_PER_S:
        raise ConfigError(
            f"--clips-per-second {clips_per_s:g}: choose above 0 and at most {MOST_CLIPS_PER_S:g}"
        )
    clips = clips_per_s * sum(trace.duration_s for trace in traces)
    if clips > MOST_CLIPS:
        raise ConfigError(f"--clips-per-second {clips_per_s:g}: makes {clips:.0f} clips, over {MOST_CLIPS}")
    return clips_per_s


def _tasks(setup: Setup, name: str | None) -> list[Task]:
    chosen = [task for task in setup.tasks if name in (None, task.name)]
    if not chosen:
        known = ", ".join(task.name for task in setup.tasks)
        raise ConfigError(f"task {name}: is not in the setup; there is {known}")
    return chosen


def _shown(request: SimulateRequest, traces: Sequence[Trace]) -> Trace:
    """The trace of the time series."""
    wanted = request.series or PAPERS_RUN
    for trace in traces:
        if trace.name == wanted:
            return trace
    if request.series is None:
        return traces[0]
    known = ", ".join(trace.name for trace in traces[:8])
    raise ConfigError(f"--series {wanted[:80]}: no trace has this name; there is {known}, ...")


def _show(console: Console, rows: Sequence[Row], setup: Setup) -> None:
    for table in task_tables(rows):
        console.print(table)
    cells = [] if setup.ranges is None else list(against_ranges(rows, setup.ranges))
    if cells:
        console.print(ranges_table(cells))
    if found := list(gains(rows)):
        console.print(gains_table(found))


def _require_writable(output: Path) -> None:
    """Say so before minutes of simulating, not after."""
    if output.is_dir():
        raise ConfigError(f"{output}: is a folder; --html takes a file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output}: its folder cannot be made ({error.strerror})") from None


def _write_report(
    output: Path, entries: Sequence[Entry], rows: Sequence[Row], shown: Trace, setup: Setup
) -> None:
    from commands.simulation.report import figures_of, page  # noqa: PLC0415

    figures = figures_of(entries, rows, shown, (setup.rtt_ms(shown.group), setup.round_trips.default))
    text = "Codecs: as in the paper (paper), with encoded pixels (encoded), or any that there are (every)."
    output.write_text(page("Simulation", text, figures), "utf-8")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
