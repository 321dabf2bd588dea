import math
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.channel import Channel
from pipeline.clock import ManualClock
from pipeline.items import Prediction, Ran, Status
from pipeline.signal import Signal
from pipeline.worker import Worker
from scheduling.gathering import Gathering
from stages.fuse import Fuse
from stages.holder import DISPLACED
from stages.spread import MOST_TIMES, Spread
from tests.devit.small import VIT
from tests.settled import settled
from tests.stages.parts import clip_of, fusion_of, pixels_packet

PARTS = 3
ANSWER_S = 30.0


class FakeHolder:
    """A peer that answers when the test says so."""

    def __init__(self, part, name=None):
        self.name = name or f"peer{part}"
        self.part, self.prompt = part, True
        self.offered, self.withdrawn = [], []

    def offer(self, packet):
        self.offered.append(packet.header.clip_id)

    def withdraw(self, clip_id):
        self.withdrawn.append(clip_id)


class AtOnce:
    """A worker that takes none of the clock's time, however busy the machine."""

    async def run(self, call, *arguments):
        return call(*arguments)


def token(part):
    return np.random.default_rng(part).standard_normal(VIT.dim, np.float32)


class World:
    """A spread among holders on a clock that the test turns; `records` fills as it decides."""

    def __init__(self, holders, worker):
        self.clock = ManualClock()
        self.holders = holders
        self.spread = Spread(Gathering(ANSWER_S, margin_s=0.01), Fuse(fusion_of(PARTS)), worker, self.clock)
        for holder in holders:
            self.spread.add(holder)
        self.items = Channel("spread", 64)
        self.records = []
        self._more = Signal()

    async def send(self, seq, deadline=math.inf):
        await self.items.send(pixels_packet(clip_of(seq, ready_at=self.clock.now(), deadline=deadline)))
        await settled()

    def answer(self, seq, part, **parts):
        self.spread.arrived(f"yard/{seq:06d}", part, token(part), {"uplink": 2.0, "tail": 3.0})

    async def turn(self, seconds):
        self.clock.advance(seconds)
        await self.done(0)

    async def done(self, count):
        """Wait until so many records are there; a fusion runs on a thread."""
        await settled()
        with anyio.fail_after(10):
            while len(self.records) < count:
                await self._more.wait()
        await settled()

    async def run(self):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._collect, self.spread.run(self.items))
            tasks.start_soon(self._collect, self.spread.records())

    async def _collect(self, records):
        async for record in records:
            self.records.append(record)
            self._more.notify()


@pytest.fixture(scope="module")
def worker():
    with Worker("model") as worker:
        yield worker


@asynccontextmanager
async def running(worker):
    world = World([FakeHolder(part) for part in range(PARTS)], worker)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.run)
        yield world
        tasks.cancel_scope.cancel()


def contributed(record):
    return [answer.part for answer in record.parts if answer.missing is None]


async def test_a_clip_goes_to_every_part_and_all_tokens_are_fused_to_its_record(worker):
    async with running(worker) as world:
        await world.send(0)
        assert all(holder.offered == ["yard/000000"] for holder in world.holders)
        for part in (2, 0, 1):
            assert world.records == []
            world.clock.advance(0.5)
            world.answer(0, part)
        await world.done(1)
        (record,) = world.records
        assert (record.status, record.ran, record.reason) == (Status.OK, Ran.PEERS, None)
        assert record.classes == Fuse(fusion_of(PARTS))({part: token(part) for part in range(PARTS)})
        assert record.latency_ms == {"encode": 0.0, "gather": 1500.0, "fuse": 0.0}
        assert [(answer.part, answer.peer) for answer in record.parts] == [
            (1, "peer0"),
            (2, "peer1"),
            (3, "peer2"),
        ]
        assert record.parts[0].latency_ms == {"uplink": 2.0, "tail": 3.0}
        assert record.sent_bytes == PARTS * len(pixels_packet(clip_of(0)).payload)
        assert all(holder.withdrawn == [] for holder in world.holders)


async def test_at_its_deadline_a_clip_takes_what_is_in_and_nobody_waits_for_the_rest(worker):
    async with running(worker) as world:
        await world.send(0, deadline=1.0)
        world.answer(0, 1)
        await world.turn(0.98)
        assert world.records == []
        world.clock.advance(0.015)
        await world.done(1)
        (record,) = world.records
        assert record.status is Status.OK
        assert contributed(record) == [2]
        assert [answer.missing for answer in record.parts] == ["not in time", None, "not in time"]
        assert [holder.withdrawn for holder in world.holders] == [["yard/000000"], [], ["yard/000000"]]
        world.answer(0, 0)
        await settled()
        assert len(world.records) == 1


async def test_a_clip_for_which_nothing_came_is_failed_and_says_why_of_each_part(worker):
    async with running(worker) as world:
        world.holders[0].part = None
        await world.send(0, deadline=1.0)
        world.spread.missing("yard/000000", 1, "100 bytes do not fit")
        world.clock.advance(1.0)
        await world.done(1)
        (record,) = world.records
        assert (record.status, record.classes) == (Status.FAILED, ())
        assert record.reason == (
            "peers: no part answered: part 1 not connected; part 2 100 bytes do not fit; part 3 not in time"
        )


async def test_a_clip_that_every_link_was_lost_under_goes_out_again_when_a_part_is_held(worker):
    async with running(worker) as world:
        waits = []

        async def again():
            waits.append(world.clock.now())
            for holder in world.holders[1:]:
                holder.part = None

        world.spread.again = again
        await world.send(0)
        for holder in world.holders:
            world.spread.lost(holder)
        await settled()
        assert (len(waits), world.records) == (1, [])
        assert [len(holder.offered) for holder in world.holders] == [2, 1, 1]
        world.answer(0, 0)
        await world.done(1)
        assert (world.records[0].status, contributed(world.records[0])) == (Status.OK, [1])


async def test_it_goes_out_three_times_and_one_that_has_a_token_or_a_deadline_once(worker):
    async with running(worker) as world:
        waits = []

        async def again():
            waits.append(world.clock.now())

        world.spread.again = again
        await world.send(0, deadline=9.0)
        await world.send(1)
        world.answer(1, 0)
        for holder in world.holders:
            world.spread.lost(holder)
        await world.done(2)
        assert {record.clip_id: record.status for record in world.records} == {
            "yard/000000": Status.FAILED,
            "yard/000001": Status.OK,
        }
        await world.send(2)
        for times in range(MOST_TIMES):
            assert len(waits) == times
            for holder in world.holders:
                world.spread.lost(holder)
            await settled()
        await world.done(3)
        assert (len(waits), world.records[2].status) == (MOST_TIMES - 1, Status.FAILED)
        assert "part 1 the link was lost" in world.records[2].reason


async def test_a_clip_that_newer_ones_displaced_at_all_parts_is_dropped_and_not_where_one_has_another_reason(
    worker,
):
    async with running(worker) as world:
        world.holders[0].part = None
        for seq, last in enumerate((DISPLACED, "no")):
            await world.send(seq)
            world.spread.missing(f"yard/{seq:06d}", 1, DISPLACED)
            world.spread.missing(f"yard/{seq:06d}", 2, last)
        await world.done(2)
        dropped, failed = world.records
        assert (dropped.status, dropped.reason) == (
            Status.DROPPED,
            "overload: newer clips were waiting for every part",
        )
        assert [answer.missing for answer in dropped.parts] == ["not connected", DISPLACED, DISPLACED]
        assert failed.status is Status.FAILED
        world.holders[1].part = world.holders[2].part = None
        await world.send(2)
        await world.done(3)
        assert world.records[2].status is Status.FAILED


async def test_a_lost_link_is_waited_for_no_longer(worker):
    async with running(worker) as world:
        await world.send(0)
        world.answer(0, 0)
        world.answer(0, 1)
        world.spread.lost(world.holders[2])
        await world.done(1)
        (record,) = world.records
        assert contributed(record) == [1, 2]
        assert record.parts[2].missing == "the link was lost"


async def test_of_two_peers_with_one_part_the_first_is_asked_and_the_other_stands_in(worker):
    async with running(worker) as world:
        spare = FakeHolder(0, "spare")
        world.spread.add(spare)
        await world.send(0)
        world.spread.lost(spare)
        await settled()
        assert (spare.offered, world.records) == ([], [])
        for part in range(PARTS):
            world.answer(0, part)
        await world.done(1)
        world.holders[0].part = None
        await world.send(1)
        assert (spare.offered, world.holders[0].offered) == (["yard/000001"], ["yard/000000"])
        for part in range(PARTS):
            world.answer(1, part)
        await world.done(2)
        assert [record.parts[0].peer for record in world.records] == ["peer0", "spare"]
        assert {record.status for record in world.records} == {Status.OK}


async def test_a_peer_that_is_behind_holds_up_nobody(worker):
    async with running(worker) as world:
        world.holders[2].prompt = False
        await world.send(0, deadline=9.0)
        world.answer(0, 0)
        world.answer(0, 1)
        await world.done(1)
        assert contributed(world.records[0]) == [1, 2]
        assert world.clock.now() == 0.0


async def test_of_two_peers_with_one_part_one_that_is_behind_gives_way_until_it_has_caught_up(worker):
    async with running(worker) as world:
        spare, first = FakeHolder(0, "spare"), world.holders[0]
        world.spread.add(spare)
        for seq, (is_prompt, spare_is) in enumerate([(False, True), (True, True), (False, False)]):
            first.prompt, spare.prompt = is_prompt, spare_is
            await world.send(seq)
        assert (spare.offered, first.offered) == (["yard/000000"], ["yard/000001", "yard/000002"])
        assert world.spread.holders() == [first, *world.holders[1:]]
        first.part = spare.part = None
        assert world.spread.holders() == [None, *world.holders[1:]]


async def test_when_the_run_is_to_end_a_clip_that_has_a_token_is_its_record_at_once(worker):
    async with running(worker) as world:
        for seq in range(2):
            await world.send(seq)
        world.answer(0, 1)
        await world.turn(3.0)
        assert world.records == []
        world.spread.end_by(8.0)
        await world.done(1)
        world.answer(1, 1)
        await world.done(2)
        for record in world.records:
            assert (record.status, contributed(record)) == (Status.OK, [2])
            assert [answer.missing for answer in record.parts] == ["not in time", None, "not in time"]
        assert world.clock.now() == 3.0


async def test_a_token_that_fuses_to_nothing_finite_fails_its_clip_alone(worker):
    async with running(worker) as world:
        await world.send(0)
        for part in range(PARTS):
            world.spread.arrived("yard/000000", part, np.full(VIT.dim, np.nan, np.float32), {})
        await world.done(1)
        await world.send(1)
        for part in range(PARTS):
            world.answer(1, part)
        await world.done(2)
        assert [record.status for record in world.records] == [Status.FAILED, Status.OK]
        assert world.records[0].reason == "peers: the model's logits are not finite"


async def test_records_pass_and_it_ends_once_every_clip_has_its_own(worker):
    world = World([FakeHolder(part) for part in range(PARTS)], worker)
    dropped = Prediction.of(clip_of(7), Status.DROPPED)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.run)
        await world.items.send(dropped)
        await world.send(0)
        world.items.close()
        await settled()
        assert world.records == [dropped]
        for part in range(PARTS):
            world.answer(0, part)
    assert [record.seq for record in world.records] == [7, 0]


STORY = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.floats(0.02, 2.0), st.none()),
        st.tuples(st.just("answer"), st.integers(0, 5), st.integers(0, PARTS - 1)),
        st.tuples(st.just("missing"), st.integers(0, 5), st.integers(0, PARTS - 1)),
        st.tuples(st.just("lost"), st.integers(0, PARTS - 1), st.none()),
        st.tuples(st.just("behind"), st.integers(0, PARTS - 1), st.booleans()),
        st.tuples(st.just("gone"), st.integers(0, PARTS - 1), st.booleans()),
        st.tuples(st.just("turn"), st.floats(0.01, 1.0), st.none()),
    ),
    max_size=20,
)


async def test_an_answer_of_who_was_not_asked_counts_for_nothing(worker):
    async with running(worker) as world:
        world.holders[1].part = None
        await world.send(0)
        world.holders[1].part = 1
        world.answer(0, 1)
        world.answer(7, 1)
        for part in (0, 2):
            world.answer(0, part)
        await world.done(1)
    (record,) = world.records
    assert contributed(record) == [1, 3]
    assert record.classes == Fuse(fusion_of(PARTS))({part: token(part) for part in (0, 2)})


@settings(max_examples=25)
@given(story=STORY)
async def test_every_clip_has_one_record_by_its_deadline_whatever_peers_do(story):
    world = World([FakeHolder(part) for part in range(PARTS)], AtOnce())
    deadlines, decided_at = {}, {}
    decide = world.spread._decide

    async def noted(clip_id):
        decided_at[clip_id] = world.clock.now()
        return await decide(clip_id)

    world.spread._decide = noted
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.run)
        for what, first, second in story:
            match what:
                case "send":
                    deadlines[f"yard/{len(deadlines):06d}"] = world.clock.now() + first
                    await world.send(len(deadlines) - 1, world.clock.now() + first)
                case "answer":
                    world.answer(first, second)
                case "missing":
                    world.spread.missing(f"yard/{first:06d}", second, "no")
                case "lost":
                    world.spread.lost(world.holders[first])
                case "behind":
                    world.holders[first].prompt = not second
                case "gone":
                    world.holders[first].part = None if second else first
                case "turn":
                    for _ in range(math.ceil(first / 0.01)):
                        await world.turn(0.01)
            await settled()
        world.items.close()
        for _ in range(210):
            await world.turn(0.01)
    assert sorted(record.clip_id for record in world.records) == sorted(deadlines)
    assert all(decided_at[clip_id] <= deadline for clip_id, deadline in deadlines.items())
    for record in world.records:
        assert (record.status is Status.OK) == bool(contributed(record))
