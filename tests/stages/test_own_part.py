import threading
from contextlib import asynccontextmanager

import anyio
import numpy as np

from pipeline.worker import Worker
from stages.own_part import OwnPart
from stages.part_service import PartService
from tests.settled import settled
from tests.stages.ear import Ear
from tests.stages.packets import TickingClock
from tests.stages.parts import clip_of, part_of, pixels_packet


class Held(PartService):
    """A part that waits for the test before each clip."""

    def __init__(self, part):
        super().__init__(part)
        self.go = threading.Semaphore(0)

    def tokens(self, frames):
        assert self.go.acquire(timeout=10)
        return super().tokens(frames)


@asynccontextmanager
async def running():
    """A part here, its ear, and how to let it go on."""
    ear, service, times = Ear(), Held(part_of(0)), []
    with Worker("model") as worker:
        holder = OwnPart(service, 2, ear, worker=worker, clock=TickingClock(tick_s=0.5), ran=times.append)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(holder.run)
            yield holder, ear, service, times
            service.go.release(100)
            tasks.cancel_scope.cancel()


async def test_a_clip_is_run_here_and_its_token_told_with_what_it_took():
    async with running() as (holder, ear, service, times):
        service.go.release()
        holder.offer(pixels_packet(clip_of(0)))
        await ear.until(lambda: ear.tokens)
        (token,) = PartService(part_of(0)).tokens(clip_of(0).frames[None])
        np.testing.assert_allclose(ear.tokens["yard/000000"], token, atol=1e-6)
        assert ear.latency_ms["yard/000000"] == {"queue": 500.0, "tail": 500.0}
        assert times == [0.5]
        assert (holder.name, holder.part) == ("here", 2)


async def test_of_clips_that_wait_the_newest_is_run_and_the_others_are_told_as_missing():
    async with running() as (holder, ear, service, _):
        for seq in range(4):
            holder.offer(pixels_packet(clip_of(seq)))
            await settled()
        assert [clip_id for clip_id, _, _ in ear.gone] == ["yard/000001", "yard/000002"]
        assert {part for _, part, _ in ear.gone} == {2}
        service.go.release(2)
        await ear.until(lambda: len(ear.tokens) == 2)
        assert list(ear.tokens) == ["yard/000000", "yard/000003"]


async def test_it_is_behind_from_when_nobody_waits_for_what_it_runs_until_that_is_done():
    async with running() as (holder, ear, service, _):
        holder.offer(pixels_packet(clip_of(0)))
        await settled()
        holder.offer(pixels_packet(clip_of(1)))
        holder.withdraw("yard/000001")
        assert holder.prompt
        holder.withdraw("yard/000000")
        assert not holder.prompt
        service.go.release(2)
        await ear.until(lambda: ear.tokens)
        await settled()
        assert holder.prompt
        assert list(ear.tokens) == ["yard/000000"]


async def test_an_error_of_the_part_is_of_one_clip(monkeypatch):
    async with running() as (holder, ear, service, _):
        service.go.release(2)
        tokens = service.tokens
        monkeypatch.setattr(service, "tokens", lambda frames: 1 / 0)
        holder.offer(pixels_packet(clip_of(0)))
        await ear.until(lambda: ear.gone)
        monkeypatch.setattr(service, "tokens", tokens)
        holder.offer(pixels_packet(clip_of(1)))
        await ear.until(lambda: ear.tokens)
        assert ear.gone == [("yard/000000", 2, "ZeroDivisionError: division by zero")]
