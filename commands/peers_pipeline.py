"""The pipeline of a device whose clips are answered by peers, from sources to sinks."""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, aclosing
from functools import partial

from commands.delivery import Delivery
from commands.energy import from_first
from commands.job import Job, Running, every_record, schedule_stage
from commands.peers_setup import PeersSetup
from commands.rules import LOSSLESS
from commands.unheld import warn_of_unheld
from pipeline.background import background
from pipeline.clock import Clock
from pipeline.energy.shares import EnergyShares
from pipeline.errors import LinkLost
from pipeline.in_flight import InFlight
from pipeline.items import Plan, Prediction, Pruning
from pipeline.ledger import Ledger
from pipeline.runner import Pipeline
from pipeline.stage import Stage, per_clip
from pipeline.worker import Worker
from scheduling.gathering import Gathering
from scheduling.link import LinkRules, LinkTracker
from scheduling.situation import Situation
from stages.admit import Admit, AdmitReplay
from stages.clip_batch import ClipBatch
from stages.compress import Compress
from stages.fuse import Fuse
from stages.own_part import OwnPart
from stages.peer_link import UNDER_WAY, PeerLink
from stages.spread import Spread
from transport.client import CloudClient, connect_cloud
from transport.connection import Dial

IN_FLIGHT, LIVE_IN_FLIGHT = 2, 8
LOOK_S = 0.02
WARM_UPS = 3
WHOLE = Pruning("none", 0.0, ())
WHY = "--peers: every part sees the whole clip"


async def run_peers(setup: PeersSetup, job: Job, clock: Clock) -> Ledger:
    """Run `job` to its end and return the balance; the sinks are open before and stay open after.

    Peers are looked for until it ends. Replay waits for one where there is none, for the link's patience.
    """
    settings = setup.settings
    ledger = Ledger(settings.sla_ms)
    in_flight = InFlight(settings.in_flight or (LIVE_IN_FLIGHT if job.live else IN_FLIGHT))
    gathering = Gathering(settings.link.answer_s)
    fuse = Fuse(setup.saved, settings.top_k)
    shares = EnergyShares(job.energy.joules) if job.energy.names else None

    def recorded(record: Prediction) -> None:
        in_flight.leave(record.clip_id)
        job.on_record(record)

    async def decided(records: AsyncGenerator[Prediction, None]) -> AsyncGenerator[Prediction, None]:
        """What waits for its turn among the records takes no clip's place."""
        async with aclosing(records):
            async for record in records:
                in_flight.leave(record.clip_id)
                yield record

    with ExitStack() as stack:
        model_worker, codec_worker, sink_worker = (
            stack.enter_context(Worker(name)) for name in ("model", "codec", "sinks")
        )
        await _warm_up(setup, fuse, gathering, model_worker, clock)
        spread = Spread(gathering, fuse, model_worker, clock)
        holders = _holders(setup, spread, gathering, model_worker, clock, live=job.live)
        for holder in holders:
            spread.add(holder)
        plan = Plan(WHOLE, 0, settings.plan.codec or LOSSLESS, why=WHY)
        admit = Admit(plan, in_flight, clock, gathering.hopeless)
        if not job.live:
            spread.again = ready = _until_held(setup, spread, clock)
            admit = AdmitReplay(plan, in_flight, clock, ready, ledger=ledger, sla_ms=settings.sla_ms)
        sla_ms = settings.sla_ms if job.live else None  # a replayed clip's time begins when it is let in
        batch = ClipBatch(setup.clips, ledger, clock, sla_ms, job.done, first_seq=job.first_seq)
        stages = [
            Stage("clip_batch", from_first(batch.run, shares, sink_worker), capacity=2 * setup.shape[0]),
            schedule_stage(admit.run, job.live),
            Stage("compress", per_clip(Compress(codec_worker, clock)), capacity=1),
            Stage("spread", spread.run, capacity=1),
        ]
        delivery = Delivery(
            ledger,
            job.sinks,
            worker=sink_worker,
            clock=clock,
            model_id=setup.model_id,
            shares=shares,
            on_record=recorded,
        )
        pipeline = Pipeline(job.inlets, stages, delivery, [decided(spread.records())])
        situation = Situation(LinkTracker(LinkRules()))
        job.on_start(Running(ledger, situation, batch, pipeline, None, None, spread.holders, spread.end_by))
        async with (
            background(*(holder.run for holder in holders)),
            every_record(ledger, delivery, job.live),
        ):
            await _first_links(setup, spread, clock)
            async with background(partial(warn_of_unheld, spread.holders, setup.saved.info.parts, clock)):
                await pipeline.run()
    return ledger


def _holders(
    setup: PeersSetup, spread: Spread, gathering: Gathering, worker: Worker, clock: Clock, *, live: bool
) -> list[OwnPart | PeerLink]:
    """The device itself, if it holds a part, and a link to every peer. Of a camera's clips one waits in front
    of a peer, so that one that stands still holds up no more than what it has; of a file's, all."""
    info = setup.saved.info
    waiting = 1 if live else max(1, (setup.settings.in_flight or IN_FLIGHT) - UNDER_WAY)
    links: list[OwnPart | PeerLink] = [
        PeerLink(
            name,
            partial(_client, setup, connect, clock),
            digests=info.parts,
            dims=info.spec.dims,
            shape=setup.shape,
            hearer=spread,
            clock=clock,
            waiting=waiting,
        )
        for name, connect in setup.dials.items()
    ]
    if setup.own is None:
        return links
    own = OwnPart(setup.own, setup.part, spread, worker=worker, clock=clock, ran=gathering.ran_here)
    return [own, *links]


def _client(setup: PeersSetup, connect: Dial, clock: Clock) -> AbstractAsyncContextManager[CloudClient]:
    return connect_cloud(
        connect,
        setup.hello,
        clock=clock,
        patience_s=math.inf,
        answer_s=setup.settings.link.answer_s,
        at_once=False,
        most_in_flight=UNDER_WAY,
    )


async def _warm_up(setup: PeersSetup, fuse: Fuse, gathering: Gathering, worker: Worker, clock: Clock) -> None:
    """A few fusions of nothing, so that the first clip's deadline knows how long one takes."""
    for _ in range(WARM_UPS):
        started = clock.now()
        await worker.run(fuse, {})
    gathering.fused(clock.now() - started)


async def _first_links(setup: PeersSetup, spread: Spread, clock: Clock) -> None:
    """Give those peers that are there the time to connect: without this the first clips would miss them."""
    ends = clock.now() + setup.settings.link.connect_s
    there = set(setup.met) | ({setup.part} if setup.own is not None else set())
    while not there <= spread.held.keys() and clock.now() < ends:
        await clock.sleep(LOOK_S)


def _until_held(setup: PeersSetup, spread: Spread, clock: Clock) -> Callable[[], Awaitable[None]]:
    """Waits until some part is held by somebody; LinkLost when patience runs out."""

    async def ready() -> None:
        patience_s = setup.settings.link.patience_s
        ends = clock.now() + patience_s
        while not spread.held:
            if clock.now() >= ends:
                raise LinkLost(f"no peer is there any more; gave up after {patience_s:g} s")
            await clock.sleep(LOOK_S)

    return ready
