"""A link that dies and comes back: clips leave it at once, and take it again soon."""

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio
import pytest
from anyio.abc import TaskGroup

from commands.plan import Setup
from configs.settings import DeviceSettings
from models import SplitViT
from pipeline.background import background
from pipeline.channel import Channel
from pipeline.clock import ManualClock
from pipeline.errors import JanusError, LinkLost
from pipeline.items import Header, Packet, Plan, Planned, Prediction, Status
from scheduling.situation import Situation
from stages.probe import Probe
from stages.schedule import Schedule
from stages.send import Send
from tests.commands.machines import profile_for
from tests.pipeline.clips import make_clip
from tests.settled import settled
from tests.transport.world import HELLO, WELCOME, accept_all
from transport.client import connect_cloud
from transport.codecs import codec_names
from transport.connection import Connection
from transport.memory import MemoryConnection, memory_link
from transport.messages import Result
from transport.server import open_session

EVERY_S = 0.5
SLA_S = 0.4
DIES_AT_S, BACK_AT_S, END_S = 5.0, 66.0, 75.0
SOON_S = 3.0
NARROW_MBPS = 0.02
OPEN_WELCOME = WELCOME.model_copy(update={"codecs": codec_names(), "max_message_bytes": 1 << 20})


class LeapingClock(ManualClock):
    """As soon as everybody waits, it leaps to the next moment for which somebody waits."""

    async def run(self) -> None:
        while True:
            await settled()
            if self._sleepers:
                self.advance(max(min(due for due, _ in self._sleepers) - self.now(), 0.0))


@dataclass
class Air:
    """What lies between device and cloud. `held`: what is sent arrives only later; not `up`: nothing does."""

    clock: ManualClock
    mbps: float = 20.0
    held: bool = False
    up: bool = True

    async def carry(self, num_bytes: int) -> None:
        await self.clock.sleep(0.005 + num_bytes * 8 / (self.mbps * 1e6))
        while self.held:
            await self.clock.sleep(0.01)


class AirConnection:
    """The device's end of a memory link, whose messages cross the air one after the other."""

    def __init__(self, inner: MemoryConnection, air: Air, tasks: TaskGroup) -> None:
        self.peer = inner.peer
        self._inner = inner
        self._air = air
        self._send, self._sent = anyio.create_memory_object_stream[bytes](100)
        tasks.start_soon(self._cross)

    async def send(self, data: bytes) -> None:
        try:
            await self._send.send(data)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise LinkLost("air: closed") from None

    async def receive(self) -> bytes:
        return await self._inner.receive()

    async def close(self) -> None:
        self._send.close()
        await self._inner.close()

    def cut(self) -> None:
        self._send.close()
        self._inner.cut()

    async def _cross(self) -> None:
        try:
            async for data in self._sent:
                await self._air.carry(len(data))
                await self._inner.send(data)
        except LinkLost:
            self._sent.close()


class FarCloud:
    """Answers every clip at once, through the air."""

    def __init__(self, air: Air, tasks: TaskGroup) -> None:
        self._air = air
        self._tasks = tasks
        self.link: AirConnection | None = None

    async def dial(self) -> Connection:
        if not self._air.up:
            raise LinkLost("air: nobody listens")
        near, far = memory_link()
        self._tasks.start_soon(self._serve, far)
        self.link = AirConnection(near, self._air, self._tasks)
        return self.link

    async def _serve(self, connection: Connection) -> None:
        try:
            async with open_session(connection, OPEN_WELCOME, accept_all, clock=self._air.clock) as session:
                async for item in session.packets():
                    clip_id = item.header.clip_id
                    durations_ms = {"queue": 0.0, "tail": 1.0}
                    await session.send_result(
                        Result(clip_id=clip_id, classes=(("left", 0, 1.0),), durations_ms=durations_ms)
                    )
        except JanusError:
            return


def worked(planned: Planned, last: int) -> Packet | Prediction:
    """What the device makes of a clip: as many bytes as its plan expects, or its record."""
    clip, plan = planned.clip, planned.plan
    latency_ms = {"head": plan.expected_ms["head"]}
    if plan.split == last:
        return Prediction.of(clip, Status.OK, plan=plan, latency_ms=latency_ms)
    shape = (16, 64, 64, 3) if plan.split == 0 else (129 - sum(plan.pruning.removed[: plan.split]), 128)
    header = Header(
        clip.clip_id,
        clip.source,
        clip.seq,
        plan.split,
        str(plan.pruning),
        plan.pruning.removed,
        plan.codec,
        shape,
    )
    return Packet(header, bytes(round(plan.expected_bytes)), b"", clip, plan, latency_ms)


class Device:
    """A device that is given a clip every half second; `plans` at their times, and what became of each."""

    def __init__(self, model: SplitViT, clock: ManualClock) -> None:
        self.plans: list[tuple[float, Plan]] = []
        self.records: list[Prediction] = []
        self.last = model.num_layers + 1
        self.clock = clock
        self.situation = Situation()
        profile, cloud = profile_for(model, 20.0), profile_for(model, 0.1).model_dump(mode="json")
        self.policy = Setup(DeviceSettings(), model, profile).policy(cloud)

    async def run(self, cloud: FarCloud, events: dict[float, Callable[[], None]], *, probing: bool) -> None:
        """Clips until the end, and `events` at their times."""
        clock, situation = self.clock, self.situation
        items: Channel = Channel("send", 1000)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                connect_cloud(
                    cloud.dial, HELLO, clock=clock, watch=situation, rng=random.Random(1), patience_s=1e4
                )
            )
            send = Send(client, situation, self.policy, clock)
            if probing:
                await stack.enter_async_context(background(Probe(client, situation, clock).run))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._collect, send.run(items))
                tasks.start_soon(self._collect, send.answers())
                await self._feed(items, events)
                items.close()

    async def _feed(self, items: Channel, events: dict[float, Callable[[], None]]) -> None:
        schedule = Schedule(self.policy, self.situation, self.clock)
        for seq in range(round(END_S / EVERY_S)):
            now = self.clock.now()
            for at in [at for at in events if at <= now]:
                events.pop(at)()
            planned = await schedule(make_clip(seq, ready_at=now, deadline=now + SLA_S))
            self.plans.append((now, planned.plan))
            await items.send(worked(planned, self.last))
            await self.clock.sleep(EVERY_S)

    async def _collect(self, records: object) -> None:
        async for record in records:  # type: ignore[attr-defined]
            self.records.append(record)

    def sent_at(self) -> list[float]:
        """When a plan was taken that leaves the device."""
        return [at for at, plan in self.plans if plan.split != self.last]


async def outage(model: SplitViT, kind: str, *, probing: bool = True) -> Device:
    clock = LeapingClock()
    air, device = Air(clock), Device(model, clock)
    async with anyio.create_task_group() as tasks, background(clock.run):
        cloud = FarCloud(air, tasks)

        def die() -> None:
            air.held, air.up = kind == "held", kind != "cut"
            air.mbps = NARROW_MBPS if kind == "narrow" else air.mbps
            if kind == "cut" and cloud.link is not None:
                cloud.link.cut()

        def come_back() -> None:
            air.held, air.up, air.mbps = False, True, 20.0

        with anyio.fail_after(60):
            await device.run(cloud, {DIES_AT_S: die, BACK_AT_S: come_back}, probing=probing)
        tasks.cancel_scope.cancel()
    return device


@pytest.mark.parametrize("kind", ["held", "cut", "narrow"])
async def test_a_minute_after_the_link_died_the_cloud_is_taken_again_within_three_seconds(model, kind):
    device = await outage(model, kind)
    sent_at = device.sent_at()
    before = [at for at in sent_at if at < DIES_AT_S]
    dead = [at for at in sent_at if BACK_AT_S - 60 <= at < BACK_AT_S]
    after = [at for at in sent_at if at >= BACK_AT_S]
    assert len(before) == DIES_AT_S / EVERY_S
    assert dead == [], "sixty seconds of plans that stay on the device"
    assert after
    assert after[0] <= BACK_AT_S + SOON_S
    assert after == [at for at, _ in device.plans if at >= after[0]], "and it stays so"
    assert sorted(record.seq for record in device.records) == list(range(len(device.plans)))
    assert {record.status for record in device.records} == {Status.OK}


async def test_without_probes_it_never_would_be(model):
    device = await outage(model, "narrow", probing=False)
    assert max(device.sent_at()) < BACK_AT_S - 50
    assert {record.status for record in device.records} == {Status.OK}
