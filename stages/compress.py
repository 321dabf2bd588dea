"""Compress: features become the bytes that cross the link."""

import numpy as np

from pipeline.clock import Clock
from pipeline.items import Features, Header, Packet
from pipeline.worker import Worker
from transport.codecs import get_codec, is_brief

MS = 1000.0


class Compress:
    """Encodes features with their plan's codec, on the codec thread; what only copies, on the spot."""

    def __init__(self, worker: Worker, clock: Clock) -> None:
        self._worker = worker
        self._clock = clock

    async def __call__(self, features: Features) -> Packet:
        if is_brief(features.plan.codec, features.array.nbytes):
            return self.encode(features)
        return await self._worker.run(self.encode, features)

    def encode(self, features: Features) -> Packet:
        """Encode; blocks, for the codec thread. Raises CodecError for features no codec can carry."""
        started = self._clock.now()
        payload = get_codec(features.plan.codec).encode(features.array)
        sizes = _sizes_bytes(features)
        encode_ms = (self._clock.now() - started) * MS
        return Packet(
            _header(features),
            payload,
            sizes,
            features.clip,
            features.plan,
            {**features.latency_ms, "encode": encode_ms},
        )


def _header(features: Features) -> Header:
    clip, plan = features.clip, features.plan
    return Header(
        clip_id=clip.clip_id,
        source=clip.source,
        seq=clip.seq,
        split=plan.split,
        pruning=str(plan.pruning),
        removed=plan.pruning.removed,
        codec=plan.codec,
        shape=features.array.shape,
    )


def _sizes_bytes(features: Features) -> bytes:
    sizes = features.sizes
    if sizes is None or (sizes == 1).all():
        return b""
    return sizes.astype(np.dtype("<u2")).tobytes()
