import anyio
import pytest

from commands.device_pipeline import clip_settings, dial_for
from configs.settings import ClipSettings, DeviceSettings
from models import create_model
from pipeline.channel import Channel
from pipeline.errors import ConfigError, HandshakeRefused, MessageTooLarge
from pipeline.items import Ran, Status
from tests.commands.link import run_clips, setup_for, wire_to_cloud

CLIPS = 6


def ids(records):
    return sorted(record.clip_id for record in records)


def best(records):
    return {record.clip_id: [score.name for score in record.classes] for record in records}


@pytest.mark.parametrize(
    ("split", "ran"), [(0, Ran.CLOUD), (4, Ran.SPLIT), (12, Ran.SPLIT), (13, Ran.DEVICE)]
)
async def test_one_record_a_clip_in_order_wherever_it_ran(model, split, ran):
    codec = "raw" if split == 0 else "float32"
    async with wire_to_cloud(model) as wire:
        setup = setup_for(model, split=split, codec=codec)
        ledger, records = await run_clips(setup, wire if split < 13 else None, CLIPS)
    assert ledger.balanced
    assert ids(records) == [f"{name}/{seq:06d}" for name in "ab" for seq in range(CLIPS)]
    assert [r.seq for r in records if r.source == "a"] == list(range(CLIPS))
    assert {(r.status, r.ran, r.model) for r in records} == {(Status.OK, ran, model.id)}
    _, on_device = await run_clips(setup_for(model, split=13), None, CLIPS)
    assert best(records) == best(on_device)


async def test_every_part_of_the_latency_is_recorded(model):
    async with wire_to_cloud(model) as wire:
        _, records = await run_clips(setup_for(model, split=4), wire, 3)
    for record in records:
        parts = dict(record.latency_ms)
        total = parts.pop("total")
        assert set(parts) == {"wait", "head", "encode", "uplink", "queue", "decode", "tail"}
        assert all(part >= 0 for part in parts.values())
        assert parts["head"] + parts["tail"] < total
        assert record.link_mbps > 0
        assert record.link_rtt_ms >= 0
        assert 0 < record.sent_bytes < 20_000


async def test_a_link_cut_again_and_again_loses_and_doubles_nothing(model):
    async with wire_to_cloud(model) as wire, anyio.create_task_group() as tasks:
        records_seen = 0

        def seen(record):
            nonlocal records_seen
            records_seen += 1
            if records_seen in (2, 3, 9):
                wire.cut()

        ledger, records = await run_clips(setup_for(model, split=4), wire, CLIPS, on_record=seen)
        tasks.cancel_scope.cancel()
    assert wire.dialled >= 2
    assert ledger.balanced
    assert ids(records) == [f"{name}/{seq:06d}" for name in "ab" for seq in range(CLIPS)]
    assert {record.status for record in records} == {Status.OK}


async def test_clips_that_are_done_are_not_run_again(model):
    setup = setup_for(model, split=13)
    _, records = await run_clips(setup, None, CLIPS)
    done = {record.clip_id: record.start_s for record in records if record.seq % 2}
    ledger, rest = await run_clips(setup, None, CLIPS, done=done)
    assert ids(rest) == sorted(set(ids(records)) - set(done))
    assert ledger.balanced


async def test_a_promise_that_cannot_be_kept_makes_late_records(model):
    ledger, records = await run_clips(setup_for(model, split=13, sla_ms=0.001), None, 2)
    assert {record.status for record in records} == {Status.LATE}
    assert all("promised 0 ms" in record.reason for record in records)
    assert ledger.balanced


async def test_overload_of_live_sources_drops_with_a_reason_and_serves_the_newest(model):
    ledger, records = await run_clips(setup_for(model, split=13), None, 30, live=True)
    lost = [record for record in records if record.status is Status.DROPPED]
    assert lost
    assert {record.reason for record in lost} == {"overload: newer clips were waiting for the model"}
    assert ledger.balanced
    assert ledger.admitted == 60
    assert Status.OK in {record.status for record in records if record.seq == 29}


async def test_another_model_in_the_cloud_ends_it_at_once(model):
    other = create_model("motions", weights="random")
    async with wire_to_cloud(other) as wire:
        with pytest.raises(HandshakeRefused, match="weights of motions differ"):
            await run_clips(setup_for(model, split=4), wire, CLIPS)
        assert wire.dialled == 1


async def test_a_message_over_the_agreed_limit_ends_it_with_a_line_that_names_clip_and_limit(model):
    async with wire_to_cloud(model, max_message_bytes=20_000) as wire:
        with pytest.raises(MessageTooLarge, match=r"clip [ab]/000000: .* limit of 20000 bytes"):
            await run_clips(setup_for(model, split=4, codec="float32"), wire, CLIPS)


async def test_the_channels_stay_short_in_a_replay(model, monkeypatch):
    longest = 0
    send = Channel.send

    async def watched(self, item):
        nonlocal longest
        await send(self, item)
        if self.name not in ("clip_batch", "outcomes"):
            longest = max(longest, self.statistics().current_buffer_used)

    monkeypatch.setattr(Channel, "send", watched)
    await run_clips(setup_for(model, split=13), None, 20)
    assert longest <= 2


def test_a_plan_that_leaves_the_device_needs_a_cloud(model):
    with pytest.raises(ConfigError, match="--cloud"):
        dial_for(setup_for(model, split=4))
    assert dial_for(setup_for(model, split=13)) is None


def test_clips_are_as_long_as_the_model_takes(model):
    settings = DeviceSettings(clips=ClipSettings(stride=4))
    assert clip_settings(settings, model).frames == 16
    with pytest.raises(ConfigError, match="takes 16"):
        clip_settings(DeviceSettings(clips=ClipSettings(frames=8)), model)
