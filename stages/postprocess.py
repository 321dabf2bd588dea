"""Postprocess: logits become classes, and the answer for who asked."""

from collections.abc import AsyncGenerator

from pipeline.channel import Channel
from stages.receive import Reply
from stages.tail_infer import Inferred
from stages.tail_service import TailService
from transport.messages import Result


class Postprocess:
    """Names the best classes of each clip."""

    def __init__(self, service: TailService) -> None:
        self._service = service

    async def run(self, items: Channel[Inferred | Reply]) -> AsyncGenerator[Reply, None]:
        """Turn logits into replies; errors pass through."""
        async for item in items:
            yield item if isinstance(item, Reply) else Reply(item.asker, self._result(item))

    def _result(self, item: Inferred) -> Result:
        try:
            classes = self._service.classes(item.output)
        except ValueError as error:
            return Result(clip_id=item.clip_id, error=str(error), durations_ms=item.durations_ms)
        return Result(
            clip_id=item.clip_id,
            classes=tuple((score.name, score.class_id, score.confidence) for score in classes),
            durations_ms=item.durations_ms,
        )


async def deliver(reply: Reply) -> bool:
    """Answer on the session that asked; one that has gone will ask again. False: nobody waits any more."""
    return await reply.asker.send_result(reply.result)
