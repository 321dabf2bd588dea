"""All that the device knows while it runs, gathered for the next decision."""

from dataclasses import dataclass, field

from pipeline.items import Moment, Plan
from scheduling.backlog import Backlog
from scheduling.caution import Caution, Overrun
from scheduling.correction import Correction
from scheduling.link import LinkEstimate, LinkTracker

MS = 1000.0
UPLOADS_REMEMBERED = 1024
CONFIRMED_S = 3.0


@dataclass(slots=True)
class Situation:
    """The link, what is under way, and how far the machines are from their profiles.

    It hears of every step of every clip, and of every message on the link; all times `now` are seconds
    of one monotonic clock.
    """

    link: LinkTracker = field(default_factory=LinkTracker)
    backlog: Backlog = field(default_factory=Backlog)
    device: Correction = field(default_factory=Correction)
    cloud: Correction = field(default_factory=Correction)
    caution: Caution = field(default_factory=Caution)
    overrun: Overrun = field(default_factory=Overrun)
    sizes: dict[str, Correction] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    _planned: dict[str, tuple[float, float]] = field(default_factory=dict)
    _uploads_ms: dict[str, float] = field(default_factory=dict)

    def moment(self, deadline: float, now: float) -> Moment:
        """What is known about a clip that is planned now."""
        link, waits = self.link.estimate(now), self.backlog.waits(now)
        self._fade("head", self.device, now)
        self._fade("tail", self.cloud, now)
        return Moment(
            (deadline - now) * MS,
            link.mbps,
            link.rtt_ms,
            waits.device_ms,
            waits.link_ms,
            waits.cloud_ms,
            self.device.factor,
            self.cloud.factor,
            self.caution.factor,
            link.connected,
        )

    def estimate(self, now: float) -> LinkEstimate:
        """The link's estimate alone."""
        return self.link.estimate(now)

    def planned(self, clip_id: str, plan: Plan, now: float) -> None:
        """A clip has its plan."""
        self.backlog.planned(clip_id, plan, now)
        self._planned[clip_id] = (plan.expected_ms.get("total", 0.0), now)

    def head_done(self, clip_id: str, plan: Plan, head_ms: float, now: float) -> None:
        """The device has run its layers of a clip in `head_ms`."""
        self.backlog.head_done(clip_id, now)
        if head_ms > 0:
            self._heard["head"] = now
            self.overrun.add(plan.expected_ms.get("head", 0.0), head_ms)
        _learn(self.device, plan, "head", head_ms)

    def finishing(self, clip_id: str, expected_ms: float, now: float) -> None:
        """The device begins to run the rest of a clip that had left."""
        self.backlog.rescued(clip_id, expected_ms, now)

    def finished_here(self, clip_id: str, expected_ms: float, measured_ms: float, now: float) -> None:
        """It has done so in `measured_ms`; 0 where it could not."""
        self.backlog.rescue_over(clip_id, now)
        if measured_ms > 0:
            self.overrun.add(expected_ms, measured_ms)

    def encoded(self, plan: Plan, num_bytes: int) -> float:
        """A clip's payload came to `num_bytes`; the factor by which this codec's profile is off now."""
        size = self.sizes.setdefault(plan.codec, Correction())
        size.add(plan.expected_bytes, num_bytes)
        return size.factor

    def answered(self, clip_id: str, plan: Plan | None, cloud_ms: dict[str, float], now: float) -> None:
        """A clip is out; `cloud_ms` are the parts that the cloud measured, empty where it was not asked."""
        self.backlog.answered(clip_id, cloud_ms.get("queue"), now)
        expected_ms, planned_at = self._planned.pop(clip_id, (0.0, now))
        self.caution.add(expected_ms, (now - planned_at) * MS)
        if plan is not None and "tail" in cloud_ms:
            self._heard["tail"] = now
            _learn(self.cloud, plan, "tail", cloud_ms["tail"])

    def _fade(self, part: str, correction: Correction, now: float) -> None:
        """A correction that nobody confirms is forgotten, slowly, once nothing was heard for a while."""
        silent_s = now - self._heard.setdefault(part, now)
        if silent_s > CONFIRMED_S:
            correction.fade(silent_s - CONFIRMED_S)
            self._heard[part] = now - CONFIRMED_S

    def upload_ms(self, clip_id: str) -> float | None:
        """How long this clip's message took; None where it was never acknowledged, or asked for before."""
        return self._uploads_ms.pop(clip_id, None)

    def link_up(self, rtt_s: float, now: float) -> None:
        """Connected, or connected again."""
        self.link.link_up(rtt_s, now)

    def link_down(self) -> None:
        """Nothing can be sent for now."""
        self.link.link_down()

    def sent(self, key: str, num_bytes: int, now: float) -> None:
        """A message has begun to leave."""
        self.link.sent(key, num_bytes, now)

    def acknowledged(self, key: str, now: float) -> None:
        """The other end has all of this message."""
        upload_ms = self.link.acknowledged(key, now)
        self.backlog.uploaded(key, now)
        if upload_ms is not None:
            self._uploads_ms[key] = upload_ms
        if len(self._uploads_ms) > UPLOADS_REMEMBERED:  # of probes, for which nobody asks
            del self._uploads_ms[next(iter(self._uploads_ms))]

    def round_trip(self, seconds: float, now: float) -> None:
        """A message of a few bytes went there and back."""
        self.link.round_trip(seconds, now)


def _learn(correction: Correction, plan: Plan, part: str, measured_ms: float) -> None:
    """Compare with the profile's own prediction, which the correction of that moment had scaled."""
    expected_ms = plan.expected_ms.get(part, 0.0)
    if expected_ms > 0 and plan.moment is not None:
        factor = plan.moment.device_factor if part == "head" else plan.moment.cloud_factor
        correction.add(expected_ms / factor, measured_ms)
