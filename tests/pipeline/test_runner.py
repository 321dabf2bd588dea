import anyio
import pytest

from pipeline.channel import Overflow
from pipeline.errors import LinkLost, SinkError
from pipeline.items import Status
from pipeline.runner import Pipeline, root_cause
from pipeline.stage import Stage, dropped
from tests.pipeline.clips import make_clip


async def count(start, stop):
    for number in range(start, stop):
        yield number


def mapped(name, function, **options):
    async def run(items):
        async for item in items:
            yield function(item)

    return Stage(name, run, **options)


async def run(*args, **kwargs):
    outcomes = []

    async def deliver(item):
        outcomes.append(item)

    pipeline = Pipeline(*args, deliver=deliver, **kwargs)
    await pipeline.run()
    return outcomes


async def test_items_go_through_all_stages_in_order():
    stages = [mapped("add", lambda x: x + 1), mapped("double", lambda x: 2 * x)]
    assert await run([count(0, 5)], stages) == [2, 4, 6, 8, 10]


async def test_many_inlets_and_producers_meet_and_none_is_lost():
    outcomes = await run(
        [count(0, 50), count(50, 100)], [mapped("same", lambda x: x)], producers=[count(100, 130)]
    )
    assert sorted(outcomes) == list(range(130))


async def test_a_slow_stage_holds_back_what_is_in_front_of_it():
    produced = 0

    async def source():
        nonlocal produced
        for produced in range(1, 1001):
            yield produced

    gate = anyio.Event()

    async def slow(items):
        async for item in items:
            await gate.wait()
            yield item

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, [source()], [mapped("same", lambda x: x), Stage("slow", slow, capacity=3)])
        await anyio.wait_all_tasks_blocked()
        assert produced < 10
        gate.set()
    assert produced == 1000


async def test_what_leaves_a_full_live_channel_becomes_a_record():
    gate = anyio.Event()

    async def source():
        for seq in range(6):
            yield make_clip(seq)
        gate.set()

    async def slow(items):
        await gate.wait()
        async for item in items:
            yield item

    stage = Stage("schedule", slow, 2, Overflow.DROP_OLDEST, lambda clip: dropped(clip, "newer clips waited"))
    outcomes = await run([source()], [stage])
    lost = [item for item in outcomes if getattr(item, "status", None) is Status.DROPPED]
    assert [item.seq for item in lost] == [0, 1, 2, 3]
    assert [item.seq for item in outcomes if item not in lost] == [4, 5]


async def test_an_error_anywhere_ends_the_pipeline_with_itself():
    def fail(item):
        raise LinkLost("the cloud at ws://x went away")

    with pytest.raises(LinkLost, match="went away"):
        await run([count(0, 5)], [mapped("ok", lambda x: x), mapped("bad", fail)])


async def test_a_failing_sink_ends_the_pipeline_with_its_error():
    async def deliver(item):
        raise SinkError("disk full")

    with pytest.raises(SinkError, match="disk full"):
        await Pipeline([count(0, 5)], [mapped("ok", lambda x: x)], deliver).run()


async def test_generators_are_closed_when_another_stage_fails():
    closed = []

    async def source():
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            closed.append("source")

    def fail(item):
        raise LinkLost("gone")

    with pytest.raises(LinkLost):
        await run([source()], [mapped("bad", fail)])
    assert closed == ["source"]


async def test_statistics_name_the_stage_behind_each_channel():
    async def deliver(item):
        pass

    pipeline = Pipeline([count(0, 2)], [mapped("a", lambda x: x), mapped("b", lambda x: x)], deliver)
    assert list(pipeline.statistics()) == ["a", "b", "outcomes"]
    await pipeline.run()


def test_the_users_error_is_found_in_nested_groups():
    cause = SinkError("full")
    group = BaseExceptionGroup("x", [ValueError(), BaseExceptionGroup("y", [RuntimeError(), cause])])
    assert root_cause(group) is cause
