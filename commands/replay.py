"""Replay: video files through the pipeline, every clip exactly once, safe to kill."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from rich.console import Console

from commands.job import Job
from commands.progress import ReplayProgress
from commands.runtime import OK, SOME_FAILED, announce, complain, run_async
from commands.ways import Way, way_for
from configs.files import ReplayFile
from configs.settings import DeviceSettings
from pipeline.clock import SystemClock
from pipeline.energy.meter import EnergyMeter, machine_meter
from pipeline.energy.total import EnergyTotal
from pipeline.errors import ConfigError, LinkLost
from pipeline.items import Prediction, Status
from pipeline.ledger import Ledger
from sinks.jsonl import STDOUT, JsonlSink
from sources.file import FileSource
from sources.folder import VideoFile, find_videos
from stages.capture import capture_in_turn


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay, and where the records go."""

    videos: tuple[Path, ...]
    output: Path
    pattern: str | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False

    @classmethod
    def of(cls, settings: ReplayFile) -> Self:
        """What settings ask for; ConfigError where they lack the videos or the output."""
        if not settings.videos:
            raise ConfigError("no video is named: give files or folders, or videos in the file of --config")
        if settings.output is None:
            raise ConfigError("no output is named: add --output FILE, or output to the file of --config")
        return cls(
            settings.videos,
            settings.output,
            settings.pattern,
            settings.resume,
            settings.overwrite,
            settings.strict,
        )


def run(settings: DeviceSettings, request: ReplayRequest) -> int:
    """Replay, and say what energy it took where that is known; exit status 1 when a record of the output is
    failed or, if strict, when one is missing."""
    videos = find_videos(request.videos, request.pattern)
    sink = JsonlSink(request.output, resume=request.resume, overwrite=request.overwrite)
    way = way_for(settings, live=False)
    total = EnergyTotal()
    with ExitStack() as stack:
        sink.open()
        stack.callback(sink.close)
        _require_same_model(sink, way.model_id)
        progress = stack.enter_context(
            ReplayProgress(Console(stderr=True), videos, way.clips, len(sink.done))
        )
        energy = stack.enter_context(machine_meter(SystemClock()))

        def recorded(record: Prediction) -> None:
            progress.advance(record)
            total.add(record.energy_j)

        try:
            ledger = run_async(partial(_replay, way, videos, sink, recorded, energy=energy))
        except LinkLost as error:
            raise LinkLost(f"{error}{_hint(request.output)}") from None
    if told := total.told():
        announce(f"energy: {told}")
    return _finish(ledger, sink, request)


async def _replay(
    way: Way,
    videos: Sequence[VideoFile],
    sink: JsonlSink,
    on_record: Callable[[Prediction], None],
    *,
    energy: EnergyMeter,
) -> Ledger:
    clock = SystemClock()
    sources = (FileSource(video.path, video.name, way.geometry, clock) for video in videos)
    job = Job(
        inlets=[capture_in_turn(sources, frames_at_once=way.clips.frames)],
        sinks=[sink],
        live=False,
        done={clip_id: clip.start_s for clip_id, clip in sink.done.items()},
        energy=energy,
        on_record=on_record,
    )
    return await way.run(job, clock)


def _hint(output: Path) -> str:
    return "" if str(output) == STDOUT else f"; --resume goes on with what {output} lacks"


def _require_same_model(sink: JsonlSink, model_id: str) -> None:
    others = sink.written.models - {model_id, ""}
    if others:
        raise ConfigError(
            f"the results to resume were made by {', '.join(sorted(others))}, not by {model_id}; "
            "resume with the same model and weights, or choose another output"
        )


def _finish(ledger: Ledger, sink: JsonlSink, request: ReplayRequest) -> int:
    failed_before = sum(clip.status is Status.FAILED for clip in sink.done.values())
    failed = ledger.counts[Status.FAILED] + failed_before
    if failed:
        complain(f'{failed} failed records in {request.output}; their "reason" says why')
    if request.strict and not ledger.balanced:
        complain(f"{ledger.admitted} clips were admitted, but {ledger.counts.total()} records written")
        return SOME_FAILED
    return SOME_FAILED if failed else OK
