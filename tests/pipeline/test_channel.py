import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channel import Channel, Overflow


async def test_a_full_blocking_channel_makes_the_sender_wait():
    channel: Channel[int] = Channel("c", 2)
    sent = []

    async def produce():
        for item in range(5):
            await channel.send(item)
            sent.append(item)
        channel.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        assert sent == [0, 1]
        assert [item async for item in channel] == [0, 1, 2, 3, 4]


async def test_what_there_is_room_for_goes_in_at_once():
    channel: Channel[int] = Channel("c", 2)
    for item in range(2):
        with pytest.raises(StopIteration):
            channel.send(item).send(None)
    assert channel.waiting(3) == [0, 1]


async def test_a_sender_that_never_waits_gives_way_to_the_reader():
    channel: Channel[int] = Channel("c", 2)
    sent = 0

    async def produce():
        nonlocal sent
        for item in range(50):
            await channel.send(item)
            sent += 1
        channel.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        ahead = [sent - item async for item in channel]
    assert len(ahead) == 50
    assert max(ahead) <= 4


async def test_drop_oldest_returns_the_item_that_waited_longest():
    channel: Channel[int] = Channel("c", 2, Overflow.DROP_OLDEST)
    assert [await channel.send(item) for item in range(5)] == [None, None, 0, 1, 2]
    channel.close()
    assert [item async for item in channel] == [3, 4]


@given(st.lists(st.integers(), max_size=40), st.integers(1, 7))
def test_dropping_loses_nothing_and_keeps_the_newest(items, capacity):
    async def run():
        channel: Channel[int] = Channel("c", capacity, Overflow.DROP_OLDEST)
        displaced = [await channel.send(item) for item in items]
        channel.close()
        return [item for item in displaced if item is not None], [item async for item in channel]

    dropped, kept = anyio.run(run)
    assert dropped + kept == items
    assert len(kept) == min(capacity, len(items))


async def test_waiting_takes_what_is_there_and_no_more():
    channel: Channel[int] = Channel("c", 4)
    for item in range(4):
        await channel.send(item)
    assert channel.waiting(3) == [0, 1, 2]
    assert channel.waiting(3) == [3]
    assert channel.waiting(3) == []
    channel.close()
    assert channel.waiting(3) == []


async def test_statistics_tell_how_full_it_is():
    channel: Channel[int] = Channel("c", 4)
    await channel.send(1)
    assert channel.statistics().current_buffer_used == 1
    assert channel.statistics().max_buffer_size == 4


def test_a_channel_holds_at_least_one_item():
    with pytest.raises(ValueError, match="capacity"):
        Channel("c", 0)
