"""A device run as its operator sees it."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from prometheus_client.core import Metric

from commands.job import Running
from commands.operations.counting import Labels
from commands.operations.device_counts import MS, DeviceCounts
from commands.operations.energy import ENERGY, energy_metric
from commands.operations.look import Look, Readiness
from commands.operations.metric import AnyMetric, Distribution, Number
from commands.operations.queues import QUEUES, queue_metrics
from pipeline.clock import Clock
from pipeline.energy.meter import EnergyMeter
from pipeline.items import Prediction
from sinks.outage import SinkStatistics
from sinks.runner import SinkRunner
from sources.base import Source
from sources.live.source import LiveSource
from sources.live.states import SourceStatus, State

BYTES_IN_MEGABIT = 125_000
WELL = (State.RUNNING, State.ENDED)

CLIPS = Number("janus_clips_total", "Clips by how they ended and where their layers ran.", ("status", "ran"))
SOURCE_CLIPS = Number(
    "janus_source_clips_total", "Clips of a source by how they ended.", ("source", "status")
)
UNDER_WAY = Number("janus_clips_under_way", "Clips that have no record yet.")
LATENCY = Distribution(
    "janus_latency_seconds", "Latency of answered clips, in parts and in total.", ("part",)
)
PROMISE = Number("janus_promise_seconds", "The latency that is promised.")
VIOLATIONS = Number("janus_violations_total", "Clips with a promise that came late, were dropped or failed.")
DROPS = Number("janus_drops_total", "Clips that were dropped, by reason.", ("reason",))
FAILURES = Number("janus_failures_total", "Clips that failed, by reason.", ("reason",))
RESCUES = Number("janus_rescues_total", "Clips that left and were finished on the device after all.")
KEPT = Number("janus_rescue_kept_bytes", "Features kept to finish clips on the device.")
PRUNINGS = Number("janus_plan_prunings_total", "Planned clips by pruning.", ("pruning",))
SPLITS = Number("janus_plan_splits_total", "Planned clips by the layer they were cut after.", ("split",))
CODECS = Number("janus_plan_codecs_total", "Planned clips by codec.", ("codec",))
SENT = Number("janus_sent_bytes_total", "Payload that answered clips sent to the cloud.")
BANDWIDTH = Number("janus_link_bandwidth_bytes_per_second", "Uplink, as estimated.")
ROUND_TRIP = Number("janus_link_round_trip_seconds", "Round trip to the cloud, as estimated.")
CONNECTED = Number("janus_link_connected", "1 while there is a cloud that takes clips, else 0.")
PART_CONNECTED = Number(
    "janus_part_connected", "1 while a peer, or the device, runs this part of a DeViT, else 0.", ("part",)
)
PART_PROMPT = Number(
    "janus_part_prompt", "1 while a part of a DeViT is connected and not behind, else 0.", ("part",)
)
CORRECTION = Number(
    "janus_correction_factor", "How much slower than its profile a machine is now.", ("machine",)
)
SIZE_CORRECTION = Number(
    "janus_size_correction_factor", "How much larger than its profile a codec's payload is now.", ("codec",)
)
CAUTION = Number("janus_caution_factor", "By what an expected latency has to stay within the promise.")
STATE = Number("janus_source_state", "1 for the state of a camera, 0 for all others.", ("source", "state"))
RECONNECTS = Number("janus_source_reconnects_total", "Connections after the first.", ("source",))
FRAMES = Number("janus_source_frames_total", "Frames that came whole.", ("source",))
DROPPED_FRAMES = Number(
    "janus_source_dropped_frames_total", "Whole frames that found no room or came too fast.", ("source",)
)
CORRUPT_FRAMES = Number("janus_source_corrupt_frames_total", "Frames that did not come whole.", ("source",))
DISCARDED_FRAMES = Number(
    "janus_source_discarded_frames_total", "Frames of clips that a break ended.", ("source",)
)
CLOCK_JUMPS = Number("janus_source_clock_jumps_total", "Times that a camera's clock jumped.", ("source",))
WARNINGS = Number("janus_source_warnings_total", "Times that something was odd with a camera.", ("source",))
SINK_WRITTEN = Number("janus_sink_written_records_total", "Records that arrived.", ("sink",))
SINK_GIVEN_UP = Number("janus_sink_given_up_records_total", "Records that are lost to a sink.", ("sink",))
SINK_WAITING = Number("janus_sink_waiting_records", "Records that wait in memory.", ("sink",))
SINK_SPOOLED = Number("janus_sink_spooled_records", "Records that wait on disk.", ("sink",))
SINK_FAILING = Number(
    "janus_sink_failing_seconds", "For how long a sink has been failing, 0 if it works.", ("sink",)
)

DEVICE: tuple[AnyMetric, ...] = (
    *(CLIPS, SOURCE_CLIPS, UNDER_WAY, LATENCY, PROMISE, VIOLATIONS, DROPS, FAILURES, RESCUES, KEPT),
    *(PRUNINGS, SPLITS, CODECS, SENT, BANDWIDTH, ROUND_TRIP, CONNECTED, PART_CONNECTED, PART_PROMPT),
    *(CORRECTION, SIZE_CORRECTION, CAUTION),
    *(STATE, RECONNECTS, FRAMES, DROPPED_FRAMES, CORRUPT_FRAMES, DISCARDED_FRAMES, CLOCK_JUMPS, WARNINGS),
    *(SINK_WRITTEN, SINK_GIVEN_UP, SINK_WAITING, SINK_SPOOLED, SINK_FAILING),
    *(ENERGY, *QUEUES),
)


class DeviceWatch:
    """Counts a run's records, and looks at its parts when asked."""

    def __init__(
        self,
        sources: Sequence[Source],
        sinks: Sequence[SinkRunner],
        clock: Clock,
        sla_ms: float | None,
        energy: EnergyMeter | None = None,
    ) -> None:
        self.counts = DeviceCounts(source.name for source in sources)
        self._cameras = [source for source in sources if isinstance(source, LiveSource)]
        self._sinks = dict(zip(unique([sink.name for sink in sinks]), sinks, strict=True))
        self._clock = clock
        self._sla_ms = sla_ms
        self._energy = energy or EnergyMeter()
        self._running: Running | None = None
        self._ended: str | None = None

    def record(self, record: Prediction) -> None:
        """One more clip has its record."""
        self.counts.add(record)

    def begun(self, running: Running) -> None:
        """The pipeline runs."""
        self._running = running

    def ended(self, why: str) -> None:
        """It does not take clips any more."""
        self._ended = why

    def look(self) -> Look:
        """What is known now."""
        running, now = self._running, self._clock.now()
        here = [*self._of_records(), *(self._of_run(running, now) if running else ())]
        return Look(
            tuple(here),
            partial(self._readiness, _unlinked(running), now),
            partial(self._elsewhere, now),
        )

    def _of_records(self) -> Iterator[Metric]:
        counts = self.counts
        yield CLIPS.of(counts.clips)
        yield SOURCE_CLIPS.of(counts.by_source)
        yield LATENCY.of(((part,), histogram) for part, histogram in counts.latency_s.items())
        yield VIOLATIONS.at(counts.violations)
        yield DROPS.of(counts.drops)
        yield FAILURES.of(counts.failures)
        yield RESCUES.at(counts.rescues)
        yield PRUNINGS.of(counts.prunings)
        yield SPLITS.of(counts.splits)
        yield CODECS.of(counts.codecs)
        yield SENT.at(counts.sent_bytes)
        if self._sla_ms is not None:
            yield PROMISE.at(self._sla_ms / MS)

    def _of_run(self, running: Running, now: float) -> Iterator[Metric]:
        situation = running.situation
        yield UNDER_WAY.at(running.ledger.unsettled)
        yield CORRECTION.of([(("device",), situation.device.factor), (("cloud",), situation.cloud.factor)])
        yield SIZE_CORRECTION.of(((codec,), size.factor) for codec, size in situation.sizes.items())
        yield CAUTION.at(situation.caution.factor)
        yield DISCARDED_FRAMES.of(((name,), count) for name, count in running.batch.discarded.items())
        yield KEPT.at(0 if running.rescue is None else running.rescue.num_bytes)
        if running.client is not None:
            estimate = situation.estimate(now)
            yield BANDWIDTH.at(estimate.mbps * BYTES_IN_MEGABIT)
            yield ROUND_TRIP.at(estimate.rtt_ms / MS)
            yield CONNECTED.at(running.client.connected)
        holders = [((str(part),), holder) for part, holder in enumerate(running.holders(), start=1)]
        yield PART_CONNECTED.of((part, float(holder is not None)) for part, holder in holders)
        yield PART_PROMPT.of((part, float(holder is not None and holder.prompt)) for part, holder in holders)
        yield from queue_metrics(running.pipeline.statistics())

    def _elsewhere(self, now: float) -> Iterator[Metric]:
        yield from camera_metrics([camera.status() for camera in self._cameras])
        yield from sink_metrics({name: sink.statistics() for name, sink in self._sinks.items()}, now)
        yield energy_metric(self._energy)

    def _readiness(self, unlinked: Sequence[str], now: float) -> Readiness:
        degraded = [*unlinked]
        for camera in self._cameras:
            status = camera.status()
            if status.state not in WELL:
                degraded.append(f"source {status.source}: {status.state}" + _behind(status.last_error))
        for name, sink in self._sinks.items():
            found = sink.statistics()
            if found.failing_since is not None:
                degraded.append(
                    f"sink {name}: fails for {now - found.failing_since:.0f} s" + _behind(found.last_error)
                )
        if self._ended is not None:
            return Readiness(False, self._ended, tuple(degraded))
        if self._running is None:
            return Readiness(False, "the pipeline does not run yet", tuple(degraded))
        return Readiness(True, "the model is loaded and the pipeline runs", tuple(degraded))


def _unlinked(running: Running | None) -> list[str]:
    """Who should be there, or in time, and is not."""
    if running is None:
        return []
    parts = [
        f"part {part}: no peer" if holder is None else f"part {part}: behind ({holder.name})"
        for part, holder in enumerate(running.holders(), start=1)
        if holder is None or not holder.prompt
    ]
    if running.client is None or running.client.connected:
        return parts
    trouble = running.client.trouble
    return [f"cloud: no link{f' ({trouble})' if trouble else ''}; clips are finished here", *parts]


def camera_metrics(statuses: Sequence[SourceStatus]) -> Iterator[Metric]:
    """How cameras fare."""
    yield STATE.of(
        ((status.source, state), float(status.state is state)) for status in statuses for state in State
    )
    counts = (
        (RECONNECTS, "reconnects"),
        (FRAMES, "frames"),
        (DROPPED_FRAMES, "dropped"),
        (CORRUPT_FRAMES, "corrupt"),
        (CLOCK_JUMPS, "jumps"),
        (WARNINGS, "warnings"),
    )
    for metric, count in counts:
        yield metric.of(((status.source,), getattr(status, count)) for status in statuses)


def sink_metrics(sinks: dict[str, SinkStatistics], now: float) -> Iterator[Metric]:
    """How sinks fare."""

    def each(count: str) -> Iterable[tuple[Labels, float]]:
        return (((name,), getattr(found, count)) for name, found in sinks.items())

    yield SINK_WRITTEN.of(each("written"))
    yield SINK_GIVEN_UP.of(each("given_up"))
    yield SINK_WAITING.of(each("waiting"))
    yield SINK_SPOOLED.of(each("spooled"))
    yield SINK_FAILING.of(
        ((name,), 0.0 if found.failing_since is None else now - found.failing_since)
        for name, found in sinks.items()
    )


def unique(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that another one has already: two hooks of one server have."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}-{number}"
        found.append(one)
    return found


def _behind(error: str | None) -> str:
    return "" if error is None else f": {error}"
