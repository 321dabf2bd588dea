"""What earlier clips still keep busy: the device's model, the link, the cloud."""

from dataclasses import dataclass

from pipeline.items import Plan

MS = 1000.0
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
    """What is expected of a clip: ms on the device, on the link and in the cloud; does it need the device's
    model, and is the device done?"""

    device_ms: float
    transfer_ms: float
    cloud_ms: float
    uses_model: bool
    on_device: bool = True

    @property
    def keeps_model(self) -> bool:
        """Whether the device's model has this clip before it, or is at it."""
        return self.uses_model and self.on_device


class Backlog:
    """Follows every clip from its plan to its answer. All times are seconds of one monotonic clock.

    The device's model takes clips in the order of their plans; one that does not need it (split 0) passes
    by. The link takes them as they leave.
    """

    def __init__(self) -> None:
        self._clips: dict[str, _Clip] = {}
        self._rescues: dict[str, float] = {}
        self._in_cloud: dict[str, _Clip] = {}
        self._device_since = 0.0
        self._link_since = 0.0
        self._cloud_since = 0.0
        self._queue_ms: float | None = None
        self._asked_at = 0.0

    def planned(self, clip_id: str, plan: Plan, now: float) -> None:
        """A clip has its plan, and stands behind those before it."""
        expected = plan.expected_ms
        self._wake_device(now)
        self._clips[clip_id] = _Clip(
            expected.get("head", 0.0) + expected.get("encode", 0.0),
            max(expected.get("uplink", 0.0) - expected.get("downlink", 0.0), 0.0),
            expected.get("decode", 0.0) + expected.get("tail", 0.0),
            uses_model=plan.split > 0,
        )

    def head_done(self, clip_id: str, now: float) -> None:
        """The device has done its part; the clip goes out to the cloud, or it was the whole."""
        clip = self._clips.get(clip_id)
        if clip is None:
            return
        if all(other.on_device for other in self._clips.values()):
            self._link_since = now
        clip.on_device = False
        if clip.uses_model:
            self._device_since = now
            self._clips[clip_id] = self._clips.pop(clip_id)  # behind those that left before
        if clip.transfer_ms == 0:
            del self._clips[clip_id]

    def rescued(self, clip_id: str, rescue_ms: float, now: float) -> None:
        """The device's model now finishes this clip, which had left; until `rescue_over`."""
        self._wake_device(now)
        self._rescues[clip_id] = rescue_ms

    def rescue_over(self, clip_id: str, now: float) -> None:
        """The device's model has done with this clip, whoever answers it."""
        if self._rescues.pop(clip_id, None) is not None:
            self._device_since = now

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
        return max((clip.device_ms for clip in self._clips.values() if clip.keeps_model), default=0.0)

    def waits(self, now: float) -> Waits:
        """What a clip that is planned now finds in front of it: device, link and cloud work in order.

        How long clips of others make it wait in the cloud is forgotten when none was sent there for a
        while: who stays away from a long queue would not learn that it is gone.
        """
        device_ms, device_spent_ms = sum(self._rescues.values()), (now - self._device_since) * MS
        if self._rescues:
            device_ms, device_spent_ms = max(device_ms - device_spent_ms, 0.0), 0.0
        link_ms, link_spent_ms = 0.0, (now - self._link_since) * MS
        cloud_ms = self._cloud_busy_ms(now)
        for clip in sorted(self._clips.values(), key=_leaves_later):
            if clip.keeps_model:
                device_ms += max(clip.device_ms - device_spent_ms, 0.0)
                device_spent_ms = 0.0
            if clip.transfer_ms > 0:
                link_ms = max(link_ms, _leaves_in_ms(clip, device_ms)) + clip.transfer_ms
                if not clip.on_device:
                    link_ms -= min(link_spent_ms, clip.transfer_ms)
                    link_spent_ms = 0.0
                cloud_ms = max(cloud_ms, link_ms) + clip.cloud_ms
        asked = now - self._asked_at <= QUEUE_MEMORY_S
        return Waits(device_ms, link_ms, max((asked and self._queue_ms) or 0.0, cloud_ms - link_ms))

    def _wake_device(self, now: float) -> None:
        """Work for the device's model comes: it has been at it since now, if it had none."""
        if not self._rescues and not any(clip.keeps_model for clip in self._clips.values()):
            self._device_since = now

    def _cloud_busy_ms(self, now: float) -> float:
        """How long the cloud still works on clips of this device that it has."""
        busy_ms = 0.0
        spent_ms = (now - self._cloud_since) * MS
        for clip in self._in_cloud.values():
            busy_ms += max(clip.cloud_ms - spent_ms, 0.0)
            spent_ms = 0.0
        return busy_ms


def _leaves_later(clip: _Clip) -> bool:
    return clip.keeps_model


def _leaves_in_ms(clip: _Clip, model_ms: float) -> float:
    """When a clip is ready for the link, if the model is done with it and those before in `model_ms`."""
    if clip.keeps_model:
        return model_ms
    return clip.device_ms if clip.on_device else 0.0
