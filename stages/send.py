"""Send: packets cross the link, answers come back as records."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.errors import LinkError, LinkLost, MessageTooLarge, ProtocolError
from pipeline.items import ClassScore, Packet, Plan, Prediction, Ran, Status
from pipeline.stage import clip_of, failed
from scheduling.situation import Situation
from stages.rescue import Rescue
from transport.client import CloudClient
from transport.events import Answered, LinkDown, LinkUp
from transport.messages import Welcome

log = logging.getLogger(__name__)

CLOUD_PARTS = ("queue", "decode", "tail")


class Rescalable(Protocol):
    """A policy that can be told how far a codec's profile is off."""

    def rescale(self, codec: str, factor: float) -> None: ...


OnWelcome = Callable[[Welcome], Awaitable[None]]


class Send:
    """Hands packets to the session with the cloud, and makes records of what the cloud answers.

    `run` is the stage, `answers` the producer beside it. Both raise LinkError once the session has given up
    for good. Without a `rescue` a packet that this cloud will never take ends it too, with MessageTooLarge;
    with one the clip is finished here, as is every clip that finds no link. `on_welcome` hears of each cloud.
    """

    def __init__(
        self,
        client: CloudClient,
        situation: Situation,
        policy: Rescalable,
        clock: Clock,
        top_k: int | None = None,
        *,
        rescue: Rescue | None = None,
        on_welcome: OnWelcome | None = None,
    ) -> None:
        self._client = client
        self._situation = situation
        self._policy = policy
        self._clock = clock
        self._top_k = top_k
        self._rescue = rescue
        self._on_welcome = on_welcome

    async def run(self, items: Channel[Packet | Prediction]) -> AsyncGenerator[Prediction, None]:
        """Pass records on, send packets; ends when every packet has been answered, or finished here."""
        async for item in items:
            if isinstance(item, Prediction):
                if self._rescue is not None:
                    self._rescue.sending(item.clip_id)
                yield ended_here(item, self._situation, self._clock.now())
                continue
            self._left_device(item)
            try:
                await (self._client.submit(item) if self._rescue is None else self._try(item, self._rescue))
            except (LinkError, MessageTooLarge):
                raise
            except ProtocolError as error:
                yield ended_here(failed(item, str(error)), self._situation, self._clock.now())
        await self._client.drain()
        if self._rescue is not None:
            self._rescue.close()

    async def _try(self, packet: Packet, rescue: Rescue) -> None:
        """Hand a packet in unless its clip is finished here before there is room for it, or has to be."""
        clip_id = packet.header.clip_id
        scope = rescue.sending(clip_id)
        if scope is None:
            return
        try:
            with scope:
                if self._client.connected or not rescue.holds(clip_id):
                    await self._client.submit(packet)
                    rescue.sent(clip_id)
                    return
        except (LinkLost, MessageTooLarge) as error:
            if not rescue.holds(clip_id):
                raise ProtocolError(str(error)) from None
        rescue.lost(clip_id)

    async def answers(self) -> AsyncGenerator[Prediction, None]:
        """The record of each packet, in whichever order the cloud answers."""
        async for event in self._client.events():
            match event:
                case Answered():
                    yield self._record(event)
                case LinkUp():
                    log.log(event.log_level, "%s: connected", event.peer, extra={"peer": event.peer})
                    if self._on_welcome is not None:
                        await self._on_welcome(event.welcome)
                case LinkDown() if self._rescue is not None:
                    log.warning("%s; going on alone", event.reason, extra={"peer": event.peer})
                    self._rescue.lost()

    def _left_device(self, packet: Packet) -> None:
        clip, plan = clip_of(packet), packet.plan
        if plan is not None:
            head_ms = packet.latency_ms.get("head", 0.0)
            self._situation.head_done(clip.clip_id, plan, head_ms, self._clock.now())
            self._policy.rescale(plan.codec, self._situation.encoded(plan, _num_bytes(packet)))

    def _record(self, answered: Answered) -> Prediction:
        packet, result = answered.packet, answered.result
        clip_id = packet.header.clip_id
        error = result.error or (None if result.classes else "answered without a class")
        cloud_ms = {part: ms for part, ms in result.durations_ms.items() if part in CLOUD_PARTS}
        self._situation.answered(clip_id, packet.plan, cloud_ms, self._clock.now())
        upload_ms = self._situation.upload_ms(clip_id) or 0.0
        return Prediction.of(
            clip_of(packet),
            Status.FAILED if error else Status.OK,
            reason=f"cloud: {error}" if error else None,
            classes=tuple(ClassScore(*score) for score in result.classes[: self._top_k]),
            plan=packet.plan,
            ran=Ran.CLOUD if packet.header.split == 0 else Ran.SPLIT,
            latency_ms={**packet.latency_ms, **self._uplink(packet.plan, upload_ms), **cloud_ms},
            sent_bytes=_num_bytes(packet),
        )

    def _uplink(self, plan: Plan | None, upload_ms: float) -> dict[str, float]:
        """The upload less the way back of its acknowledgement, which is half a round trip."""
        back_ms = plan.moment.rtt_ms / 2 if plan is not None and plan.moment is not None else 0.0
        return {"uplink": max(upload_ms - back_ms, 0.0)}


def ended_here(record: Prediction, situation: Situation, now: float) -> Prediction:
    """Let the situation know of a clip that ended on the device."""
    if record.plan is not None:
        situation.head_done(record.clip_id, record.plan, record.latency_ms.get("head", 0.0), now)
    situation.answered(record.clip_id, None, {}, now)
    return record


def _num_bytes(packet: Packet) -> int:
    return len(packet.payload) + len(packet.sizes)


class KeepHere:
    """The stage in place of `Send` on a device without a cloud: every clip has ended here already."""

    def __init__(self, situation: Situation, clock: Clock) -> None:
        self._situation = situation
        self._clock = clock

    async def run(self, items: Channel[Prediction]) -> AsyncGenerator[Prediction, None]:
        """Pass records on."""
        async for item in items:
            yield ended_here(item, self._situation, self._clock.now())
