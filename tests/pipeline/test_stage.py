import anyio
import pytest

from pipeline.channel import Channel
from pipeline.errors import CodecError, MessageTooLarge
from pipeline.items import Header, Packet, Prediction, Status
from pipeline.stage import clip_of, dropped, per_clip
from tests.pipeline.clips import make_clip, make_ok


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
