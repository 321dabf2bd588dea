"""Run stages as one pipeline: a task for each, a bounded channel between every two."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectStreamStatistics

from pipeline.channel import Channel
from pipeline.errors import JanusError
from pipeline.stage import Stage


class Pipeline:
    """Inlets feed the first stage, each stage the next; the last stage and the `producers` feed
    the outcomes, which `deliver` takes one by one. It ends when all of them have ended.

    An error in any of them cancels the others and is raised as itself, not as a group.
    """

    def __init__(
        self,
        inlets: Sequence[AsyncGenerator[Any, None]],
        stages: Sequence[Stage],
        deliver: Callable[[Any], Awaitable[None]],
        producers: Sequence[AsyncGenerator[Any, None]] = (),
        outcomes_capacity: int = 64,
    ) -> None:
        self._inlets = inlets
        self._stages = stages
        self._deliver = deliver
        self._producers = producers
        self._channels: list[Channel[Any]] = [
            Channel(stage.name, stage.capacity, stage.overflow) for stage in stages
        ]
        self._outcomes: Channel[Any] = Channel("outcomes", outcomes_capacity)

    async def run(self) -> None:
        """Run to the end of all inlets and producers."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._feed, self._inlets, 0)
                for position, stage in enumerate(self._stages[:-1]):
                    tasks.start_soon(self._feed, [stage.run(self._channels[position])], position + 1)
                last = self._stages[-1].run(self._channels[-1])
                tasks.start_soon(self._feed, [last, *self._producers], len(self._stages))
                tasks.start_soon(self._hand_over)
        except BaseExceptionGroup as group:
            raise root_cause(group) from group

    def statistics(self) -> dict[str, MemoryObjectStreamStatistics]:
        """How full each channel is, by the name of the stage behind it."""
        return {channel.name: channel.statistics() for channel in (*self._channels, self._outcomes)}

    async def _feed(self, producers: Sequence[AsyncGenerator[Any, None]], position: int) -> None:
        channel = self._channels[position] if position < len(self._channels) else self._outcomes
        async with anyio.create_task_group() as tasks:
            for producer in producers:
                tasks.start_soon(self._pump, producer, channel, position)
        channel.close()

    async def _pump(self, producer: AsyncGenerator[Any, None], channel: Channel[Any], position: int) -> None:
        async with aclosing(producer) as items:
            async for item in items:
                displaced = await channel.send(item)
                if displaced is not None:
                    await self._drop(displaced, position)

    async def _drop(self, item: Any, position: int) -> None:
        on_drop = self._stages[position].on_drop
        if on_drop is None:
            raise ValueError(f"stage {self._stages[position].name} drops items but makes no record of them")
        await self._outcomes.send(on_drop(item))

    async def _hand_over(self) -> None:
        async for outcome in self._outcomes:
            await self._deliver(outcome)


def root_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that best tells why a group of tasks ended: one for the user before any other."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, JanusError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
