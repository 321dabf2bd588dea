"""One run: the processes, the faults, and what is seen meanwhile."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio
from anyio.abc import TaskGroup

from benchmarks.faults.cameras import SECRET, USER
from benchmarks.faults.evidence import (
    Evidence,
    Suffered,
    read_clips,
    read_lines,
    read_log,
    read_spool,
    read_totals,
    sample,
)
from benchmarks.faults.hook import Hook
from benchmarks.faults.link import FaultyLink
from benchmarks.faults.processes import MAIN, Process, free_ports
from benchmarks.faults.schedule import CLOUD, LINK, SINK, STALL, Fault, Wish, camera_name
from pipeline.errors import JanusError
from sources.motions import motion_sequence
from sources.writer import write_video

FPS = 12
FILM_CLIPS = 64
SLA_MS = 600
SLOWDOWN = 4.0
# The cloud stands for another machine: what its start takes must not be taken from the device.
CLOUD_NICE = 10
EVERY_S = 1.0
METRICS_S = 20.0
FIRST_CLIP_S = 60.0
LATENESS_S = 20.0
UDP = "?transport=udp"
VIEWER = "viewer-" + secrets.token_hex(8)
Told = Callable[[float, str], None]


@dataclass(slots=True)
class World:
    """What runs: `folder` holds the films, the results and the logs."""

    folder: Path
    cameras: Process
    cloud: Process
    device: Process
    link: FaultyLink
    hook: Hook
    secrets: tuple[str, ...]
    metrics: str

    @property
    def results(self) -> Path:
        return self.folder / "results.jsonl"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"


async def run(wish: Wish, faults: Sequence[Fault], seed: int, folder: Path, tell: Told) -> Evidence:
    """Let the faults happen, and say what came of it; JanusError when a process ends that should not."""
    evidence = Evidence()
    async with anyio.create_task_group() as tasks, _world(wish, seed, folder, tasks) as world:
        began = time.time()
        evidence.calm = began + wish.warm_up_s
        for part in {fault.part for fault in faults}:
            own = [fault for fault in faults if fault.part == part]
            tasks.start_soon(_suffer, world, own, began, evidence, tasks)
        while (now := time.time()) < began + wish.total_s:
            await _look(world, evidence, now)
            tell(now - began, f"{len(evidence.suffered)} of {len(faults)} faults")
            await anyio.sleep(EVERY_S - (time.time() - now) % EVERY_S)
        await _until(lambda: len(evidence.suffered) == len(faults), LATENESS_S)
        evidence.counted = read_clips(await _page(world.metrics))
        evidence.ended = time.time()
        evidence.exit_status = await world.device.asked_to_end()
        tasks.cancel_scope.cancel()
    _gather(world, evidence)
    return evidence


@asynccontextmanager
async def _world(wish: Wish, seed: int, folder: Path, tasks: TaskGroup) -> AsyncIterator[World]:
    """All processes, with frames of every camera; they end with the context."""
    password, path = secrets.token_hex(12), f"/hook-{secrets.token_hex(8)}"
    who = {USER: VIEWER, SECRET: password}
    port, near, far, *ports = free_ports(3 + wish.cameras)
    played = [each for index, own in enumerate(ports) for each in (own, _film(folder, seed, index))]
    cameras = Process("cameras", folder, "-m", "benchmarks.faults.cameras", *played, environment=who)
    cloud = Process(CLOUD, folder, MAIN, "cloud", "--port", port, nice=CLOUD_NICE)
    link, hook = FaultyLink(near, port), Hook(far, path, (password, VIEWER, path))
    started = [cameras, cloud]
    try:
        await hook.open()
        await link.open(tasks)
        cameras.start()
        cloud.start()
        await cameras.says("playing", cameras.out)
        await cloud.says("listening at", cloud.out)
        device = Process("device", folder, *_device(folder, ports, link, hook, path), environment=who)
        started.append(device)
        device.start()
        metrics = (await device.says(r"metrics at (http://[^\s\"]+)", device.log))[1]
        world = World(folder, cameras, cloud, device, link, hook, (password, VIEWER, path), metrics)
        if not await _until(
            lambda: world.results.exists() and world.results.stat().st_size > 0, FIRST_CLIP_S
        ):
            raise JanusError(f"no clip within {FIRST_CLIP_S:g} s: see {device.log}")
        yield world
    finally:
        with anyio.CancelScope(shield=True):
            for process in reversed(started):
                process.end()
            await hook.close()


def _device(folder: Path, ports: Sequence[int], link: FaultyLink, hook: Hook, path: str) -> list[object]:
    sink = f"http://127.0.0.1:{hook.port}{path}#spool={folder / 'spool'}&timeout_s=3"
    who = f"${{{USER}}}:${{{SECRET}}}"
    sources = [
        f"{camera_name(index)}=rtsp://{who}@127.0.0.1:{port}/stream{'' if index else UDP}"
        for index, port in enumerate(ports)
    ]
    return [
        *(MAIN, "device", *(each for source in sources for each in ("--source", source))),
        *("--cloud", f"ws://127.0.0.1:{link.port}/janus", "--sla-ms", SLA_MS, "--emulate-slowdown", SLOWDOWN),
        *("--output", folder / "results.jsonl", "--sink", sink, "--strict", "--metrics-port", 0),
        *("--log", "json", "-v"),
    ]


def _film(folder: Path, seed: int, index: int) -> Path:
    path = folder / f"film-{index + 1}.mp4"
    clips = (motion_sequence(seed + index, clip)[1] for clip in range(FILM_CLIPS))
    write_video(path, (frame for clip in clips for frame in clip), FPS)
    return path


async def _suffer(
    world: World, faults: Sequence[Fault], began: float, evidence: Evidence, tasks: TaskGroup
) -> None:
    """The faults of one part, one after the other."""
    for fault in faults:
        await anyio.sleep(max(began + fault.at_s - time.time(), 0.0))
        evidence.suffered.append(await _one(world, fault, tasks))


async def _one(world: World, fault: Fault, tasks: TaskGroup) -> Suffered:
    began = time.time()
    match fault.part:
        case _ if fault.part == CLOUD:
            await world.cloud.kill()
            await anyio.sleep(fault.for_s)
            world.cloud.start()
            await world.cloud.says("listening at", world.cloud.out)
        case _ if fault.part == LINK:
            await (
                world.link.stall(fault.for_s) if fault.kind == STALL else world.link.cut(fault.for_s, tasks)
            )
        case _ if fault.part == SINK:
            await world.hook.suffer(fault.kind, fault.for_s)
        case _:
            return await _of_camera(world.cameras, fault)
    return Suffered(fault.part, fault.kind, began, time.time())


async def _of_camera(cameras: Process, fault: Fault) -> Suffered:
    index = int(fault.part.rpartition("-")[2]) - 1
    mark = f"{index} {fault.at_s:.6f}"
    order = {"camera": index, "kind": fault.kind, "for_s": fault.for_s, "mark": mark}
    cameras.tell(json.dumps(order))
    said = await cameras.says(rf'.*"mark": "{mark}".*\n', cameras.out)
    told = json.loads(said[0])
    return Suffered(fault.part, fault.kind, told["began"], told["over"])


async def _look(world: World, evidence: Evidence, now: float) -> None:
    """A sample of the device; JanusError if it, or the cameras, have ended."""
    for process in (world.device, world.cameras):
        if process.status is not None:
            raise JanusError(f"the {process.name} ended with exit status {process.status}: see {process.log}")
    evidence.samples.append(sample(world.device.pid, world.results, now))


async def _page(url: str) -> str:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(METRICS_S)) as client,
        client.get(url) as answer,
    ):
        return await answer.text()


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition` holds, for `seconds` at most; whether it does."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:  # noqa: ASYNC110  (processes tell nobody)
        await anyio.sleep(0.1)
    return condition()


def _gather(world: World, evidence: Evidence) -> None:
    """What the processes have written."""
    texts = {path: path.read_text(errors="replace") for path in sorted(world.folder.glob("*.[olj]*"))}
    evidence.lines = read_lines(texts[world.results], evidence.samples)
    evidence.changes, evidence.waits = read_log(texts[world.device.log].splitlines())
    evidence.totals = read_totals(texts[world.device.out])
    evidence.arrived = world.hook.arrived
    evidence.spooled = read_spool(world.spool)
    evidence.tracebacks = sum(text.count("Traceback (most recent call last)") for text in texts.values())
    evidence.leaks = world.hook.leaks
    evidence.leaks += sum(text.count(secret) for text in texts.values() for secret in world.secrets)
