"""Device: live sources through the pipeline, the newest clips first."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from commands.device_pipeline import Job, dial_for, geometry_of, run_device
from commands.plan import Setup, set_up
from commands.runtime import OK, SOME_FAILED, complain, run_async
from configs.settings import DeviceSettings
from pipeline.clock import SystemClock
from pipeline.items import Status
from pipeline.ledger import Ledger
from sinks.base import Sink
from sinks.console import ConsoleSink
from sinks.jsonl import JsonlSink
from sources.registry import open_sources
from stages.capture import capture


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """Which sources to run, and where the records go: always to the terminal unless `output` is "-"."""

    sources: tuple[str, ...]
    output: Path | None = None
    strict: bool = False


def run(settings: DeviceSettings, request: DeviceRequest) -> int:
    """Run until all sources end; exit status 1 when a clip failed or, if strict, when a record is missing."""
    setup = set_up(settings)
    with ExitStack() as stack:
        sinks = _sinks(request.output)
        for sink in sinks:
            sink.open()
            stack.callback(sink.close)
        ledger = run_async(partial(_run, setup, request, sinks))
    if request.strict and not ledger.balanced:
        complain(f"{ledger.admitted} clips were admitted, but {ledger.counts.total()} records written")
        return SOME_FAILED
    return SOME_FAILED if ledger.counts[Status.FAILED] else OK


def _sinks(output: Path | None) -> list[Sink]:
    if str(output) == "-":
        return [JsonlSink("-")]
    console = ConsoleSink(Console())
    return [console] if output is None else [console, JsonlSink(output, resume=True)]


async def _run(setup: Setup, request: DeviceRequest, sinks: Sequence[Sink]) -> Ledger:
    clock, model = SystemClock(), setup.model
    sources = open_sources(request.sources, geometry_of(model), model.clip_frames, clock)
    job = Job(inlets=[capture(source) for source in sources], sinks=sinks, live=True)
    return await run_device(setup, job, clock, dial_for(setup))
