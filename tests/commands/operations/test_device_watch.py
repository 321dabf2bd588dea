import json
import time
from dataclasses import replace
from types import SimpleNamespace

import anyio.to_thread
import pytest

from commands.device_pipeline import run_device
from commands.job import Job
from commands.operations import device_watch
from commands.operations.device_watch import DEVICE, DeviceWatch, camera_metrics, sink_metrics, unique
from commands.operations.server import operated
from configs.settings import MetricsSettings
from pipeline.clock import ManualClock, SystemClock
from pipeline.energy.meter import EnergyMeter
from pipeline.errors import LinkLost, SinkError
from pipeline.items import Status
from sinks.outage import SinkStatistics
from sinks.runner import SinkRunner
from sources.base import FrameGeometry
from sources.live.make import live_source
from sources.live.states import SourceStatus, State
from sources.live.url import parse_address
from sources.pattern import PatternSource
from stages.capture import capture
from tests.commands.link import setup_for, wire_to_cloud
from tests.commands.machines import profile_for
from tests.commands.operations.pages import Page, fetch, page_of
from tests.pipeline.energy.machine import Turned
from tests.sinks.ends import FlakySink
from tests.sinks.samples import DOCUMENTED

SECRET_CAMERA = "rtsp://me:hidden@127.0.0.1:9/cam?token=hidden"


def camera(name="door"):
    return live_source(parse_address(SECRET_CAMERA), name, FrameGeometry(32), SystemClock())


def runner(sink=None, name="out.jsonl", clock=None):
    return SinkRunner(name, sink or FlakySink(), grace_s=0.0, clock=clock)


def watch(sources=(), sinks=(), clock=None, sla_ms=None):
    return DeviceWatch(sources, sinks, clock or ManualClock(100.0), sla_ms)


def named(metrics):
    return {metric.name for metric in metrics}


async def test_a_run_with_a_cloud_tells_all_that_there_is_to_tell_while_it_runs(model):
    source = PatternSource("cam", seed=3, size=64, fps=200, clips=12, clock=SystemClock())
    sink = runner()
    sink.open()
    told = watch([source], [sink], SystemClock(), 10_000)
    pages, asked, three = [], anyio.Event(), anyio.Event()

    def record(prediction):
        told.record(prediction)
        if sink.statistics().written >= 3 or prediction.seq == 11:
            three.set()

    async with (
        operated(MetricsSettings(port=0), told) as url,
        wire_to_cloud(model, profile_for(model, 1e-3)) as wire,
    ):

        async def scrape(path):
            return await anyio.to_thread.run_sync(fetch, url.replace("/metrics", path))

        async def in_the_middle():
            assert json.loads((await scrape("/readyz"))[1])["ready"] is False
            asked.set()
            await three.wait()
            pages.extend([await scrape("/metrics"), await scrape("/readyz")])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(in_the_middle)
            await asked.wait()
            job = Job([capture(source)], [sink], live=True, on_record=record, on_start=told.begun)
            ledger = await run_device(setup_for(model, sla_ms=10_000), job, SystemClock(), wire.dial)
        last = Page((await scrape("/metrics"))[1])
    sink.close()
    (status, body), (ready, why) = pages
    page = Page(body)
    assert (status, ready, json.loads(why)["degraded"]) == (200, 200, [])
    assert page("janus_link_connected") == 1
    assert page("janus_link_bandwidth_bytes_per_second") > 0
    assert page("janus_promise_seconds") == 10
    assert last("janus_clips_under_way") == 0
    answered = sum(ledger.counts[status] for status in (Status.OK, Status.LATE))
    assert last("janus_latency_seconds_count", part="total") == answered
    assert last("janus_source_clips_total", source="cam", status="ok") == ledger.counts[Status.OK]
    assert sum(value for (name, _), value in last.samples.items() if name == "janus_clips_total") == 12
    assert {name for (name, _) in last.samples if name == "janus_queue_items"}
    assert last("janus_queue_capacity_items", stage="schedule") == 2
    assert last("janus_sink_written_records_total", sink="out.jsonl") == 12
    assert last("janus_sent_bytes_total") > 0


async def test_a_device_without_a_cloud_shows_no_link(model):
    told = watch()
    source = PatternSource("cam", seed=3, size=64, fps=200, clips=2, clock=SystemClock())
    job = Job([capture(source)], [], live=True, on_record=told.record, on_start=told.begun)
    await run_device(setup_for(model, split=13), job, SystemClock(), None)
    page = page_of(told.look().collect())
    assert not page.has("janus_link_connected")
    assert page("janus_clips_total", status="ok", ran="device") >= 1
    assert page("janus_rescue_kept_bytes") == 0
    assert told.look().readiness().degraded == ()


async def test_a_cloud_and_a_camera_that_are_lost_are_degraded_but_ready(model):
    told = watch([camera()], clock=SystemClock())

    async def nowhere():
        raise LinkLost("cloud: refused")

    seen = []
    with anyio.CancelScope() as scope:

        def begun(running):
            told.begun(running)
            seen.append((told.look().readiness(), page_of(told.look().collect())))
            scope.cancel()

        job = Job([], [], live=True, on_start=begun)
        await run_device(setup_for(model), job, SystemClock(), nowhere)
    readiness, page = seen[0]
    assert readiness.ready
    assert readiness.degraded == (
        "cloud: no link (cloud: refused); clips are finished here",
        "source door: connecting",
    )
    assert page("janus_link_connected") == 0


def test_it_is_not_ready_before_the_pipeline_runs_nor_once_it_is_to_end():
    told = watch()
    assert told.look().readiness().as_dict() == {
        "ready": False,
        "why": "the pipeline does not run yet",
        "degraded": [],
    }
    told._running = SimpleNamespace(client=None)
    told.ended("the run was asked to end")
    assert (told._readiness((), 0.0).ready, told._readiness((), 0.0).why) == (
        False,
        "the run was asked to end",
    )


def test_a_sink_that_fails_is_degraded_and_says_since_when():
    clock, sink = ManualClock(100.0), FlakySink(SinkError("out.jsonl: no space left"))
    broken = runner(sink, clock=clock)
    told = watch(sinks=[broken], clock=clock)
    broken.open()
    broken.write(DOCUMENTED)
    while broken.statistics().failing_since is None:
        time.sleep(0.01)
    clock.advance(7.0)
    look = told.look()
    assert look.readiness().degraded == ("sink out.jsonl: fails for 7 s: out.jsonl: no space left",)
    page = page_of(look.collect())
    assert page("janus_sink_failing_seconds", sink="out.jsonl") == 7
    assert page("janus_sink_waiting_records", sink="out.jsonl") == 1
    with pytest.raises(SinkError):
        broken.close()


def test_two_sinks_of_one_name_are_told_apart():
    assert unique(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-2", "a-2-2", "a-3"]
    page = page_of(watch(sinks=[runner(name="https://hook"), runner(name="https://hook")]).look().collect())
    assert page("janus_sink_spooled_records", sink="https://hook-2") == 0


def test_a_camera_is_in_exactly_one_state_and_its_counts_are_told():
    status = SourceStatus("door", State.STALLED, 1.0, reconnects=2, frames=30, dropped=4, corrupt=5, jumps=6)
    page = page_of(camera_metrics([status, replace(status, source="yard", state=State.RUNNING)]))
    assert {state: page("janus_source_state", source="door", state=state) for state in State} == {
        state: float(state is State.STALLED) for state in State
    }
    found = ["reconnects", "frames", "dropped_frames", "corrupt_frames", "clock_jumps"]
    assert [page(f"janus_source_{each}_total", source="yard") for each in found] == [2, 30, 4, 5, 6]


def test_a_sinks_numbers_are_told():
    found = SinkStatistics("x", written=1, waiting=2, spooled=3, given_up=4, failing_since=90.0)
    page = page_of(sink_metrics({"x": found, "y": SinkStatistics("y")}, 100.0))
    names = ["written_records_total", "waiting_records", "spooled_records", "given_up_records_total"]
    assert [page(f"janus_sink_{name}", sink="x") for name in names] == [1, 2, 3, 4]
    assert page("janus_sink_failing_seconds", sink="x") == 10
    assert page("janus_sink_failing_seconds", sink="y") == 0


def test_what_the_machine_takes_is_told_by_source_and_read_off_the_loop():
    package, card = Turned("package-0", 7.5), Turned("gpu-0", None)
    told = DeviceWatch([], [], ManualClock(), None, EnergyMeter([package, card]))
    look = told.look()
    assert package.reads == 0
    page = page_of(look.collect())
    assert {key: value for key, value in page.samples.items() if "energy" in key[0]} == {
        ("janus_energy_joules_total", (("source", "package-0"),)): 7.5
    }
    assert not page_of(watch().look().collect()).has("janus_energy_joules_total")


def test_no_label_and_no_word_of_readiness_holds_a_secret():
    door = camera()
    door._states.lost(101.0, f"cannot open {SECRET_CAMERA}", refused=True)
    told = watch([door], [runner(name="mqtt://host:1883/janus")])
    told.record(replace(DOCUMENTED, status=Status.FAILED, reason=f"cannot open {SECRET_CAMERA}"))
    look = told.look()
    shown = f"{list(look.collect())} {look.readiness()}"
    assert "door: failed: cannot open rtsp://***@127.0.0.1:9/cam" in shown
    assert "hidden" not in shown


def test_a_look_at_many_cameras_after_a_long_run_takes_the_loop_less_than_ten_milliseconds(model):
    told = watch([camera(f"cam-{number}") for number in range(100)])
    for number in range(100):
        told.record(replace(DOCUMENTED, source=f"cam-{number}", plan=replace(DOCUMENTED.plan, split=number)))
    took_s = []
    for _ in range(10):
        began = time.perf_counter()
        told.look()
        took_s.append(time.perf_counter() - began)
    assert min(took_s) < 0.010


def test_every_metric_is_in_the_catalogue_once_and_named_as_prometheus_would():
    names = [metric.name for metric in DEVICE]
    assert len(set(names)) == len(names)
    declared = [
        each for each in vars(device_watch).values() if type(each).__name__ in ("Number", "Distribution")
    ]
    assert {each.name for each in declared} <= set(names)
    assert all(name.startswith("janus_") for name in names)
    assert all(metric.help.endswith(".") for metric in DEVICE)
