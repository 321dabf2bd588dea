import asyncio
import math
import socket

import anyio
import pytest

from pipeline.clock import ManualClock, SystemClock
from tests.transport.emulation.shapes import LateClock, Steps
from transport.emulation.bucket import Steady
from transport.emulation.lane import LEAST_BYTES, MOST_BYTES, Lane, Road


def road(shape, clock, rtt_ms=0.0, delays=None):
    return Road(shape, delays or shape, rtt_ms, clock)


def test_chunks_are_a_few_milliseconds_of_the_link_within_bounds():
    sizes = {
        mbps: road(Steps(mbps), LateClock()).grain_bytes for mbps in (0, 0.1, 10, 50, 1000, 1e6, math.inf)
    }
    assert sizes[10] == 5000 and sizes[50] == 25_000
    assert sizes[0] == sizes[0.1] == LEAST_BYTES
    assert sizes[1000] == sizes[1e6] == sizes[math.inf] == MOST_BYTES


async def test_a_chunk_comes_out_when_it_has_left_and_travelled_half_a_round_trip():
    way = road(Steps(8.0), LateClock(late_s=0.0007), rtt_ms=30)
    assert await way.pass_through(10_000, 0.0) == pytest.approx(0.010 + 0.015)
    assert await way.pass_through(10_000, 0.0) == pytest.approx(0.020 + 0.015)
    assert way.carried_bytes == 20_000


async def test_the_shape_s_own_round_trip_goes_before_the_default_also_where_another_sets_the_rate():
    up = road(Steps(8.0, rtt_ms=100), LateClock(), rtt_ms=30)
    down = road(Steady(math.inf), LateClock(), rtt_ms=30, delays=Steps(8.0, rtt_ms=100))
    assert await up.pass_through(1000, 0.0) == pytest.approx(0.001 + 0.05)
    assert await down.pass_through(1000, 0.0) == pytest.approx(0.05)


async def test_all_who_use_a_road_share_its_rate():
    clock = LateClock()
    way = road(Steps(8.0), clock)
    out = []

    async def send(chunks):
        out.extend([await way.pass_through(10_000, 0.0) for _ in range(chunks)])

    async with anyio.create_task_group() as tasks:
        for chunks in (3, 5, 2):
            tasks.start_soon(send, chunks)
    assert sorted(out) == pytest.approx([0.01 * number for number in range(1, 11)])


async def test_who_breaks_off_in_its_turn_leaves_the_road_and_none_of_its_bits_to_the_next():
    clock = ManualClock()
    way = road(Steps(8.0), clock)
    out = []

    async def send_next():
        out.append(await way.pass_through(10_000, clock.now()))

    async with anyio.create_task_group() as tasks:
        breaking_off = anyio.CancelScope()

        async def break_off():
            with breaking_off:
                await way.pass_through(10_000, 0.0)

        tasks.start_soon(break_off)
        for _ in range(2):
            await anyio.wait_all_tasks_blocked()
            clock.advance(0.004)
        tasks.start_soon(send_next)
        breaking_off.cancel()
        for _ in range(5):
            await anyio.wait_all_tasks_blocked()
            clock.advance(0.01)
    assert out == [pytest.approx(0.018)]
    assert way.carried_bytes == 10_000


async def test_a_lane_carries_everything_in_order_and_then_the_end():
    source, far_source = socket.socketpair()
    target, far_target = socket.socketpair()
    for end in (source, far_source, target, far_target):
        end.setblocking(False)
    loop = asyncio.get_running_loop()
    data = bytes(range(256)) * 400
    got = b""

    async def feed():
        await loop.sock_sendall(far_source, data)
        far_source.shutdown(socket.SHUT_WR)

    with source, far_source, target, far_target, anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Lane(source, target, road(Steps(500.0), SystemClock(), rtt_ms=4)).run)
            tasks.start_soon(feed)
            while chunk := await loop.sock_recv(far_target, 65536):
                got += chunk
    assert got == data
