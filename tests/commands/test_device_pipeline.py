import math
from dataclasses import replace

import anyio
import pytest

from commands.device_pipeline import clip_settings, dial_for
from configs.settings import ClipSettings, DeviceSettings
from models import create_model
from pipeline.channel import Channel
from pipeline.clock import SystemClock
from pipeline.energy.meter import EnergyMeter
from pipeline.errors import ConfigError, HandshakeRefused, JanusError, LinkLost, MessageTooLarge
from pipeline.items import Ran, Status
from scheduling.link import LinkRules
from scheduling.policies import POLICIES
from sources.pattern import PatternSource
from stages.capture import capture
from stages.head_infer import HeadInfer
from stages.probe import Probe
from tests.commands.link import ListSink, Wire, run_clips, setup_for, wire_to_cloud
from tests.commands.machines import profile_for
from tests.pipeline.energy.machine import Busy

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
        assert record.plan.moment.mbps > 0
        assert record.plan.moment.rtt_ms != LinkRules().prior_rtt_ms
        assert record.plan.moment.connected
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


@pytest.mark.parametrize("live", [False, True])
async def test_records_share_what_the_machine_took_from_the_first_clip_on(model, live):
    meter = EnergyMeter([source := Busy(joules=100.0)])
    ledger, records = await run_clips(setup_for(model, split=13), None, CLIPS, live=live, energy=meter)
    assert ledger.balanced
    assert all(record.energy_j >= 0 for record in records)
    assert sum(record.energy_j for record in records) == pytest.approx(source.reads - 1)


async def test_where_the_machine_shows_nothing_no_record_has_a_share(model):
    _, records = await run_clips(setup_for(model, split=13), None, 2)
    assert {record.energy_j for record in records} == {None}


class Broken(Wire):
    """A wire that loses its link with the first record, and never has another."""

    async def dial(self):
        if self.dialled > 0:
            self.dialled += 1
            raise LinkLost("cloud: refused")
        return await super().dial()


@pytest.mark.parametrize("options", [{"split": 4}, {"policy": "cloud-only"}, {"sla_ms": 10_000}])
async def test_a_live_run_that_loses_its_cloud_goes_on_alone(model, monkeypatch, options):
    monkeypatch.setattr("tests.commands.link.Wire", Broken)
    async with wire_to_cloud(model, profile_for(model, 1e-3)) as wire:
        cut = lambda record: wire.cut()  # noqa: E731
        ledger, records = await run_clips(setup_for(model, **options), wire, 12, live=True, on_record=cut)
    assert ledger.balanced
    served = [record for record in records if record.status is not Status.DROPPED]
    assert {record.status for record in served} == {Status.OK}
    assert {record.ran for record in served} <= {Ran.CLOUD, Ran.SPLIT, Ran.RESCUE, Ran.DEVICE}
    assert {Ran.RESCUE, Ran.DEVICE} & {record.ran for record in served[2:]}
    on_device = best((await run_clips(setup_for(model, split=13), None, 12))[1])
    assert all(best([record])[record.clip_id][0] == on_device[record.clip_id][0] for record in served)


async def test_a_live_run_begins_without_a_cloud_and_takes_it_once_it_is_there(model):
    async with wire_to_cloud(model, profile_for(model, 1e-3)) as wire:
        dial, refusals = wire.dial, 0

        async def late():
            nonlocal refusals
            if refusals < 2:
                refusals += 1
                raise LinkLost("cloud: refused")
            return await dial()

        wire.dial = late
        setup = replace(setup_for(model, sla_ms=10_000), profile=profile_for(model, 20.0))
        camera = PatternSource("a", seed=3, size=64, fps=400, clips=40, clock=SystemClock())
        ledger, records = await run_clips(setup, wire, 1, live=True, inlets=[capture(camera)])
    assert ledger.balanced
    assert records[0].ran is Ran.DEVICE
    assert {Ran.CLOUD, Ran.SPLIT} & {record.ran for record in records}


async def test_a_live_run_is_refused_at_once_by_a_cloud_of_another_model(model):
    other = create_model("motions", weights="random")
    async with wire_to_cloud(other) as wire:
        with pytest.raises(HandshakeRefused, match="weights of motions differ"):
            await run_clips(setup_for(model, split=4), wire, 200, live=True)


async def test_a_live_run_that_is_interrupted_owes_no_clip_a_record(model):
    sink = ListSink()
    with anyio.CancelScope() as scope:
        await run_clips(
            setup_for(model, split=13), None, 30, live=True, sinks=[sink], on_record=lambda _: scope.cancel()
        )
    ended = [record for record in sink.records if record.status is Status.FAILED]
    assert ended
    assert {record.reason for record in ended} == {"the run was ended before this clip was"}


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


def run_everywhere(records):
    return {record.ran for record in records}


@pytest.mark.parametrize("policy", [None, *POLICIES])
async def test_every_record_tells_what_its_policy_expected_of_which_plan_and_why(model, policy):
    async with wire_to_cloud(model, profile_for(model, 0.1)) as wire:
        setup = setup_for(model, policy=policy, sla_ms=10_000, in_flight=3)
        ledger, records = await run_clips(setup, wire if setup.needs_cloud else None, CLIPS)
    assert ledger.balanced
    assert ids(records) == [f"{name}/{seq:06d}" for name in "ab" for seq in range(CLIPS)]
    assert {record.status for record in records} == {Status.OK}
    for record in records:
        plan, expected_ms = record.plan, dict(record.plan.expected_ms)
        assert plan.why.startswith(f"{policy or 'janus+'}: ")
        assert expected_ms.pop("total") == pytest.approx(sum(expected_ms.values()))
        assert all(part >= 0 for part in expected_ms.values())
        assert set(record.latency_ms) - {"total"} <= set(expected_ms)
        assert 0 < plan.moment.budget_ms <= 10_000
        assert plan.moment.mbps > 0
        assert plan.moment.device_factor > 0
        assert (record.sent_bytes > 0) == (plan.expected_bytes > 0) == (record.ran is not Ran.DEVICE)


async def test_device_only_keeps_every_clip_and_needs_no_cloud(model):
    setup = setup_for(model, policy="device-only")
    assert dial_for(setup) is None
    _, records = await run_clips(setup, None, 2)
    assert run_everywhere(records) == {Ran.DEVICE}


@pytest.mark.parametrize(("cloud_ms", "ran"), [(0.001, {Ran.CLOUD, Ran.SPLIT}), (1000.0, {Ran.DEVICE})])
async def test_clips_go_where_the_profiles_say_that_they_are_sooner_out(model, cloud_ms, ran):
    async with wire_to_cloud(model, profile_for(model, cloud_ms)) as wire:
        setup = replace(setup_for(model, in_flight=1), profile=profile_for(model, 50.0))
        _, records = await run_clips(setup, wire, 3)
    assert run_everywhere(records) <= ran


async def test_what_is_slower_than_its_profile_is_found_out_while_running(model):
    async with wire_to_cloud(model, profile_for(model, 1e-6)) as wire:
        setup = replace(setup_for(model, policy="cloud-only", in_flight=1), profile=profile_for(model, 1.0))
        _, records = await run_clips(setup, wire, 12)
    factors = [record.plan.moment.cloud_factor for record in records]
    assert factors[0] == 1.0
    assert max(factors) > 2.0


@pytest.mark.parametrize("bound", [{"in_flight": 2}, {"sla_ms": 10_000}], ids=["told", "by its promise"])
async def test_a_replay_holds_no_more_clips_than_it_may_and_failed_ones_make_room(model, monkeypatch, bound):
    infer, inside, most = HeadInfer.infer, set(), 0

    def shaky(self, clip, plan):
        nonlocal most
        inside.add(clip.clip_id)
        most = max(most, len(inside))
        if clip.seq % 2:
            raise ValueError("cannot be inferred")
        return infer(self, clip, plan)

    monkeypatch.setattr(HeadInfer, "infer", shaky)
    setup = setup_for(model, policy="device-only", **bound)
    ledger, records = await run_clips(
        setup, None, CLIPS, on_record=lambda record: inside.discard(record.clip_id)
    )
    assert ledger.balanced
    assert most <= 2
    assert {record.seq % 2: record.status for record in records} == {0: Status.OK, 1: Status.FAILED}


async def test_the_link_is_probed_for_as_long_as_there_is_one(model, monkeypatch):
    begun, ended = [], []

    async def run(self):
        begun.append(self)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(self)

    monkeypatch.setattr(Probe, "run", run)
    await run_clips(setup_for(model, policy="device-only"), None, 1)
    assert begun == []
    async with wire_to_cloud(model) as wire:
        await run_clips(setup_for(model, split=6), wire, 1)
    assert len(begun) == 1
    assert ended == begun


async def test_a_cloud_without_a_profile_is_one_clear_line(model):
    async with wire_to_cloud(model) as wire:
        with pytest.raises(
            ConfigError, match=r"the cloud sent no profile of itself; name the plan with --split"
        ):
            await run_clips(setup_for(model), wire, 2)


def claims(model):
    honest = profile_for(model).model_dump(mode="json")
    layer = honest["layer"] | {"curve": {"kind": "line", "base": math.nan, "slope": 0.0}}
    each = honest["codecs"]["png"]
    return {
        "of nothing": {},
        "of another kind": {"weather": "fine"},
        "of another depth": honest | {"num_layers": 24},
        "of another shape": honest | {"num_tokens": 1 << 20},
        "not a number": honest | {"layer": layer},
        "without end": honest | {"embed_ms": math.inf},
        "beyond all measure": honest | {"embed_ms": 1e300},
        "beyond a word": honest | {"embed_ms": -5},
        "too many codecs to say": honest | {"codecs": {f"c{n}": "x" * 20 for n in range(100_000)}},
        "too many codecs": honest | {"codecs": {f"c{n}": each["kind"] for n in range(4000)}},
        "more codecs than maps": honest | {"codecs": {f"c{n}": each for n in range(65)}},
        "none of our codecs": honest | {"codecs": {}, "model": "x\x1b[2J"},
        "deep": honest | {"layer": nested(200)},
    }


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"curve": value}
    return value


@pytest.mark.parametrize("kind", [*claims(create_model("motions"))])
async def test_what_a_cloud_claims_of_itself_is_checked_and_refused_in_one_line(model, kind):
    async with wire_to_cloud(model, claimed=claims(model)[kind]) as wire:
        with pytest.raises(JanusError) as caught, anyio.fail_after(20):
            await run_clips(setup_for(model), wire, 2)
    line = str(caught.value)
    assert line.isprintable()
    assert 10 < len(line) < 700


def test_a_plan_that_leaves_the_device_needs_a_cloud(model):
    with pytest.raises(ConfigError, match="--cloud"):
        dial_for(setup_for(model, split=4))
    assert dial_for(setup_for(model, split=13)) is None


def test_clips_are_as_long_as_the_model_takes(model):
    settings = DeviceSettings(clips=ClipSettings(stride=4))
    assert clip_settings(settings, model).frames == 16
    with pytest.raises(ConfigError, match="takes 16"):
        clip_settings(DeviceSettings(clips=ClipSettings(frames=8)), model)
