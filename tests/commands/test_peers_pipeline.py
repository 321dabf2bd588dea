"""Real parts behind real links, the whole pipeline around them."""

import json
import threading
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import anyio
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from commands.job import Job
from commands.operations.device_watch import DeviceWatch
from commands.peers_pipeline import run_peers
from commands.peers_setup import PeersSetup
from configs.settings import DeviceSettings, LinkSettings, PlanSettings
from devit.ensemble import presence
from main import app
from models.preprocessing import preprocess
from pipeline.clock import SystemClock
from pipeline.errors import LinkLost
from pipeline.items import Frame, Ran, Status
from scheduling.gathering import Gathering
from sources.writer import write_video
from stages.capture import capture
from stages.classes import top_classes
from stages.part_service import PartService
from tests.commands.link import ListSink
from tests.commands.operations.pages import page_of
from tests.commands.peers import peer_here, wires_to_peers
from tests.devit.small import VIT
from tests.stages.parts import LABELS, ensemble_of, frames_of, fusion_of, part_of, saved_parts

PARTS = 3
CLIPS = 12
SHAPE = (1, 32, 32, 3)


def setup_for(wires, own=None, **settings):
    """A device that knows how to reach `wires`, and holds the part `own` itself."""
    given = {"link": LinkSettings(connect_s=2, patience_s=0.2), "plan": PlanSettings()} | settings
    dials = {f"peer:{number}": wire.dial for number, wire in enumerate(wires)}
    service = None if own is None else PartService(part_of(own))
    met = tuple(part for part in range(PARTS) if part != own)[: len(wires)]
    return PeersSetup(DeviceSettings(**given), fusion_of(PARTS), dials, SHAPE, service, own or 0, met)


class Noise:
    """A source of `clips` pictures that nobody can mistake for each other, or of fewer if `ended` is set."""

    name, rate = "yard", 25.0

    def __init__(self, clips, ended=None):
        self._clips = clips
        self._ended = ended or threading.Event()

    def frames(self):
        for seq in range(self._clips):
            if self._ended.is_set():
                return
            yield Frame("yard", seq, seq / 25, time.monotonic(), frames_of(seq)[0])

    def close(self): ...


async def run(setup, clips=CLIPS, **job):
    sink = ListSink()
    options = {"inlets": [capture(Noise(clips))], "sinks": [sink], "live": False} | job
    ledger = await run_peers(setup, Job(**options), SystemClock())
    assert ledger.balanced
    assert [record.seq for record in sink.records] == list(range(ledger.admitted))
    return sink.records


def expected(present=range(PARTS)):
    """What the ensemble in one process makes of the same pictures."""
    pixels = preprocess(np.stack([frames_of(seq) for seq in range(CLIPS)]), VIT.spec)
    with torch.inference_mode():
        logits = ensemble_of(PARTS)(pixels, presence(tuple(present), PARTS, CLIPS)).logits.numpy()
    return [top_classes(row, LABELS, 5) for row in logits]


def same(records, classes):
    for record, wanted in zip(records, classes, strict=True):
        assert [score.name for score in record.classes] == [score.name for score in wanted]
        confidences = [[score.confidence for score in each] for each in (record.classes, wanted)]
        np.testing.assert_allclose(*confidences, atol=1e-4)


def contributed(record):
    return [answer.part for answer in record.parts if answer.missing is None]


@asynccontextmanager
async def peers(*parts):
    async with wires_to_peers(*map(part_of, parts)) as wires:
        yield wires


@pytest.mark.parametrize("codec", [None, "raw", "raw+zstd"])
async def test_answers_are_those_of_the_ensemble_in_one_process_whatever_the_order_of_peers(codec):
    async with peers(2, 0, 1) as wires:
        records = await run(setup_for(wires, plan=PlanSettings(codec=codec)))
    same(records, expected())
    for record in records:
        assert (record.status, record.ran) == (Status.OK, Ran.PEERS)
        assert record.model == f"devit@{fusion_of(PARTS).digest[:8]}"
        assert set(record.latency_ms) == {"wait", "encode", "gather", "fuse", "total"}
        assert [answer.peer for answer in record.parts] == ["peer:1", "peer:2", "peer:0"]
        for answer in record.parts:
            assert set(answer.latency_ms) == {"uplink", "queue", "decode", "tail"}


async def test_a_part_that_nobody_holds_is_named_though_every_peer_is_there(caplog):
    async with peers(0, 2, 2) as wires:
        await run(setup_for(wires))
    said = [record.message for record in caplog.records if record.name == "commands.unheld"]
    assert said == [f"nobody holds part 2 ({part_of(1).digest[:8]}); clips go without"]


async def test_before_the_first_clip_it_is_known_how_long_a_fusion_takes(monkeypatch):
    taken = []
    monkeypatch.setattr(Gathering, "fused", lambda self, seconds: taken.append(seconds))
    await run(setup_for([], own=1), 0)
    assert len(taken) == 1 and 0 < taken[0] < 5


async def test_an_operator_sees_which_parts_are_connected():
    watch = DeviceWatch([], [], SystemClock(), None)
    looks = []

    def on_record(record):
        watch.record(record)
        looks.append(watch.look())

    async with peers(0, 2) as wires:
        setup = replace(setup_for(wires), met=(0, 2))
        await run(setup, 3, on_start=watch.begun, on_record=on_record)
    page = page_of(looks[-1].collect())
    for name in ("janus_part_connected", "janus_part_prompt"):
        assert [page(name, part=part) for part in "123"] == [1, 0, 1]
    assert page("janus_clips_total", status="ok", ran="peers") == 3
    assert looks[-1].readiness().degraded == ("part 2: no peer",)


async def test_the_device_may_hold_a_part_itself():
    async with peers(0, 2) as wires:
        records = await run(setup_for(wires, own=1))
    same(records, expected())
    assert {record.parts[1].peer for record in records} == {"here"}


async def test_without_any_peer_the_part_that_is_held_here_answers_alone():
    records = await run(setup_for([], own=1))
    same(records, expected([1]))
    assert {record.parts[0].missing for record in records} == {"not connected"}


async def test_a_peer_that_is_lost_is_missing_and_one_that_returns_contributes_again():
    async with peers(0, 1, 2) as wires:
        seen = []

        def on_record(record):
            seen.append(record)
            if len(seen) == 10:
                wires[1].cut()

        records = await run(setup_for(wires), 200, on_record=on_record)
    assert {record.status for record in records} == {Status.OK}
    assert contributed(records[0]) == contributed(records[-1]) == [1, 2, 3]
    without = [record for record in records if contributed(record) == [1, 3]]
    assert without
    assert {record.parts[1].missing for record in without} <= {"the link was lost", "not connected"}
    assert wires[1].dialled == 2


class Stalled(PartService):
    """A part that stands still from its third clip on until it is let go."""

    def __init__(self, part):
        super().__init__(part)
        self.go = threading.Event()
        self.runs = 0

    def tokens(self, frames):
        self.runs += 1
        assert self.runs <= 3 or self.go.wait(30)
        return super().tokens(frames)


async def test_a_peer_that_stands_still_makes_no_clip_late_holds_up_few_and_is_taken_again(monkeypatch):
    stalled = []

    def service(part, device):
        if part is not part_of(1):
            return PartService(part, device)
        stalled.append(Stalled(part))
        return stalled[0]

    monkeypatch.setattr("commands.peer.PartService", service)
    async with peers(0, 1, 2) as wires:
        seen, ended = [], threading.Event()

        def on_record(record):
            seen.append(record)
            if len(seen) == 30:
                stalled[0].go.set()
            if len(seen) > 30 and contributed(record) == [1, 2, 3]:
                ended.set()

        inlets = [capture(Noise(2000, ended))]
        records = await run(setup_for(wires, sla_ms=600), inlets=inlets, on_record=on_record)
    assert {record.status for record in records} == {Status.OK}
    assert contributed(records[0]) == contributed(records[-1]) == [1, 2, 3]
    between = [record for record in records[:30] if contributed(record) == [1, 3]]
    assert len(between) > 20
    waited = [record for record in between if record.latency_ms["gather"] > 300]
    assert 0 < len(waited) < len(between) / 2


class Paced(Noise):
    """A camera of 10 clips a second."""

    def frames(self):
        for frame in super().frames():
            time.sleep(0.1)
            yield replace(frame, captured_at=time.monotonic())


async def test_clips_that_are_decided_take_no_place_of_newer_ones_while_an_older_one_waits(monkeypatch):
    standing = Stalled(part_of(1))

    def service(part, device):
        return standing if part is part_of(1) else PartService(part, device)

    monkeypatch.setattr("commands.peer.PartService", service)
    async with peers(0, 1, 2) as wires:
        records = await run(setup_for(wires, sla_ms=4000), live=True, inlets=[capture(Paced(30))])
        standing.go.set()
    assert [record.reason for record in records if record.status is Status.DROPPED] == []
    assert sum(contributed(record) == [1, 3] for record in records) > 20


@pytest.fixture
def stalled(monkeypatch):
    """The first peer with part 2 stands still; it is let go at the end."""
    held = []

    def service(part, device):
        if part is not part_of(1) or held:
            return PartService(part, device)
        held.append(Stalled(part))
        return held[0]

    monkeypatch.setattr("commands.peer.PartService", service)
    yield
    held[0].go.set()


async def test_a_run_that_is_to_end_fuses_what_is_in_and_waits_for_no_peer_that_stands_still(stalled):
    runs = []

    def on_record(record):
        if record.seq == 1:
            runs[0].end_by(time.monotonic() + 2)

    async with peers(0, 1, 2) as wires:
        with anyio.fail_after(20):
            records = await run(setup_for(wires), 7, on_start=runs.append, on_record=on_record)
    assert {record.status for record in records} == {Status.OK}
    assert contributed(records[1]) == [1, 2, 3]
    assert all(record.parts[1].missing for record in records[2:])


async def test_an_operator_sees_that_a_part_is_behind(stalled):
    watch = DeviceWatch([], [], SystemClock(), None)
    seen = []

    def on_record(record):
        look = watch.look()
        page = page_of(look.collect())
        parts = (page(f"janus_part_{what}", part="2") for what in ("connected", "prompt"))
        seen.append((*look.readiness().degraded, *parts))

    async with peers(0, 1, 2) as wires:
        await run(setup_for(wires, sla_ms=2000), 5, on_start=watch.begun, on_record=on_record)
    assert seen == [(1, 1)] * 2 + [("part 2: behind (peer:1)", 1, 0)] * 3


async def test_a_peer_that_stands_still_gives_way_to_another_with_its_part(stalled):
    async with peers(0, 1, 1, 2) as wires:
        records = await run(setup_for(wires, sla_ms=2000), 8)
    assert [(record.parts[1].peer, record.parts[1].missing) for record in records] == [
        *[("peer:1", None)] * 2,
        *[("peer:1", "not in time")] * 2,
        *[("peer:2", None)] * 4,
    ]


async def test_where_nothing_answers_a_replay_ends_and_what_is_live_fails_clip_by_clip():
    class Gone:
        async def dial(self):
            raise LinkLost("peer: nobody listens")

    setup = replace(setup_for([Gone()]), met=())
    with pytest.raises(LinkLost, match=r"no peer is there any more; gave up after 0\.2 s"):
        await run(setup)
    records = await run(setup, live=True)
    answered = [record for record in records if record.status is not Status.DROPPED]
    assert {record.status for record in answered} == {Status.FAILED}
    assert all("part 1 not connected; part 2 not connected" in record.reason for record in answered)


async def test_a_live_overload_drops_in_front_and_serves_the_newest():
    async with peers(0, 1, 2) as wires:
        records = await run(setup_for(wires), 200, live=True)
    lost = {record.reason for record in records if record.status is Status.DROPPED}
    assert lost
    assert lost <= {f"overload: newer clips were waiting for {what}" for what in ("the model", "every part")}
    assert {record.status for record in records} == {Status.OK, Status.DROPPED}
    assert records[-1].status is Status.OK


def test_a_replay_over_real_websockets_writes_one_record_a_clip(tmp_path):
    _, fusion = saved_parts(tmp_path, PARTS)
    video, output = tmp_path / "yard.mp4", tmp_path / "out.jsonl"
    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), np.uint8)
    write_video(video, list(frames), 25)
    with ExitStack() as stack:
        urls = [stack.enter_context(peer_here(part_of(part))) for part in (1, 2, 0)]
        arguments = ["replay", video, "-o", output, "--strict", "--peers", ",".join(urls), "--fusion", fusion]
        result = CliRunner().invoke(app, [*map(str, arguments), "--codec", "jpeg:90", "--sla-ms", "60000"])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record["seq"] for record in records] == list(range(8))
    for record in records:
        assert (record["status"], record["plan"]["ran"], record["plan"]["codec"]) == (
            "ok",
            "peers",
            "jpeg:90",
        )
        assert [part["peer"] for part in record["parts"]] == [urls[i][5:-6] for i in (2, 0, 1)]
        assert all(part["missing"] is None for part in record["parts"])
        assert record["bytes"] > 0
