"""What earlier clips still keep busy: the device's model, the link, the cloud."""

from dataclasses import dataclass

from pipeline.items import Plan

QUEUE_SMOOTHING = 0.3
QUEUE_MEMORY_S = 3.0


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a clip that is planned now waits, in ms."""

    device_ms: float = 0.0
    link_ms: float = 0.0
    cloud_ms: float = 0.0


@dataclass(slots=True)
class _Clip:
    """What is expected of a clip: ms on the device, on the link and in the cloud; is the device done?"""

    device_ms: float
    transfer_ms: float
    cloud_ms: float
    on_device: bool = True


class Backlog:
    """Follows every clip from its plan to its answer. All times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._clips: dict[str, _Clip] = {}
        self._in_cloud: dict[str, _Clip] = {}
        self._device_since = 0.0
        self._link_since = 0.0
        self._cloud_since = 0.0
        self._queue_ms: float | None = None
        self._asked_at = 0.0

    def planned(self, clip_id: str, plan: Plan, now: float) -> None:
        """A clip has its plan, and stands behind those before it."""
        expected = plan.expected_ms
        if not any(clip.on_device for clip in self._clips.values()):
            self._device_since = now
        self._clips[clip_id] = _Clip(
            expected.get("head", 0.0) + expected.get("encode", 0.0),
            max(expected.get("uplink", 0.0) - expected.get("downlink", 0.0), 0.0),
            expected.get("decode", 0.0) + expected.get("tail", 0.0),
        )

    def head_done(self, clip_id: str, now: float) -> None:
        """The device has done its part; the clip goes out to the cloud, or it was the whole."""
        clip = self._clips.get(clip_id)
        if clip is None:
            return
        self._device_since = now
        if all(other.on_device for other in self._clips.values()):
            self._link_since = now
        clip.on_device = False
        if clip.transfer_ms == 0:
            del self._clips[clip_id]

    def uploaded(self, clip_id: str, now: float) -> None:
        """The cloud has the whole message."""
        clip = self._clips.pop(clip_id, None)
        if clip is None:
            return
        self._link_since = now
        if not self._in_cloud:
            self._cloud_since = now
        self._in_cloud[clip_id] = clip
        if now - self._asked_at > QUEUE_MEMORY_S:
            self._queue_ms = None
        self._asked_at = now

    def answered(self, clip_id: str, queue_ms: float | None, now: float) -> None:
        """The clip is out, after `queue_ms` of waiting in the cloud (None where it never was there)."""
        self._clips.pop(clip_id, None)
        if self._in_cloud.pop(clip_id, None) is not None:
            self._cloud_since = now
        if queue_ms is not None:
            before_ms = queue_ms if self._queue_ms is None else self._queue_ms
            self._queue_ms = before_ms + QUEUE_SMOOTHING * (queue_ms - before_ms)

    def longest_head_ms(self) -> float:
        """For how long the device's model may be busy with a clip once it has begun with it."""
        return max((clip.device_ms for clip in self._clips.values() if clip.on_device), default=0.0)

    def waits(self, now: float) -> Waits:
        """What a clip that is planned now finds in front of it: device, link and cloud work in order.

        How long clips of others make it wait in the cloud is forgotten when none was sent there for a
        while: who stays away from a long queue would not learn that it is gone.
        """
        device_ms = link_ms = 0.0
        device_spent_ms = (now - self._device_since) * 1000
        link_spent_ms = (now - self._link_since) * 1000
        cloud_ms = self._cloud_busy_ms(now)
        for clip in self._clips.values():
            if clip.on_device:
                device_ms += max(clip.device_ms - device_spent_ms, 0.0)
                device_spent_ms = link_spent_ms = 0.0
            if clip.transfer_ms > 0:
                link_ms = max(link_ms, device_ms if clip.on_device else 0.0)
                link_ms += max(clip.transfer_ms - link_spent_ms, 0.0)
                link_spent_ms = 0.0
                cloud_ms = max(cloud_ms, link_ms) + clip.cloud_ms
        asked = now - self._asked_at <= QUEUE_MEMORY_S
        return Waits(device_ms, link_ms, max((asked and self._queue_ms) or 0.0, cloud_ms - link_ms))

    def _cloud_busy_ms(self, now: float) -> float:
        """How long the cloud still works on clips of this device that it has."""
        busy_ms = 0.0
        spent_ms = (now - self._cloud_since) * 1000
        for clip in self._in_cloud.values():
            busy_ms += max(clip.cloud_ms - spent_ms, 0.0)
            spent_ms = 0.0
        return busy_ms
