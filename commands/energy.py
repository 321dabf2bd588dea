"""The energy of a run: from its first clip on, and in words."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from pipeline.channel import Channel
from pipeline.energy.shares import EnergyShares
from pipeline.worker import Worker

StageRun = Callable[[Channel[Any]], AsyncGenerator[Any, None]]


def from_first(run: StageRun, shares: EnergyShares, worker: Worker) -> StageRun:
    """The stage `run`, whose first item is when `shares` begin, on `worker`'s thread."""

    async def running(items: Channel[Any]) -> AsyncGenerator[Any, None]:
        begun = False
        async with aclosing(run(items)) as found:
            async for item in found:
                if not begun:
                    await worker.run(shares.begin)
                    begun = True
                yield item

    return running
