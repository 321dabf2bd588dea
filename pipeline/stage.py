"""What a stage is, and the rule that a bad clip is one failed record and never a dead pipeline."""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from pipeline.background import background
from pipeline.channel import Channel, Overflow
from pipeline.errors import JanusError, MessageTooLarge
from pipeline.items import Clip, Features, Packet, Planned, Prediction, Status

log = logging.getLogger(__name__)

Item = TypeVar("Item", Clip, Planned, Features, Packet)
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Stage:
    """A named async generator from the channel in front of it to a stream of items.

    `capacity` and `overflow` are those of that channel; `on_drop` makes the record of an item
    that had to leave it.
    """

    name: str
    run: Callable[[Channel[Any]], AsyncGenerator[Any, None]]
    capacity: int = 2
    overflow: Overflow = Overflow.BLOCK
    on_drop: Callable[[Any], Prediction] | None = None


def per_clip(
    work: Callable[[Item], Awaitable[Out | Prediction]],
) -> Callable[[AsyncIterable[Item | Prediction]], AsyncGenerator[Out | Prediction, None]]:
    """Make a stage of `work` on one item: records pass through, an error becomes a failed record."""

    async def run(items: AsyncIterable[Item | Prediction]) -> AsyncGenerator[Out | Prediction, None]:
        async for item in items:
            if isinstance(item, Prediction):
                yield item
            else:
                yield await _attempt(work, item)

    return run


def in_two_lanes(
    work: Callable[[Item], Awaitable[Out | Prediction]], quick: Callable[[Item], bool]
) -> Callable[[Channel[Item | Prediction]], AsyncGenerator[Out | Prediction, None]]:
    """As `per_clip`, but what is `quick` (as are records) passes by an item that is worked on and two that
    wait for that; the others keep their order."""

    async def run(items: Channel[Item | Prediction]) -> AsyncGenerator[Out | Prediction, None]:
        slow: Channel[Item] = Channel("slow lane", 2)
        done: Channel[Out | Prediction] = Channel("both lanes", 1)

        async def sort() -> None:
            async for item in items:
                if isinstance(item, Prediction):
                    await done.send(item)
                elif quick(item):
                    await done.send(await _attempt(work, item))
                else:
                    await slow.send(item)
            slow.close()

        async def attend() -> None:
            async for item in slow:
                await done.send(await _attempt(work, item))

        async def both() -> None:
            async with anyio.create_task_group() as lanes:
                lanes.start_soon(sort)
                lanes.start_soon(attend)
            done.close()

        async with background(both):
            async for outcome in done:
                yield outcome

    return run


async def _attempt(work: Callable[[Item], Awaitable[Out | Prediction]], item: Item) -> Out | Prediction:
    try:
        return await work(item)
    except MessageTooLarge:
        raise
    except JanusError as error:
        return failed(item, str(error))
    except Exception as error:
        clip_id = clip_of(item).clip_id
        log.exception("clip %s", clip_id, extra={"clip": clip_id})
        return failed(item, f"{type(error).__name__}: {error}")


def failed(item: Clip | Planned | Features | Packet, reason: str) -> Prediction:
    """The record of a clip that could not be finished."""
    plan = None if isinstance(item, Clip) else item.plan
    return Prediction.of(clip_of(item), Status.FAILED, reason=reason, plan=plan)


def dropped(item: Clip | Prediction, reason: str) -> Prediction:
    """The record of a clip that had to make room; what is a record already stays as it is."""
    return item if isinstance(item, Prediction) else Prediction.of(item, Status.DROPPED, reason=reason)


def clip_of(item: Clip | Planned | Features | Packet) -> Clip:
    """The clip that an item on its way through the device was made from."""
    if isinstance(item, Clip):
        return item
    if item.clip is None:
        raise ValueError(f"packet {item.header.clip_id} was not made on this device")
    return item.clip
