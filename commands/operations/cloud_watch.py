"""A cloud as its operator sees it."""

from collections.abc import Iterator
from functools import partial
from typing import Protocol

from anyio.streams.memory import MemoryObjectStreamStatistics
from prometheus_client.core import Metric

from commands.operations.counting import Histogram, Tally
from commands.operations.energy import ENERGY, energy_metric
from commands.operations.look import Look, Readiness
from commands.operations.metric import BUCKETS_S, AnyMetric, Distribution, Number
from commands.operations.queues import QUEUES, queue_metrics
from pipeline.energy.meter import EnergyMeter
from pipeline.items import Packet
from transport.messages import Result

MS = 1000.0
PARTS = ("queue", "decode", "tail")
OUTCOMES = ("ok", "failed", "refused", "gone")
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)

SESSIONS = Number("janus_cloud_sessions", "Devices that are connected.")
SESSIONS_TOTAL = Number("janus_cloud_sessions_total", "Devices that were taken, or refused.", ("outcome",))
IN_FLIGHT = Number("janus_cloud_clips_in_flight", "Clips that are in and not answered yet.")
CLIPS = Number(
    "janus_cloud_clips_total",
    "Clips by outcome: ok, failed, refused (does not fit the model), gone (answered after the device left).",
    ("outcome",),
)
LATENCY = Distribution("janus_cloud_latency_seconds", "Time of answered clips in the cloud.", ("part",))
BATCH = Distribution("janus_cloud_batch_clips", "Clips that ran together.")
RECEIVED = Number("janus_cloud_received_bytes_total", "Payload of all clips that came in.")

CLOUD: tuple[AnyMetric, ...] = (
    *(SESSIONS, SESSIONS_TOTAL, IN_FLIGHT, CLIPS, LATENCY, BATCH, RECEIVED),
    *(ENERGY, *QUEUES),
)


class CloudCounts:
    """Hears of devices, clips, batches and answers."""

    def __init__(self) -> None:
        self.sessions = Tally([("taken",), ("refused",)])
        self.clips = Tally((outcome,) for outcome in OUTCOMES)
        self.latency_s = {part: Histogram(BUCKETS_S) for part in PARTS}
        self.batches = Histogram(BATCHES)
        self.received_bytes = 0

    def met(self, taken: bool) -> None:
        """A device came, and may stay or not."""
        self.sessions.add("taken" if taken else "refused")

    def received(self, packet: Packet) -> None:
        """A clip is in."""
        self.received_bytes += len(packet.payload) + len(packet.sizes)

    def refused(self) -> None:
        """A clip came that does not fit the model."""
        self.clips.add("refused")

    def ran(self, clips: int) -> None:
        """So many clips are about to run together."""
        self.batches.add(clips)

    def answered(self, result: Result, heard: bool) -> None:
        """A clip has its answer; `heard`: somebody waited for it."""
        self.clips.add("failed" if result.error is not None else "ok" if heard else "gone")
        for part, histogram in self.latency_s.items():
            if part in result.durations_ms:
                histogram.add(result.durations_ms[part] / MS)


class Served(Protocol):
    """The reception of a cloud."""

    @property
    def leaving(self) -> bool: ...

    @property
    def sessions(self) -> int: ...

    @property
    def in_flight(self) -> int: ...

    def queues(self) -> dict[str, MemoryObjectStreamStatistics]: ...


class CloudWatch:
    """Looks at a reception when asked."""

    def __init__(self, reception: Served, counts: CloudCounts, energy: EnergyMeter | None = None) -> None:
        self._reception = reception
        self._counts = counts
        self._energy = energy or EnergyMeter()
        self._listening = False

    def listens(self) -> None:
        """Devices may come."""
        self._listening = True

    def look(self) -> Look:
        """What is known now."""
        readiness = partial(_readiness, self._listening, self._reception.leaving)
        return Look(tuple(self._metrics()), readiness, lambda: [energy_metric(self._energy)])

    def _metrics(self) -> Iterator[Metric]:
        counts, reception = self._counts, self._reception
        yield SESSIONS.at(reception.sessions)
        yield SESSIONS_TOTAL.of(counts.sessions)
        yield IN_FLIGHT.at(reception.in_flight)
        yield CLIPS.of(counts.clips)
        yield LATENCY.of(((part,), histogram) for part, histogram in counts.latency_s.items())
        yield BATCH.at(counts.batches)
        yield RECEIVED.at(counts.received_bytes)
        yield from queue_metrics(reception.queues())


def _readiness(listening: bool, leaving: bool) -> Readiness:
    if leaving:
        return Readiness(False, "the cloud is shutting down")
    return Readiness(listening, "the cloud listens" if listening else "the cloud does not listen yet")
