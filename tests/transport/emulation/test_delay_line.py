import anyio

from pipeline.clock import ManualClock
from transport.emulation.delay_line import CHUNK_COST_BYTES, DelayLine


async def collect(line, clock, got):
    while True:
        data = await line.get()
        got.append((clock.now(), data))


async def test_each_chunk_comes_out_in_order_and_not_before_its_time():
    clock = ManualClock()
    line = DelayLine(clock, 1 << 20)
    got = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, line, clock, got)
        for data, release_s in ((b"a", 1.0), (b"b", 1.5), (b"early", 0.2), (b"", 3.0)):
            await line.put(data, release_s)
        for _ in range(7):
            await anyio.wait_all_tasks_blocked()
            clock.advance(0.5)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert got == [(1.0, b"a"), (1.5, b"b"), (1.5, b"early"), (3.0, b"")]


async def test_the_delay_does_not_slow_what_is_put_in_until_the_line_is_full():
    clock = ManualClock()
    line = DelayLine(clock, 10 * (1000 + CHUNK_COST_BYTES))
    put, got = [], []

    async def fill():
        for number in range(30):
            await line.put(bytes(1000), 5.0)
            put.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fill)
        await anyio.wait_all_tasks_blocked()
        assert len(put) == 10
        tasks.start_soon(collect, line, clock, got)
        await anyio.wait_all_tasks_blocked()
        assert (len(put), got) == (10, [])
        clock.advance(5)
        await anyio.wait_all_tasks_blocked()
        assert (len(put), len(got)) == (30, 30)
        tasks.cancel_scope.cancel()


async def test_empty_chunks_count_as_well():
    clock = ManualClock()
    line = DelayLine(clock, 4 * CHUNK_COST_BYTES)
    for _ in range(4):
        await line.put(b"", 1.0)
    with anyio.move_on_after(0) as scope:
        await line.put(b"", 1.0)
    assert scope.cancelled_caught
