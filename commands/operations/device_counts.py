"""What became of a device's clips, counted record by record."""

from collections.abc import Iterable

from commands.operations.counting import OTHER, Histogram, Tally
from commands.operations.metric import BUCKETS_S
from pipeline.items import Prediction, Ran, Status

MS = 1000.0
NOWHERE = "none"
PARTS = ("wait", "head", "encode", "uplink", "queue", "decode", "tail", "rescue", "gather", "fuse", "total")
DROPS = ("overload", OTHER)
FAILURES = ("cloud", "peers", "source", "ended", OTHER)
ANSWERED = (Status.OK, Status.LATE)
MOST_SOURCE_STATUSES = 1024


class DeviceCounts:
    """Hears of every record. All that labels a count is from a closed set, or bounded in number."""

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self.clips = Tally(
            [
                *((status, ran) for status in ANSWERED for ran in Ran),
                *((status, NOWHERE) for status in (Status.DROPPED, Status.FAILED)),
            ]
        )
        self.by_source = Tally(
            [(source, status) for source in sources for status in Status], MOST_SOURCE_STATUSES
        )
        self.latency_s = {part: Histogram(BUCKETS_S) for part in PARTS}
        self.drops = Tally((reason,) for reason in DROPS)
        self.failures = Tally((reason,) for reason in FAILURES)
        self.prunings, self.splits, self.codecs = Tally(), Tally(), Tally()
        self.violations = 0
        self.rescues = 0
        self.sent_bytes = 0

    def add(self, record: Prediction) -> None:
        """Count one record."""
        self.clips.add(record.status, record.ran or NOWHERE)
        self.by_source.add(record.source, record.status)
        self.violations += record.sla_ms is not None and _broken(record)
        self.rescues += record.ran is Ran.RESCUE
        self.sent_bytes += record.sent_bytes
        match record.status:
            case Status.DROPPED:
                self.drops.add(drop_reason(record))
            case Status.FAILED:
                self.failures.add(failure_reason(record))
            case _:
                self._add_latency(record)
        if record.plan is not None:
            self.prunings.add(str(record.plan.pruning))
            self.splits.add(str(record.plan.split))
            self.codecs.add(record.plan.codec)

    def _add_latency(self, record: Prediction) -> None:
        for part, histogram in self.latency_s.items():
            if part in record.latency_ms:
                histogram.add(record.latency_ms[part] / MS)


def _broken(record: Prediction) -> bool:
    """Whether a promise was broken by this record; that of a source that broke stands for no clip."""
    if record.status is Status.FAILED:
        return failure_reason(record) != "source"
    return record.status is not Status.OK


def drop_reason(record: Prediction) -> str:
    """Which of DROPS the record's reason is."""
    return DROPS[0] if (record.reason or "").startswith("overload:") else OTHER


def failure_reason(record: Prediction) -> str:
    """Which of FAILURES the record's reason is."""
    reason = record.reason or ""
    for far_end in ("cloud", "peers"):
        if reason.startswith(f"{far_end}: "):
            return far_end
    if reason.startswith(f"{record.source}: "):
        return "source"
    return "ended" if reason.startswith("the run was ended") else OTHER
