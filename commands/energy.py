"""The energy of a run: from its first clip on."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from pipeline.channel import Channel
from pipeline.energy.shares import EnergyShares
from pipeline.worker import Worker

StageRun = Callable[[Channel[Any]], AsyncGenerator[Any, None]]


def from_first(run: StageRun, shares: EnergyShares | None, worker: Worker) -> StageRun:
    """The stage `run`, with whose first item `shares` begin, on `worker`'s thread; without any, as it is."""
    if shares is None:
        return run

    async def running(items: Channel[Any]) -> AsyncGenerator[Any, None]:
        begun = False
        async with aclosing(run(items)) as found:
            async for item in found:
                if not begun:
                    await worker.run(shares.begin)
                    begun = True
                yield item

    return running
