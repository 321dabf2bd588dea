"""Send: packets cross the link, answers come back as records."""

from collections.abc import AsyncGenerator

from pipeline.channel import Channel
from pipeline.errors import LinkError, MessageTooLarge, ProtocolError
from pipeline.items import ClassScore, Packet, Prediction, Ran, Status
from pipeline.stage import clip_of, failed
from scheduling.bandwidth import HarmonicMean
from transport.client import CloudClient
from transport.events import Acked, Answered, LinkUp

MS = 1000.0
CLOUD_PARTS = ("queue", "decode", "tail")


class Send:
    """Hands packets to the session with the cloud, and makes records of what the cloud answers.

    `run` is the stage, `answers` the producer beside it. Both raise LinkError once the session has
    given up for good, and MessageTooLarge for a packet that this cloud will never take.
    """

    def __init__(self, client: CloudClient, bandwidth: HarmonicMean) -> None:
        self._client = client
        self._bandwidth = bandwidth
        self._rtt_ms: float | None = None
        self._uplink_ms: dict[str, float] = {}

    async def run(self, items: Channel[Packet | Prediction]) -> AsyncGenerator[Prediction, None]:
        """Pass records on, send packets; ends when every packet has been answered."""
        async for item in items:
            if isinstance(item, Prediction):
                yield item
                continue
            try:
                await self._client.submit(item)
            except (LinkError, MessageTooLarge):
                raise
            except ProtocolError as error:
                yield failed(item, str(error))
        await self._client.drain()

    async def answers(self) -> AsyncGenerator[Prediction, None]:
        """The record of each packet, in whichever order the cloud answers."""
        async for event in self._client.events():
            match event:
                case LinkUp():
                    self._rtt_ms = event.rtt_s * MS
                case Acked():
                    self._bandwidth.add(event.num_bytes, event.seconds)
                    self._uplink_ms[event.clip_id] = event.seconds * MS
                case Answered():
                    yield self._record(event)

    def _record(self, answered: Answered) -> Prediction:
        packet, result = answered.packet, answered.result
        uplink_ms = self._uplink_ms.pop(packet.header.clip_id, 0.0)
        error = result.error or (None if result.classes else "answered without a class")
        durations_ms = {part: ms for part, ms in result.durations_ms.items() if part in CLOUD_PARTS}
        return Prediction.of(
            clip_of(packet),
            Status.FAILED if error else Status.OK,
            reason=f"cloud: {error}" if error else None,
            classes=tuple(ClassScore(*score) for score in result.classes),
            plan=packet.plan,
            ran=Ran.CLOUD if packet.header.split == 0 else Ran.SPLIT,
            latency_ms={**packet.latency_ms, "uplink": uplink_ms, **durations_ms},
            link_mbps=self._bandwidth.mbps,
            link_rtt_ms=self._rtt_ms,
            sent_bytes=len(packet.payload) + len(packet.sizes),
        )


async def nothing_to_send(items: Channel[Prediction]) -> AsyncGenerator[Prediction, None]:
    """The stage of a device without a cloud: every clip has ended here already."""
    async for item in items:
        yield item
