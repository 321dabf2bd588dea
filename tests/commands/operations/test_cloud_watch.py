from dataclasses import replace
from types import SimpleNamespace

import anyio

from commands.cloud import open_reception
from commands.operations import cloud_watch
from commands.operations.cloud_watch import CLOUD, CloudCounts, CloudWatch
from configs.settings import CloudSettings
from pipeline.clock import SystemClock
from pipeline.energy.meter import EnergyMeter
from tests.commands.link import Wire
from tests.commands.operations.pages import page_of
from tests.commands.test_cloud import answers_to, hello_of, renamed
from tests.pipeline.energy.machine import Turned
from tests.stages.packets import motion, packet_of, plan_for
from transport.client import connect_cloud
from transport.messages import Result


async def test_devices_clips_answers_and_batches_are_counted(model):
    counts = CloudCounts()
    good = packet_of(model, motion(), plan_for(model, 6))
    misfit = renamed(replace(good, header=replace(good.header, split=7, shape=(9, 9))), "cam/misfit")
    bad = replace(renamed(good, "cam/bad"), payload=b"\0" * 100)
    async with (
        open_reception(CloudSettings(), model, SystemClock(), None, counts) as reception,
        anyio.create_task_group() as tasks,
    ):
        told = CloudWatch(reception, counts)
        wire = Wire(reception, tasks)
        async with connect_cloud(wire.dial, hello_of(model)) as client:
            await answers_to(client, good, misfit, bad)
            page = page_of(told.look().collect())
            assert page("janus_cloud_sessions") == 1
            assert page("janus_cloud_clips_in_flight") == 0
        try:
            async with connect_cloud(wire.dial, hello_of(model, digest="ffff")):
                pass
        except Exception as refusal:
            assert "differ" in str(refusal)
        tasks.cancel_scope.cancel()
    page = page_of(told.look().collect())
    outcomes = {outcome: page("janus_cloud_clips_total", outcome=outcome) for outcome in cloud_watch.OUTCOMES}
    assert outcomes == {"ok": 1, "failed": 1, "refused": 1, "gone": 0}
    assert page("janus_cloud_sessions_total", outcome="taken") == 1
    assert page("janus_cloud_sessions_total", outcome="refused") == 1
    assert page("janus_cloud_received_bytes_total") == len(good.payload) + len(good.sizes) + 100 + len(
        bad.sizes
    )
    assert page("janus_cloud_batch_clips_sum") == page("janus_cloud_batch_clips_count") == 1
    assert {part: page("janus_cloud_latency_seconds_count", part=part) for part in cloud_watch.PARTS} == {
        "queue": 1,
        "decode": 1,
        "tail": 1,
    }
    assert page("janus_queue_capacity_items", stage="tail_infer") == 8
    assert page.names - {"janus_cloud_batch_clips"} <= {metric.name for metric in CLOUD}


def test_an_answer_that_nobody_waits_for_is_of_one_that_has_gone():
    counts = CloudCounts()
    counts.answered(Result(clip_id="a", classes=(("up", 0, 0.5),)), heard=False)
    counts.answered(Result(clip_id="b", error="broken"), heard=False)
    assert (counts.clips["gone",], counts.clips["failed",], counts.clips["ok",]) == (1, 1, 0)


IDLE = {"leaving": False, "sessions": 0, "in_flight": 0, "queues": dict}


def test_what_its_machine_takes_is_told_and_read_off_the_loop():
    card = Turned("gpu-0", 3.5)
    told = CloudWatch(SimpleNamespace(**IDLE), CloudCounts(), EnergyMeter([card]))
    look = told.look()
    assert card.reads == 0
    assert page_of(look.collect())("janus_energy_joules_total", source="gpu-0") == 3.5


def test_it_is_ready_while_it_listens():
    reception = SimpleNamespace(**IDLE)
    told = CloudWatch(reception, CloudCounts())
    assert told.look().readiness().as_dict()["ready"] is False
    told.listens()
    assert told.look().readiness().as_dict() == {"ready": True, "why": "the cloud listens", "degraded": []}
    reception.leaving = True
    assert told.look().readiness().as_dict()["why"] == "the cloud is shutting down"
    assert told.look().readiness().ready is False
