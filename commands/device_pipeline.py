"""The device's pipeline, from sources to sinks, for replay and for live sources."""

import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from commands.delivery import Delivery
from commands.energy import from_first
from commands.job import Job, Running, every_record, schedule_stage
from commands.plan import RESCUE_MARGIN_MS, Policy, Setup
from commands.security import credentials_of
from configs.settings import DeviceSettings
from models import SplitViT
from pipeline.background import background
from pipeline.clock import Clock
from pipeline.energy.shares import EnergyShares
from pipeline.errors import ConfigError
from pipeline.in_flight import InFlight
from pipeline.items import Prediction
from pipeline.ledger import Ledger
from pipeline.runner import Pipeline
from pipeline.stage import Stage, in_two_lanes, per_clip
from pipeline.worker import Worker
from scheduling.admission import Admission
from scheduling.link import LinkRules, LinkTracker
from scheduling.policies import CurrentPolicy
from scheduling.rescue import LocalFinishes
from scheduling.rescue_timer import RescueTimer
from scheduling.situation import Situation
from sources.base import FrameGeometry
from sources.clips import ClipSettings
from stages.clip_batch import ClipBatch
from stages.compress import Compress
from stages.head_infer import HeadInfer
from stages.probe import Probe
from stages.rescue import Rescue
from stages.schedule import Schedule, ScheduleLive, ScheduleReplay
from stages.send import KeepHere, Send
from transport.client import CloudClient, connect_cloud
from transport.codecs import codec_names
from transport.connection import Dial
from transport.messages import PROTOCOL, Hello, Welcome
from transport.websocket import dial

IN_FLIGHT_WITH_PROMISE = 2


def geometry_of(model: SplitViT) -> FrameGeometry:
    """The square frames that the model takes."""
    return FrameGeometry(model.input_size, model.crop_pct)


def clip_settings(settings: DeviceSettings, model: SplitViT) -> ClipSettings:
    """Clips of as many frames as the model takes; ConfigError for any other number."""
    clips = settings.clips
    if clips.frames not in (None, model.clip_frames):
        raise ConfigError(f"clips of {clips.frames} frames: model {model.name} takes {model.clip_frames}")
    return ClipSettings(model.clip_frames, clips.stride, clips.hop, clips.rate)


def dial_for(setup: Setup) -> Dial | None:
    """How to reach the cloud; None for a plan that never leaves the device. ConfigError without a URL."""
    if not setup.needs_cloud:
        return None
    url = setup.settings.link.url
    if url is None:
        raise ConfigError(
            "no cloud is named: add --cloud ws://HOST:PORT, or run all layers here with --device-only"
        )
    credentials = setup.credentials or credentials_of(setup.settings.link)
    return partial(dial, url, credentials=credentials)


async def run_device(setup: Setup, job: Job, clock: Clock, connect: Dial | None) -> Ledger:
    """Run `job` to its end and return the balance; the sinks are open before and stay open after.

    A live one begins without a cloud if it has to, finishes by itself what a cloud cannot answer in time,
    and looks for the cloud until it ends.
    """
    settings, model = setup.settings, setup.model
    ledger = Ledger(settings.sla_ms)
    situation = Situation(LinkTracker(LinkRules(prior_mbps=settings.link.prior_mbps)))
    shares = EnergyShares(job.energy.joules) if job.energy.names else None
    rescue: Rescue | None = None

    def recorded(record: Prediction) -> None:
        schedule.recorded(record)
        if rescue is not None:
            rescue.over(record.clip_id)
        job.on_record(record)

    async with AsyncExitStack() as stack:
        model_worker, codec_worker, sink_worker = (
            stack.enter_context(Worker(name)) for name in ("model", "codec", "sinks")
        )
        delivery = Delivery(
            ledger,
            job.sinks,
            worker=sink_worker,
            clock=clock,
            model_id=model.id,
            shares=shares,
            on_record=recorded,
        )
        client = await stack.enter_async_context(_client(setup, connect, situation, clock, live=job.live))
        choose = partial(setup.policy, rescue=job.live and client is not None)
        policy = CurrentPolicy(await codec_worker.run(choose, _profile(setup, client)))
        clips = clip_settings(settings, model)
        sla_ms = settings.sla_ms if job.live else None  # a replayed clip's time begins when it is scheduled
        batch = ClipBatch(clips, ledger, clock, sla_ms, job.done, first_seq=job.first_seq)
        schedule = _schedule(Schedule(policy, situation, clock), ledger, clock, settings, live=job.live)
        head = HeadInfer(model, model_worker, clock, settings.top_k, settings.slowdown)
        if job.live and client is not None:
            finishes = None if setup.profile is None else LocalFinishes(setup.profile)
            timer = RescueTimer(finishes, RESCUE_MARGIN_MS)
            rescue = Rescue(timer, head, model_worker, situation, clock, withdraw=client.withdraw)
        run_head = head if rescue is None else rescue.keeping(head)
        send = None
        if client is not None:
            welcomed = _OnWelcome(choose, policy, codec_worker)
            send = Send(
                client,
                situation,
                policy,
                clock,
                settings.top_k,
                rescue=rescue,
                on_welcome=welcomed if job.live else None,
            )
        stages = [
            Stage("clip_batch", from_first(batch.run, shares, sink_worker), capacity=2 * model.clip_frames),
            schedule_stage(schedule.run, job.live),
            Stage("head_infer", in_two_lanes(run_head, head.passes), capacity=1),
            Stage("compress", per_clip(Compress(codec_worker, clock))),
            Stage("send", send.run if send else KeepHere(situation, clock).run),
        ]
        producers = [*([send.answers()] if send else []), *([rescue.records()] if rescue else [])]
        pipeline = Pipeline(job.inlets, stages, delivery, producers)
        job.on_start(Running(ledger, situation, batch, pipeline, client, rescue))
        async with every_record(ledger, delivery, job.live):
            await pipeline.run()
    return ledger


def _profile(setup: Setup, client: CloudClient | None) -> Mapping[str, Any] | None:
    """The cloud's profile; before a cloud is known, this machine's own, by which nothing leaves it."""
    if client is None:
        return None
    if client.known:
        return client.welcome.profile
    return None if setup.profile is None else setup.profile.model_dump(mode="json")


class _OnWelcome:
    """Makes a policy for each cloud that says something new of itself, on a thread."""

    def __init__(self, choose: Callable[..., Policy], current: CurrentPolicy, worker: Worker) -> None:
        self._choose = choose
        self._current = current
        self._worker = worker
        self._last: Mapping[str, Any] | None = None

    async def __call__(self, welcome: Welcome) -> None:
        if welcome.profile != self._last:
            self._current.policy = await self._worker.run(self._choose, welcome.profile)
            self._last = welcome.profile


def _most_in_flight(settings: DeviceSettings) -> int | None:
    """Where a promise is made, clips of files must not queue for each other: one here, one beyond."""
    if settings.in_flight is None and settings.sla_ms is not None:
        return IN_FLIGHT_WITH_PROMISE
    return settings.in_flight


def _schedule(
    schedule: Schedule, ledger: Ledger, clock: Clock, settings: DeviceSettings, *, live: bool
) -> ScheduleLive | ScheduleReplay:
    if live:
        return ScheduleLive(schedule, Admission(settings.sla_ms), clock)
    return ScheduleReplay(schedule, ledger, InFlight(_most_in_flight(settings)), clock, settings.sla_ms)


@asynccontextmanager
async def _client(
    setup: Setup, connect: Dial | None, situation: Situation, clock: Clock, *, live: bool
) -> AsyncGenerator[CloudClient | None, None]:
    """A session with the cloud whose every message `situation` hears of; None without a cloud. A live one
    is looked for in the background, for ever."""
    if connect is None:
        yield None
        return
    model, link = setup.model, setup.settings.link
    hello = Hello(protocol=PROTOCOL, model=model.name, digest=model.digest, codecs=codec_names())
    async with (
        connect_cloud(
            connect,
            hello,
            clock=clock,
            watch=situation,
            patience_s=math.inf if live else link.patience_s,
            connect_s=link.connect_s,
            answer_s=link.answer_s,
            at_once=not live,
        ) as client,
        background(Probe(client, situation, clock).run),
    ):
        yield client
