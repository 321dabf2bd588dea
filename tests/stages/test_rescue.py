from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import numpy as np
import pytest

from pipeline.clock import ManualClock
from pipeline.items import Features, Plan, Prediction, Pruning, Ran, Status
from pipeline.worker import Worker
from scheduling.rescue import LocalFinishes
from scheduling.rescue_timer import SPARE_S, RescueTimer
from scheduling.situation import Situation
from stages.rescue import Rescue
from tests.pipeline.clips import make_clip
from tests.scheduling.machines import NUM_LAYERS, NUM_TOKENS, make_device
from tests.settled import settled

FINISHES = LocalFinishes(make_device())
FASTEST_S = FINISHES.fastest_ms(4, 20) / 1000
PLAN = Plan(Pruning("none", 0.0, (0,) * NUM_LAYERS), 4, "int8", expected_ms={"head": 80.0})
AWAY_S = 0.3
EXPECTED = replace(PLAN, expected_ms={"head": 80.0, "uplink": 100.0, "tail": 150.0, "downlink": 50.0})


class FakeHead:
    """Notes which clips it finishes, and with which pruning; fails those in `broken`."""

    num_tokens = NUM_TOKENS

    def __init__(self, broken=()):
        self.finished = []
        self.takes_ms = 0.0
        self._broken = broken

    def finish(self, features, pruning):
        clip = features.clip
        if clip.seq in self._broken:
            raise RuntimeError("out of memory")
        self.finished.append((clip.seq, pruning))
        return Prediction.of(clip, Status.OK, ran=Ran.RESCUE, latency_ms={"rescue": self.takes_ms})


class Scene:
    """A rescue that runs on a clock that is turned; `records` as they come, `withdrawn` clips."""

    def __init__(self, worker, head, **options):
        self.clock, self.worker = ManualClock(), worker
        self.situation = Situation()
        self.records: list[Prediction] = []
        self.withdrawn: list[str] = []
        self.head = head
        timer = RescueTimer(options.pop("finishes", FINISHES), 10.0)
        self.rescue = Rescue(
            timer, head, worker, self.situation, self.clock, withdraw=self.withdrawn.append, **options
        )

    def keep(self, seq=0, deadline=5.0, tokens=20, plan=PLAN):
        clip = make_clip(seq, deadline=deadline)
        array = np.zeros((tokens, 8), np.float32) if plan.split else clip.frames
        self.rescue.keep(Features(clip, plan, array, np.ones(tokens, np.uint16) if plan.split else None))
        return clip.clip_id

    async def run(self):
        async for record in self.rescue.records():
            self.records.append(record)
            self.rescue.over(record.clip_id)

    async def turn(self, seconds):
        self.clock.advance(seconds)
        for _ in range(3):
            await settled()
            await self.worker.run(lambda: None)  # behind what the worker was given
        await settled()

    @property
    def seqs(self):
        return [record.seq for record in self.records]


@asynccontextmanager
async def scene(broken=(), **options) -> AsyncIterator[Scene]:
    with Worker("model") as worker:
        made = Scene(worker, FakeHead(broken), **options)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.run)
            with anyio.fail_after(20):
                yield made
                made.rescue.close()


async def test_a_clip_is_finished_when_it_would_only_just_be_in_time_and_not_before():
    async with scene() as made:
        clip_id = made.keep()
        made.rescue.sent(clip_id)
        await made.turn(5.0 - 0.010 - FASTEST_S - 0.05)
        assert made.records == []
        await made.turn(0.051)
        assert made.seqs == [0]
        assert made.records[0].ran is Ran.RESCUE
        assert made.withdrawn == [clip_id]
        assert made.head.finished[0][1].removed == FINISHES.lightest(4, 20, FASTEST_S * 1000).pruning.removed


async def test_a_clip_whose_answer_is_overdue_is_finished_while_there_is_time_to_merge_nothing():
    lightest = FINISHES.after(4, 20)[0]
    async with scene() as made:
        made.keep(plan=EXPECTED)
        await made.turn(5.0 - 0.010 - lightest.ms / 1000 - SPARE_S - 0.005)
        assert made.records == []
        await made.turn(0.006)
        assert made.seqs == [0]
        assert made.head.finished[0][1].removed == lightest.pruning.removed


async def test_an_answer_that_is_not_overdue_is_waited_for_to_the_last_moment():
    async with scene() as made:
        made.keep(plan=EXPECTED, deadline=2 * AWAY_S + FASTEST_S)
        await made.turn(2 * AWAY_S - 0.010 - 0.001)
        assert made.records == []
        await made.turn(0.002)
        assert made.seqs == [0]


async def test_an_answer_in_time_leaves_the_device_alone():
    async with scene() as made:
        clip_id = made.keep()
        await made.turn(1.0)
        made.rescue.over(clip_id)
        await made.turn(100.0)
        assert made.records == []
        assert made.rescue.num_bytes == 0


async def test_a_slow_device_begins_sooner_and_so_does_one_that_may_be_busy():
    async with scene() as made:
        for _ in range(50):
            made.situation.device.add(10.0, 20.0)
        factor = made.situation.device.factor
        made.situation.planned("other", PLAN, 0.0)
        made.keep()
        await made.turn(5.0 - 0.010 - FASTEST_S * factor - 0.080 - 0.01)
        assert made.records == []
        await made.turn(0.011)
        assert made.seqs == [0]


async def test_a_device_that_is_now_and_then_held_up_begins_sooner_and_merges_as_much_as_before():
    async with scene() as made:
        for _ in range(20):
            made.situation.overrun.add(80.0, 200.0)
        made.keep()
        await made.turn(5.0 - 0.010 - FASTEST_S - 0.120 - 0.01)
        assert made.records == []
        await made.turn(0.011)
        assert made.seqs == [0]
        assert made.head.finished[0][1].removed == FINISHES.lightest(4, 20, FASTEST_S * 1000).pruning.removed


async def test_how_far_a_finish_went_beyond_is_learnt_from():
    async with scene() as made:
        made.head.takes_ms = FASTEST_S * 1000 + 50.0
        for seq in range(10):
            made.keep(seq, deadline=made.clock.now() + 0.010 + FASTEST_S * 0.9)
            await made.turn(0.001)
        assert made.seqs == list(range(10))
        assert made.situation.overrun.ms == pytest.approx(50.0)


async def test_a_lost_link_makes_the_device_finish_at_once_the_most_urgent_first():
    async with scene() as made:
        for seq, deadline in enumerate((9.0, 7.0, 8.0)):
            made.keep(seq, deadline)
        await made.turn(0.0)
        made.rescue.lost()
        await made.turn(0.0)
        assert made.seqs == [1, 2, 0]
        assert made.withdrawn == [], "they were never handed in"


async def test_without_a_promise_or_a_profile_only_a_lost_link_counts_and_the_plan_goes_on():
    async with scene(finishes=None) as made:
        made.keep(0, deadline=1.0)
        await made.turn(50.0)
        assert made.records == []
        made.rescue.lost("cam/000000")
        await made.turn(0.0)
        assert made.head.finished == [(0, None)]


async def test_features_beyond_the_bound_are_not_kept():
    async with scene(most_bytes=2 * 20 * 8 * 4) as made:
        for seq in range(3):
            made.keep(seq)
        assert made.rescue.num_bytes == 2 * 20 * 8 * 4
        made.rescue.lost()
        await made.turn(0.0)
        assert made.seqs == [0, 1]
        assert made.rescue.num_bytes == 0


async def test_pixels_are_finished_from_the_first_layer_on():
    async with scene() as made:
        made.keep(plan=replace(PLAN, split=0))
        made.rescue.lost()
        await made.turn(0.0)
        assert made.seqs == [0]
        assert len(made.head.finished[0][1].removed if made.head.finished[0][1] else ()) in (0, NUM_LAYERS)


async def test_a_clip_that_waits_to_be_handed_in_is_let_go_when_it_is_finished_here():
    async with scene() as made:
        clip_id = made.keep()
        scope = made.rescue.sending(clip_id)
        with scope:
            made.rescue.lost(clip_id)
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        await made.turn(0.0)
        assert made.seqs == [0]


async def test_a_clip_that_was_finished_before_its_turn_is_not_handed_in():
    async with scene() as made:
        clip_id = made.keep()
        made.rescue.lost()
        await made.turn(0.0)
        assert made.seqs == [0]
        assert made.rescue.sending(clip_id) is None
        assert made.rescue.sending("cam/000099") is not None, "one that was never kept"


@pytest.mark.parametrize("sent", [True, False])
async def test_a_clip_that_cannot_be_finished_fails_unless_the_cloud_may_still_answer(sent):
    async with scene(broken=(0,)) as made:
        clip_id = made.keep()
        if sent:
            made.rescue.sent(clip_id)
        made.rescue.lost()
        await made.turn(0.0)
        assert [(r.status, r.reason) for r in made.records] == (
            [] if sent else [(Status.FAILED, "RuntimeError: out of memory")]
        )
        assert not made.rescue.holds(clip_id)


async def test_it_ends_only_after_the_last_clip_that_it_keeps():
    async with scene() as made:
        made.keep()
        made.rescue.close()
        await made.turn(1.0)
        assert made.records == []
        await made.turn(4.0)
        assert made.seqs == [0]
