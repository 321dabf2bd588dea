from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.channel import Channel, Overflow
from pipeline.clock import ManualClock
from pipeline.in_flight import InFlight
from pipeline.items import Plan, Planned, Prediction, Pruning, Status
from pipeline.ledger import Ledger
from pipeline.stage import per_clip
from scheduling.admission import Admission
from scheduling.situation import Situation
from stages.schedule import Schedule, ScheduleLive, ScheduleReplay
from tests.pipeline.clips import make_clip, make_ok
from tests.settled import settled
from tests.stages.frames import channel_of
from tests.stages.packets import TickingClock

PRUNING = Pruning("none", 0.0, (0,) * 12)


class InTurn:
    """Cuts the n-th clip it is asked about after layer n; notes what was known; fails at `fail_at`."""

    def __init__(self, fail_at=()):
        self.moments = []
        self._fail_at = fail_at

    def choose(self, moment):
        self.moments.append(moment)
        split = len(self.moments) - 1
        if split in self._fail_at:
            raise ValueError("no plan for you")
        expected_ms = {"head": 100.0, "total": 100.0}
        return Plan(PRUNING, split, "float32", expected_ms=expected_ms, moment=moment)


async def test_each_clip_gets_the_plan_chosen_for_it_and_the_time_of_the_choice():
    schedule = Schedule(InTurn(), Situation(), TickingClock(start_s=7.0))
    clips = [make_clip(seq) for seq in range(3)]
    planned = [await schedule(clip) for clip in clips]
    assert [type(item) for item in planned] == [Planned] * 3
    assert [item.clip for item in planned] == clips
    assert [item.plan.split for item in planned] == [0, 1, 2]
    assert [item.planned_at for item in planned] == [7.0, 7.25, 7.5]


async def test_a_policy_hears_of_the_clips_deadline_the_link_and_the_clips_before():
    situation, clock, policy = Situation(), ManualClock(5.0), InTurn()
    situation.link_up(0.02, 4.0)
    schedule = Schedule(policy, situation, clock)
    await schedule(make_clip(0, deadline=5.3))
    await schedule(make_clip(1))
    clock.advance(0.04)
    await schedule(make_clip(2))
    pixels, first, second = policy.moments
    assert (pixels.budget_ms, pixels.rtt_ms) == (pytest.approx(300), 20.0)
    assert (first.device_wait_ms, second.device_wait_ms) == (0.0, pytest.approx(60))
    assert second.budget_ms == float("inf")


class Live:
    """A live schedule stage behind a channel that drops the oldest; the clips that it planned."""

    def __init__(self, fail_at=()):
        self.clock, self.planned = ManualClock(100.0), []
        self.admission = Admission(600.0)
        schedule = Schedule(InTurn(fail_at), Situation(), self.clock)
        self.stage = ScheduleLive(schedule, self.admission, self.clock)
        self.channel = Channel("schedule", 2, Overflow.DROP_OLDEST)

    async def run(self):
        async for item in self.stage.run(self.channel):
            self.planned.append(item.clip.seq)

    async def arrive(self, *seqs):
        """The seqs of clips that had to make room."""
        displaced = []
        for seq in seqs:
            clip = await self.channel.send(make_clip(seq))
            if clip is not None:
                displaced.append(clip.seq)
                self.record(clip.seq, Status.DROPPED)
        await settled()
        return displaced

    def record(self, seq, status=Status.OK, total_ms=10.0):
        record = Prediction.of(make_clip(seq), status, latency_ms={"total": total_ms})
        self.stage.recorded(record)


async def test_clips_that_find_no_room_wait_where_newer_ones_replace_them():
    live = Live()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live.run)
        await live.arrive(0, 1)
        live.admission.dropped(100.0)
        live.record(0, total_ms=700.0)
        await live.arrive(2)
        assert live.planned == [0, 1, 2]  # 0.85 of the two under way, which is one, and another at the door
        assert await live.arrive(3, 4, 5, 6) == [3, 4]
        live.record(1)
        await settled()
        assert live.planned == [0, 1, 2]
        live.record(2)
        await settled()
        assert live.planned == [0, 1, 2, 5]
        live.record(5)
        await settled()
        live.channel.close()
        live.record(6)
    assert live.planned == [0, 1, 2, 5, 6]


async def test_a_live_clip_that_cannot_be_planned_makes_room_with_its_record():
    live = Live()
    live.stage = ScheduleLive(
        Schedule(InTurn(fail_at=[0]), Situation(), live.clock), live.admission, live.clock
    )
    await live.channel.send(make_clip(0))
    live.channel.close()
    (failed,) = [item async for item in live.stage.run(live.channel)]
    assert failed.status is Status.FAILED
    live.admission.dropped(100.0)
    live.stage.recorded(replace(failed, latency_ms={"total": 900.0}))
    assert live.admission.limit == 1
    assert live.admission.has_room


class Replay:
    """A replay's schedule stage, its ledger, and a clock to turn."""

    def __init__(self, in_flight=None, sla_ms=None, fail_at=()):
        self.clock, self.ledger, self.policy = ManualClock(100.0), Ledger(sla_ms), InTurn(fail_at)
        self.in_flight = InFlight(in_flight)
        schedule = Schedule(self.policy, Situation(), self.clock)
        self.stage = ScheduleReplay(schedule, self.ledger, self.in_flight, self.clock, sla_ms)

    def admitted(self, count, **times):
        clips = [make_clip(seq, **times) for seq in range(count)]
        for clip in clips:
            self.ledger.admit(clip)
        return clips

    def recorded(self, clip, status=Status.OK):
        """The clip's record leaves the pipeline."""
        (record,) = self.ledger.settle(replace(make_ok(clip), status=status), self.clock.now())
        self.in_flight.leave(clip.clip_id)
        return record


@pytest.mark.parametrize(("latency_s", "status"), [(0.2, Status.OK), (0.4, Status.LATE)])
async def test_a_replayed_clip_counts_from_when_it_is_scheduled(latency_s, status):
    replay = Replay(sla_ms=300)
    (clip,) = replay.admitted(1, ready_at=1.0, deadline=1.3)
    planned = await replay.stage(clip)
    assert (planned.clip.ready_at, planned.clip.deadline) == (100.0, pytest.approx(100.3))
    assert replay.policy.moments[0].budget_ms == pytest.approx(300)
    replay.clock.advance(latency_s)
    record = replay.recorded(clip)
    assert (record.latency_ms["total"], record.status) == (pytest.approx(latency_s * 1000), status)


async def test_without_a_promise_a_replayed_clip_has_no_deadline():
    replay = Replay()
    (clip,) = replay.admitted(1, ready_at=1.0)
    planned = await replay.stage(clip)
    assert planned.clip.deadline == float("inf")
    assert replay.policy.moments[0].budget_ms == float("inf")


@settings(max_examples=20, deadline=None)
@given(most=st.integers(1, 3), failing=st.sets(st.integers(0, 7)))
async def test_no_more_clips_than_the_bound_are_out_and_failed_ones_make_room_too(most, failing):
    replay = Replay(in_flight=most, fail_at=failing)
    clips = replay.admitted(8)
    out = []

    async def run():
        async for item in per_clip(replay.stage)(await channel_of(*clips)):
            out.append(item)  # noqa: PERF401 - watched while it grows

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for clip in clips:
            await settled()
            assert len(out) == min(clip.seq + most, len(clips))
            replay.clock.advance(1.0)
            item = out[clip.seq]
            record = replay.recorded(clip, item.status if isinstance(item, Prediction) else Status.OK)
            assert record.status is (Status.FAILED if clip.seq in failing else Status.OK)
    assert [item.clip.seq for item in out if isinstance(item, Planned)] == sorted(set(range(8)) - failing)
    assert replay.ledger.balanced


async def test_time_spent_waiting_for_room_is_not_a_clips_latency():
    replay = Replay(in_flight=1)
    first, second = replay.admitted(2)
    await replay.stage(first)

    async def later():
        await settled()
        replay.clock.advance(9.0)
        replay.recorded(first)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(later)
        planned = await replay.stage(second)
    assert (planned.planned_at, planned.clip.ready_at) == (109.0, 109.0)
    replay.clock.advance(0.5)
    assert replay.recorded(second).latency_ms["total"] == pytest.approx(500)
