import time
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults.link import MBPS, RTT_MS, FaultyLink, Gate
from pipeline.clock import ManualClock

HERE = "127.0.0.1"


@given(at=st.floats(0, 100), for_s=st.floats(1, 20), share=st.floats(0.01, 0.99))
def test_while_it_is_shut_nothing_leaves_and_what_left_comes_when_it_opens(at, for_s, share):
    clock = ManualClock(50.0)
    gate = Gate(clock)
    clock.advance(at)
    gate.shut(for_s)
    now = at + share * for_s
    assert gate.mbps_at(now) == 0.0
    assert now + gate.rtt_ms_at(now, 0.0) / 2000 == pytest.approx(at + for_s + RTT_MS / 2000)


def test_before_and_after_it_is_steady():
    gate = Gate(ManualClock(0.0))
    assert (gate.mbps_at(0.0), gate.rtt_ms_at(0.0, 7.0)) == (MBPS, RTT_MS)
    gate.shut(5.0)
    assert (gate.mbps_at(5.0), gate.rtt_ms_at(5.0, 7.0)) == (MBPS, RTT_MS)


@asynccontextmanager
async def linked():
    """A link to a server that answers with what it gets."""

    async def echo(stream):
        async with stream:
            async for data in stream:
                await stream.send(data)

    listener = await anyio.create_tcp_listener(local_host=HERE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo)
        link = FaultyLink(0, listener.extra(anyio.abc.SocketAttribute.local_port))
        await link.open(tasks)
        with anyio.fail_after(20):
            yield link, tasks
        tasks.cancel_scope.cancel()
    await listener.aclose()


async def test_a_stall_holds_both_ways_up_and_closes_nothing():
    async with linked() as (link, tasks), await anyio.connect_tcp(HERE, link.port) as client:
        await client.send(b"before")
        assert await client.receive() == b"before"
        began = time.monotonic()
        tasks.start_soon(link.stall, 0.5)
        await anyio.sleep(0.05)
        await client.send(b"during")
        assert await client.receive() == b"during"
        assert time.monotonic() - began >= 0.5


async def test_a_cut_closes_and_refuses_and_is_over_at_the_same_port():
    async with linked() as (link, tasks):
        async with await anyio.connect_tcp(HERE, link.port) as client:
            await client.send(b"before")
            assert await client.receive() == b"before"
            port = link.port
            tasks.start_soon(link.cut, 0.3, tasks)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await client.receive()
        with pytest.raises(OSError, match=r"refused|failed"):
            await anyio.connect_tcp(HERE, port)
        await anyio.sleep(0.5)
        async with await anyio.connect_tcp(HERE, port) as again:
            await again.send(b"after")
            assert await again.receive() == b"after"
