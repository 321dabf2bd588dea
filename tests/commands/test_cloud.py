import re
import signal
from dataclasses import replace
from types import SimpleNamespace

import anyio
import pytest

from commands import reception
from commands.cloud import open_reception, run
from commands.profiling.cache import write_profile
from configs.settings import CloudSettings, MetricsSettings, ModelSettings
from pipeline.energy.meter import EnergyMeter
from pipeline.errors import ConfigError, HandshakeRefused
from pipeline.items import Packet, Status
from scheduling.profile import parse_profile
from stages.tail_service import TailService
from tests.commands.link import run_clips, setup_for, wire_to_cloud
from tests.commands.machines import profile_for
from tests.commands.operations.pages import Page, fetch
from tests.pipeline.energy.machine import Turned
from tests.stages.packets import TickingClock, motion, packet_of, plan_for
from transport.client import connect_cloud
from transport.codecs import codec_names
from transport.events import Answered
from transport.memory import memory_link
from transport.messages import (
    PROTOCOL,
    REPLY_LIMIT_BYTES,
    Ack,
    Bye,
    ClipMessage,
    Hello,
    Probe,
    Result,
    Welcome,
    decode,
    encode,
)
from transport.websocket import dial


def hello_of(model, **changed):
    fields = {"protocol": PROTOCOL, "model": model.name, "digest": model.digest, "codecs": codec_names()}
    return Hello(**(fields | changed))


def renamed(packet: Packet, clip_id: str) -> Packet:
    return replace(packet, header=replace(packet.header, clip_id=clip_id))


async def answers_to(client, *packets):
    for packet in packets:
        await client.submit(packet)
    await client.drain()
    return [event.result async for event in client.events() if isinstance(event, Answered)]


async def welcomed(connection, model):
    await connection.send(encode(hello_of(model)))
    return await heard(connection)


async def heard(connection):
    return decode(await connection.receive(), REPLY_LIMIT_BYTES)


async def test_each_device_gets_the_answers_to_its_own_clips_even_if_both_call_them_the_same(model):
    packets = {seq: packet_of(model, motion(seq), plan_for(model, 6)) for seq in range(4)}
    expected = {seq: TailService(model).infer([packet])[0].classes for seq, packet in packets.items()}
    got = {}

    async def ask(wire, seqs):
        async with connect_cloud(wire.dial, hello_of(model)) as client:
            clips = [renamed(packets[seq], f"cam/{i}") for i, seq in enumerate(seqs)]
            results = await answers_to(client, *clips)
            got.update(zip(seqs, sorted(results, key=lambda result: result.clip_id), strict=True))

    async with wire_to_cloud(model) as wire, anyio.create_task_group() as asking:
        asking.start_soon(ask, wire, (0, 1))
        asking.start_soon(ask, wire, (2, 3))
    assert sorted(got) == [0, 1, 2, 3]
    for seq, result in got.items():
        confidences = {class_id: confidence for _, class_id, confidence in result.classes}
        assert confidences == pytest.approx({s.class_id: s.confidence for s in expected[seq]}, abs=1e-3)
        assert set(result.durations_ms) == {"queue", "decode", "tail"}


async def test_a_clip_that_does_not_decode_is_answered_and_serving_goes_on(model):
    good = packet_of(model, motion(), plan_for(model, 6))
    async with wire_to_cloud(model) as wire, connect_cloud(wire.dial, hello_of(model)) as client:
        bad = replace(renamed(good, "cam/bad"), payload=b"\0" * 100)
        misfit = renamed(replace(good, header=replace(good.header, split=7, shape=(9, 9))), "cam/misfit")
        results = {result.clip_id: result for result in await answers_to(client, bad, misfit, good)}
    assert "100 bytes" in results["cam/bad"].error
    assert "shape [9, 9]" in results["cam/misfit"].error
    assert results[good.header.clip_id].error is None


async def test_a_device_is_told_the_limits_of_the_settings_and_what_the_cloud_runs(model):
    settings = CloudSettings(max_message_bytes=50_000, max_in_flight=3)
    device, far_end = memory_link()
    async with (
        open_reception(settings, model, TickingClock()) as reception,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(reception.meet, far_end)
        assert await welcomed(device, model) == Welcome(
            protocol=PROTOCOL,
            model="motions",
            digest=model.digest,
            max_message_bytes=50_000,
            max_in_flight=3,
            codecs=codec_names(),
        )
        await device.close()


async def test_a_device_is_told_how_fast_the_cloud_is(model):
    profile = profile_for(model, 0.25)
    async with (
        wire_to_cloud(model, profile) as wire,
        connect_cloud(wire.dial, hello_of(model)) as client,
    ):
        assert parse_profile(client.welcome.profile, "the cloud") == profile
    async with wire_to_cloud(model) as wire, connect_cloud(wire.dial, hello_of(model)) as client:
        assert client.welcome.profile is None


async def test_a_device_with_other_weights_is_not_served(model):
    async with wire_to_cloud(model) as wire:
        with pytest.raises(HandshakeRefused, match="weights of motions differ"):
            async with connect_cloud(wire.dial, hello_of(model, digest="ffff")):
                pass


async def test_as_many_classes_are_listed_and_as_many_clips_batched_as_the_settings_say(model, monkeypatch):
    batches = []
    together = TailService.run
    monkeypatch.setattr(TailService, "run", lambda self, b: batches.append(len(b)) or together(self, b))
    packets = [packet_of(model, motion(seq), plan_for(model, 12)) for seq in range(6)]
    async with (
        wire_to_cloud(model, top_k=2, max_batch=2) as wire,
        connect_cloud(wire.dial, hello_of(model)) as client,
    ):
        results = await answers_to(client, *packets)
    assert [len(result.classes) for result in results] == [2] * 6
    assert max(batches) <= 2


async def test_a_clip_waits_from_the_moment_it_is_in(model):
    device, far_end = memory_link()
    sent = packet_of(model, motion(), plan_for(model, 12))
    clock = TickingClock(tick_s=1.0)
    async with open_reception(CloudSettings(), model, clock) as reception, anyio.create_task_group() as tasks:
        tasks.start_soon(reception.meet, far_end)
        await welcomed(device, model)
        await device.send(encode(ClipMessage.of(sent)))
        assert isinstance(await heard(device), Ack)
        result = await heard(device)
        assert isinstance(result, Result)
        # The readings: in, decoding from, to, inferring from, to.
        assert result.durations_ms == {"queue": 2000.0, "decode": 1000.0, "tail": 1000.0}
        await device.close()


async def test_every_device_that_is_still_there_is_told_of_the_end(model):
    links = [memory_link() for _ in range(3)]
    async with (
        open_reception(CloudSettings(), model, TickingClock()) as reception,
        anyio.create_task_group() as tasks,
    ):
        for device, far_end in links:
            tasks.start_soon(reception.meet, far_end)
            await welcomed(device, model)
        await links[0][0].close()
        await anyio.wait_all_tasks_blocked()
        assert len(reception._sessions) == 2
        await reception.say_bye(0.0)
        for device, _ in links[1:]:
            assert await heard(device) == Bye(reason="the cloud is shutting down")


async def test_a_device_that_does_not_read_holds_up_no_end(model, monkeypatch):
    monkeypatch.setattr(reception, "BYE_S", 0.05)
    deaf, deaf_end = memory_link(capacity=1)
    device, far_end = memory_link()
    async with (
        open_reception(CloudSettings(), model, TickingClock()) as opened,
        anyio.create_task_group() as tasks,
    ):
        for near, far in ((deaf, deaf_end), (device, far_end)):
            tasks.start_soon(opened.meet, far)
            await welcomed(near, model)
        await deaf.send(encode(Probe(nonce=1)))
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await opened.say_bye(0.0)
        assert await heard(device) == Bye(reason="the cloud is shutting down")


@pytest.mark.parametrize("live", [True, False])
async def test_a_rolling_restart_loses_no_clip(model, live):
    profile = profile_for(model, 1e-3)
    async with wire_to_cloud(model, profile) as old, wire_to_cloud(model, profile) as new:
        seen = []

        async with anyio.create_task_group() as tasks:

            def restart(record):
                seen.append(record)
                if len(seen) == 3:
                    old.dial = new.dial
                    tasks.start_soon(old._reception.say_bye, 5.0)

            async def dial():
                return await old.dial()

            wire = SimpleNamespace(dial=dial)
            setup = setup_for(model, split=4)
            ledger, records = await run_clips(setup, wire, 10, live=live, on_record=restart)
        assert old._reception._sessions == set()
    assert ledger.balanced
    assert {record.status for record in records} <= {Status.OK, *([Status.DROPPED] if live else [])}
    assert live or new.dialled == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_serves_until_a_signal_then_status_0(
    model, number, monkeypatch, capfd, tmp_path
):
    write_profile(profile_for(model), tmp_path / "profile.json")
    interrupted, printed, welcome = reception.interrupted, [], []
    say_bye, byes = reception.Reception.say_bye, []

    async def visited_then_interrupted(message):
        printed.append(message)
        connection = await dial(re.search(r"ws://\S+", message)[0])
        await connection.send(encode(Hello(protocol=PROTOCOL, model="motions", digest="?", codecs=())))
        welcome.append(await heard(connection))
        await connection.close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupted, message)
            await anyio.lowlevel.checkpoint()
            signal.raise_signal(number)

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    monkeypatch.setattr(reception, "interrupted", visited_then_interrupted)
    monkeypatch.setattr(
        reception.Reception, "say_bye", lambda self, grace_s: byes.append(grace_s) or say_bye(self, grace_s)
    )
    try:
        assert run(CloudSettings(port=0, profile=tmp_path / "profile.json")) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert re.fullmatch(
        r"janus cloud listening at ws://127\.0\.0\.1:\d+/janus with motions@\w{8} \(float32\)", printed[0]
    )
    assert capfd.readouterr().out == f"{printed[0]}\n"
    assert welcome[0].code == "digest"
    assert byes == [10.0]


def test_the_metrics_of_a_cloud_say_what_its_machine_takes(model, monkeypatch, tmp_path):
    write_profile(profile_for(model), tmp_path / "profile.json")
    urls, pages = [], []

    async def looked_at(message):
        pages.append(Page((await anyio.to_thread.run_sync(fetch, urls[0]))[1]))

    monkeypatch.setattr("commands.cloud.machine_meter", lambda clock: EnergyMeter([Turned("gpu-0", 12.5)]))
    monkeypatch.setattr(reception, "tell_where", urls.append)
    monkeypatch.setattr(reception, "interrupted", looked_at)
    assert run(CloudSettings(port=0, profile=tmp_path / "profile.json", metrics=MetricsSettings(port=0))) == 0
    assert pages[0]("janus_energy_joules_total", source="gpu-0") == 12.5


def test_a_cloud_with_another_machines_profile_does_not_begin_to_listen(model, capfd, tmp_path):
    write_profile(profile_for(model, threads=7), tmp_path / "profile.json")
    with pytest.raises(ConfigError, match="threads 7, not 1"):
        run(CloudSettings(port=0, profile=tmp_path / "profile.json"))
    assert capfd.readouterr().out == ""


def test_a_cloud_without_weights_does_not_begin_to_listen(capfd):
    with pytest.raises(ConfigError, match="comes without weights"):
        run(CloudSettings(port=0, model=ModelSettings(name="vit_tiny_patch16_224")))
    assert capfd.readouterr().out == ""
