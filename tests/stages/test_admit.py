import math

import anyio
import pytest

from pipeline.clock import ManualClock
from pipeline.errors import LinkLost
from pipeline.in_flight import InFlight
from pipeline.items import Plan, Prediction, Status
from pipeline.ledger import Ledger
from stages.admit import TOO_LATE, Admit, AdmitReplay
from tests.settled import settled
from tests.stages.frames import channel_of
from tests.stages.parts import WHOLE, clip_of

PLAN = Plan(WHOLE, 0, "png")


async def test_clips_go_on_as_pixels_with_the_one_plan_and_records_pass():
    clock = ManualClock(3.0)
    record = Prediction.of(clip_of(1), Status.FAILED)
    first, second = [
        item async for item in Admit(PLAN, InFlight(2), clock).run(await channel_of(clip_of(0), record))
    ]
    assert (first.plan, first.array is first.clip.frames, first.sizes) == (PLAN, True, None)
    assert first.latency_ms == {"wait": 3000.0}
    assert second is record


async def test_no_more_clips_are_let_in_than_may_be_under_way():
    in_flight, let_in = InFlight(2), []

    async def admit(items):
        async for features in Admit(PLAN, in_flight, ManualClock()).run(items):
            let_in.append(features.clip.seq)  # noqa: PERF401 - while it goes on

    items = await channel_of(*(clip_of(seq) for seq in range(4)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(admit, items)
        await settled()
        assert let_in == [0, 1]
        in_flight.leave("yard/000001")
        await settled()
        assert let_in == [0, 1, 2]
        in_flight.leave("yard/000000")


async def test_a_live_clip_for_which_it_is_too_late_by_then_is_dropped_and_one_of_a_file_never_is():
    asked = []

    def hopeless(now, deadline):
        asked.append((now, deadline))
        return deadline < 4.0

    clips = clip_of(0, deadline=3.5), clip_of(1, deadline=4.5)
    admit = Admit(PLAN, InFlight(2), ManualClock(3.0), hopeless)
    record, features = [item async for item in admit.run(await channel_of(*clips))]
    assert (record.status, record.reason) == (Status.DROPPED, TOO_LATE)
    assert features.clip is clips[1]
    assert asked == [(3.0, 3.5), (3.0, 4.5)]


@pytest.mark.parametrize(("sla_ms", "deadline"), [(None, math.inf), (200.0, 5.2)])
async def test_a_clip_of_a_file_is_ready_when_it_is_let_in_and_somebody_is_there(sla_ms, deadline):
    clock, ledger, there = ManualClock(), Ledger(sla_ms), anyio.Event()
    ledger.admit(clip_of(0))
    admit = AdmitReplay(PLAN, InFlight(1), clock, there.wait, ledger=ledger, sla_ms=sla_ms)
    got = []

    async def run(items):
        got.extend([item async for item in admit.run(items)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, await channel_of(clip_of(0)))
        await settled()
        assert got == []
        clock.advance(5.0)
        there.set()
    (features,) = got
    assert (features.clip.ready_at, features.clip.deadline) == (5.0, pytest.approx(deadline))
    assert features.latency_ms == {"wait": 0.0}
    (record,) = ledger.settle(Prediction.of(clip_of(0), Status.OK), 5.1)
    assert record.latency_ms["total"] == pytest.approx(100)


async def test_where_nobody_is_there_any_more_the_run_ends():
    async def nobody():
        raise LinkLost("no peer is there any more")

    admit = AdmitReplay(PLAN, InFlight(1), ManualClock(), nobody, ledger=Ledger(), sla_ms=None)
    with pytest.raises(LinkLost, match="no peer is there"):
        _ = [item async for item in admit.run(await channel_of(clip_of(0)))]
