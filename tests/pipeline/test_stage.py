import anyio
import pytest

from pipeline.channel import Channel
from pipeline.errors import CodecError, MessageTooLarge
from pipeline.items import Header, Packet, Prediction, Status
from pipeline.runner import root_cause
from pipeline.stage import clip_of, dropped, in_two_lanes, per_clip
from tests.pipeline.clips import make_clip, make_ok
from tests.settled import settled


async def outcome_of(work, *items):
    channel: Channel = Channel("c", 10)
    for item in items:
        await channel.send(item)
    channel.close()
    return [item async for item in per_clip(work)(channel)]


async def double(clip):
    await anyio.lowlevel.checkpoint()
    return ("done", clip.seq)


async def test_records_pass_through_and_clips_are_worked_on_in_order():
    record = make_ok(make_clip(1))
    assert await outcome_of(double, make_clip(0), record, make_clip(2)) == [("done", 0), record, ("done", 2)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(CodecError("not a JPEG"), "not a JPEG"), (RuntimeError("boom"), "RuntimeError: boom")],
)
async def test_a_bad_clip_is_one_failed_record_and_the_next_one_goes_on(error, reason):
    async def work(clip):
        if clip.seq == 0:
            raise error
        return clip.seq

    bad, good = await outcome_of(work, make_clip(0), make_clip(1))
    assert (bad.clip_id, bad.status, bad.reason) == ("cam/000000", Status.FAILED, reason)
    assert good == 1


async def test_a_message_over_the_limit_is_not_the_clips_fault():
    async def work(clip):
        raise MessageTooLarge(clip.clip_id, 2, 1)

    with pytest.raises(MessageTooLarge):
        await outcome_of(work, make_clip(0))


def test_a_dropped_clip_has_a_record_and_a_record_stays_what_it_is():
    record = dropped(make_clip(3), "newer clips waited")
    assert (record.status, record.reason, record.seq) == (Status.DROPPED, "newer clips waited", 3)
    failed = Prediction.of(make_clip(4), Status.FAILED, reason="broken")
    assert dropped(failed, "newer clips waited") is failed


def test_a_packet_from_the_wire_has_no_clip():
    header = Header("cam/000000", "cam", 0, 1, "none", (0,), "float32", (1, 1))
    with pytest.raises(ValueError, match="cam/000000"):
        clip_of(Packet(header, b""))


class Lanes:
    """A stage in two lanes whose slow clips (even seqs) end when they are told to."""

    def __init__(self):
        self.channel, self.out, self.begun = Channel("c", 10), [], []
        self._ends = {seq: anyio.Event() for seq in range(0, 20, 2)}

    async def run(self):
        stage = in_two_lanes(self._work, lambda clip: clip.seq % 2 == 1)
        async for item in stage(self.channel):
            self.out.append(item.seq if isinstance(item, Prediction) else item)

    async def arrive(self, *items):
        for item in items:
            await self.channel.send(make_clip(item) if isinstance(item, int) else item)
        await settled()

    async def end(self, seq):
        self._ends[seq].set()
        await settled()

    async def _work(self, clip):
        self.begun.append(clip.seq)
        if clip.seq % 2 == 0:
            await self._ends[clip.seq].wait()
        if clip.seq == 4:
            raise CodecError("not a JPEG")
        return clip.seq


async def test_quick_clips_and_records_pass_by_slow_ones_which_keep_their_order():
    lanes = Lanes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lanes.run)
        await lanes.arrive(0, 2, 1, make_ok(make_clip(15)), 4, 3)
        assert (lanes.begun, lanes.out) == ([0, 1, 3], [1, 15, 3])
        await lanes.arrive(6, 5)
        assert lanes.out == [1, 15, 3]  # one worked on, two that wait, and a fourth holds up what follows
        await lanes.end(2)
        assert lanes.out == [1, 15, 3]
        await lanes.end(0)
        assert lanes.out[3:] == [0, 2, 5]
        await lanes.end(4)
        await lanes.end(6)
        assert lanes.out[6:] == [4, 6]
        lanes.channel.close()
    assert lanes.begun == [0, 1, 3, 2, 5, 4, 6]


async def test_a_message_over_the_limit_ends_both_lanes():
    async def work(clip):
        raise MessageTooLarge(clip.clip_id, 2, 1)

    channel: Channel = Channel("c", 10)
    for quick in (True, False):
        await channel.send(make_clip(1))
        with pytest.raises(ExceptionGroup) as raised:
            [item async for item in in_two_lanes(work, lambda clip, quick=quick: quick)(channel)]
        assert isinstance(root_cause(raised.value), MessageTooLarge)
