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
MOST = 1e4  # no part's last norm comes near
TOO_LARGE = f"the part's token has values beyond {MOST:,.0f}"


class PackToken:
    """Answers each clip with its token."""

    async def run(self, items: Channel[Inferred | Reply]) -> AsyncGenerator[Reply, None]:
        """Turn tokens into replies; errors pass through."""
        async for item in items:
            yield item if isinstance(item, Reply) else Reply(item.asker, _result(item))


def _result(item: Inferred) -> Result:
    error = _fault(item.output)
    if error is not None:
        return Result(clip_id=item.clip_id, error=error, durations_ms=item.durations_ms)
    payload = item.output.astype(ELEMENT).tobytes()
    return Result(clip_id=item.clip_id, payload=payload, durations_ms=item.durations_ms)


def unpack_token(payload: bytes | None, dim: int) -> NDArray[np.float32]:
    """The token [dim] in `payload`, which stays where it is; ProtocolError for any other size or value."""
    num_bytes = 0 if payload is None else len(payload)
    if payload is None or num_bytes != dim * ELEMENT.itemsize:
        raise ProtocolError(f"{num_bytes} bytes are no token of {dim} channels")
    token = np.frombuffer(payload, ELEMENT)
    error = _fault(token)
    if error is not None:
        raise ProtocolError(error)
    return token


def _fault(token: NDArray[np.float32]) -> str | None:
    """Why `token` cannot be a part's."""
    if not np.isfinite(token).all():
        return NOT_FINITE
    return TOO_LARGE if (np.abs(token) > MOST).any() else None
