"""Pack token: what a part made of a clip becomes bytes for the device, and there a token again."""

from collections.abc import AsyncGenerator

import numpy as np
from numpy.typing import NDArray

from pipeline.channel import Channel
from pipeline.errors import ProtocolError
from stages.receive import Reply
from stages.tail_infer import Inferred
from transport.messages import Result

ELEMENT = np.dtype("<f4")
NOT_FINITE = "the part's token is not finite"


class PackToken:
    """Answers each clip with its token."""

    async def run(self, items: Channel[Inferred | Reply]) -> AsyncGenerator[Reply, None]:
        """Turn tokens into replies; errors pass through."""
        async for item in items:
            yield item if isinstance(item, Reply) else Reply(item.asker, _result(item))


def _result(item: Inferred) -> Result:
    if not np.isfinite(item.output).all():
        return Result(clip_id=item.clip_id, error=NOT_FINITE, durations_ms=item.durations_ms)
    payload = item.output.astype(ELEMENT).tobytes()
    return Result(clip_id=item.clip_id, payload=payload, durations_ms=item.durations_ms)


def unpack_token(payload: bytes | None, dim: int) -> NDArray[np.float32]:
    """The token [dim] in `payload`, which stays where it is; ProtocolError for any other size or value."""
    num_bytes = 0 if payload is None else len(payload)
    if payload is None or num_bytes != dim * ELEMENT.itemsize:
        raise ProtocolError(f"{num_bytes} bytes are no token of {dim} channels")
    token = np.frombuffer(payload, ELEMENT)
    if not np.isfinite(token).all():
        raise ProtocolError(NOT_FINITE)
    return token
