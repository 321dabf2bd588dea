"""The link inside one process behaves as a real one does."""

import anyio
import pytest

from pipeline.errors import LinkLost, MessageTooLarge
from transport.memory import memory_link


async def test_messages_cross_both_ways_in_order() -> None:
    device, cloud = memory_link()
    for data in (b"1", b"2"):
        await device.send(data)
        await cloud.send(data + b"!")
    assert [await cloud.receive(), await cloud.receive()] == [b"1", b"2"]
    assert [await device.receive(), await device.receive()] == [b"1!", b"2!"]


async def test_what_was_sent_before_closing_still_arrives() -> None:
    device, cloud = memory_link()
    await device.send(b"last")
    await device.close()
    await device.close()
    assert await cloud.receive() == b"last"
    for end in (device, cloud):
        with pytest.raises(LinkLost, match="closed"):
            await end.receive()
        with pytest.raises(LinkLost, match="closed"):
            await end.send(b"more")


async def test_what_was_under_way_when_the_link_was_cut_never_arrives() -> None:
    device, cloud = memory_link()
    await device.send(b"lost")
    cloud.cut()
    for end in (device, cloud):
        with pytest.raises(LinkLost, match="cut"):
            await end.receive()
        with pytest.raises(LinkLost, match="cut"):
            await end.send(b"more")


@pytest.mark.parametrize("how", ["cut", "close"])
@pytest.mark.parametrize("who", [0, 1])
async def test_who_waits_is_woken_at_either_end(how: str, who: int) -> None:
    ends = memory_link()

    async def wait() -> None:
        with pytest.raises(LinkLost):
            await ends[who].receive()

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            if how == "cut":
                ends[0].cut()
            else:
                await ends[0].close()


async def test_a_message_over_the_limit_ends_the_link() -> None:
    device, cloud = memory_link(max_message_bytes=10)
    await device.send(bytes(10))
    await device.send(bytes(11))
    assert await cloud.receive() == bytes(10)
    with pytest.raises(MessageTooLarge, match=r"from device: message of 11 bytes .* limit of 10"):
        await cloud.receive()
    with pytest.raises(LinkLost):
        await device.receive()


async def test_a_full_link_makes_the_sender_wait() -> None:
    device, cloud = memory_link(capacity=1)
    await device.send(b"1")
    with anyio.move_on_after(0.01) as scope:
        await device.send(b"2")
    assert scope.cancelled_caught and await cloud.receive() == b"1"
