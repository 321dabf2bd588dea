"""Device: live sources through the pipeline, the newest clips first."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from commands.job import Job, Running
from commands.operations.device_watch import DeviceWatch
from commands.operations.server import operated, tell_where
from commands.runtime import OK, SOME_FAILED, complain, run_async
from commands.stopping import ending_on_signals
from commands.ways import Way, way_for
from configs.settings import DeviceSettings
from pipeline.clock import SystemClock
from pipeline.energy.meter import EnergyMeter, machine_meter
from pipeline.errors import ConfigError
from pipeline.items import Status
from pipeline.ledger import Ledger
from sinks.apart import label, require_apart
from sinks.jsonl import STDOUT
from sinks.registry import make_sink, parse_sink
from sinks.runner import SinkRunner
from sinks.settings import AnySink, ConsoleSettings, JsonlSettings
from sinks.together import opened
from sources.live.make import log_change
from sources.live.source import LiveSource
from sources.live.states import OnChange, SourceStatus
from sources.registry import Wanted, open_sources
from stages.capture import capture


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """Which sources to run, and where the records go: to the terminal unless they go to standard output,
    and wherever `output`, a file, and `sinks` say. Sources and sinks are as users spell them, or settings."""

    sources: tuple[str | Wanted, ...]
    output: Path | None = None
    strict: bool = False
    sinks: tuple[str | AnySink, ...] = ()


def run(settings: DeviceSettings, request: DeviceRequest) -> int:
    """Run until all sources end, or a signal ends them; exit status 1 when a clip failed before the sources
    ended by themselves, when a signal's grace was too short or, if strict, when a record is missing."""
    if not request.sources:
        raise ConfigError("no source is named: add --source, or sources to the file of --config")
    sinks = _sinks(request)
    way = way_for(settings, live=True)
    with machine_meter(SystemClock()) as energy, opened(sinks):
        ledger, asked = run_async(partial(_run, settings, way, request, sinks, energy))
    if ledger is None:
        complain(f"{settings.grace_s:g} s of grace were not enough: what was under way has failed records")
        return SOME_FAILED
    if request.strict and not ledger.balanced:
        complain(f"{ledger.admitted} clips were admitted, but {ledger.counts.total()} records written")
        return SOME_FAILED
    return SOME_FAILED if ledger.counts[Status.FAILED] and not asked else OK


def _sinks(request: DeviceRequest) -> list[SinkRunner]:
    """Each on its own thread; ConfigError where two would write to the same place."""
    output = () if request.output is None else (str(request.output),)
    named = (*output, *request.sinks)
    chosen = [parse_sink(each) if isinstance(each, str) else each for each in named]
    require_apart((label(each), each) for each in chosen)
    to_stdout = any(isinstance(each, JsonlSettings) and str(each.path) == STDOUT for each in chosen)
    if not to_stdout and ConsoleSettings() not in chosen:
        chosen.insert(0, ConsoleSettings())
    return [make_sink(settings) for settings in chosen]


def _telling(sinks: Sequence[SinkRunner]) -> OnChange:
    """Logs how a camera fares, and tells the sinks that publish it; takes no time of the camera's thread."""

    def change(status: SourceStatus, news: str | None) -> None:
        log_change(status, news)
        for sink in sinks:
            sink.tell(status.source, status.state)

    return change


def _end_by(sinks: Sequence[SinkRunner], ends: float) -> None:
    for sink in sinks:
        sink.end_by(ends)


async def _run(
    settings: DeviceSettings,
    way: Way,
    request: DeviceRequest,
    sinks: Sequence[SinkRunner],
    energy: EnergyMeter,
) -> tuple[Ledger | None, bool]:
    """Run to the end of the sources, or from a signal on to the end of what is under way; no ledger where
    the grace was too short for that, and whether there was a signal."""
    asked, clock = False, SystemClock()
    started: list[Running] = []
    change = _telling(sinks)
    sources = open_sources(request.sources, way.geometry, way.clips.frames, clock, on_change=change)
    for source in sources:
        if isinstance(source, LiveSource):
            change(source.status(), None)
    watch = DeviceWatch(sources, sinks, clock, settings.sla_ms, energy)

    def begun(running: Running) -> None:
        started.append(running)
        watch.begun(running)

    job = Job(
        inlets=[capture(source) for source in sources],
        sinks=sinks,
        live=True,
        first_seq={
            source.name: max((sink.next_seq(source.name) for sink in sinks), default=0) for source in sources
        },
        energy=energy,
        on_record=watch.record,
        on_start=begun,
    )

    def stop() -> None:
        nonlocal asked
        asked = True
        ends = clock.now() + settings.grace_s
        _end_by(sinks, ends)
        for running in started:
            running.end_by(ends)
        watch.ended("the run was asked to end")
        for source in sources:
            source.close()

    async with operated(settings.metrics, watch) as metrics:
        tell_where(metrics)
        async with ending_on_signals(stop, settings.grace_s, clock):
            return await way.run(job, clock), asked
    _end_by(sinks, clock.now())
    return None, asked
