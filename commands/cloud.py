"""The cloud: serves the layers behind the cut to devices, until interrupted."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.streams.memory import MemoryObjectStreamStatistics

from commands.operations.cloud_watch import CloudCounts, CloudWatch
from commands.operations.server import operated, tell_where
from commands.plan import load_model
from commands.profiling.cache import load_or_make
from commands.runtime import OK, interrupted, run_async
from commands.security import entrance_of
from configs.settings import CloudSettings
from models import SplitViT
from pipeline.background import background
from pipeline.clock import Clock, SystemClock
from pipeline.energy.meter import EnergyMeter, machine_meter
from pipeline.errors import ProtocolError
from pipeline.items import Header
from pipeline.runner import Pipeline
from pipeline.stage import Stage
from pipeline.worker import Worker
from scheduling.profile import Profile
from stages.postprocess import Postprocess, deliver
from stages.receive import Arrival, Receive, Reply
from stages.tail_infer import TailInfer
from stages.tail_service import TailService
from transport.codecs import codec_names
from transport.connection import Connection
from transport.front import NEWCOMERS
from transport.messages import PROTOCOL, Welcome
from transport.room import Room
from transport.security import Entrance
from transport.server import Session, open_session
from transport.serving import serve

MAX_SESSIONS = 64
LEAVING = "the cloud is shutting down"
LOOK_S = 0.02


def run(settings: CloudSettings) -> int:
    """Load the model, listen, and serve; exit status 0 after SIGINT or SIGTERM."""
    entrance = entrance_of(settings)
    model = load_model(settings.model)
    profile = load_or_make(model, settings.model, settings.profile)
    with machine_meter(SystemClock()) as energy:
        return run_async(partial(_serve, settings, model, profile, entrance, energy))


class Reception:
    """Greets devices and puts the packets of all of them into one stream."""

    def __init__(
        self, service: TailService, welcome: Welcome, clock: Clock, capacity: int, counts: CloudCounts
    ) -> None:
        self.queues: Callable[[], dict[str, MemoryObjectStreamStatistics]] = dict
        self._service = service
        self._welcome = welcome
        self._clock = clock
        self._counts = counts
        self._room = Room(MAX_SESSIONS, clock)
        self._sessions: set[Session] = set()
        self._leaving = False
        self._send, self._arrivals = anyio.create_memory_object_stream[Arrival](capacity)

    async def meet(self, connection: Connection) -> None:
        """Serve one device as long as it stays; none that comes when it is time to leave."""
        taken = False
        try:
            async with open_session(
                connection, self._welcome, self._check, room=self._room, clock=self._clock
            ) as session:
                taken = True
                self._counts.met(taken)
                await self._serve(session)
        finally:
            if not taken:
                self._counts.met(taken)

    async def _serve(self, session: Session) -> None:
        self._sessions.add(session)
        try:
            if self._leaving:
                await session.close(LEAVING)
            async for packet in session.packets():
                self._counts.received(packet)
                await self._put(Arrival(session, packet, self._clock.now()))
        finally:
            self._sessions.discard(session)

    def _check(self, header: Header, payload_bytes: int, sizes_bytes: int) -> None:
        try:
            self._service.check(header, payload_bytes, sizes_bytes)
        except ProtocolError:
            self._counts.refused()
            raise

    async def _put(self, arrival: Arrival) -> None:
        try:
            self._send.send_nowait(arrival)
        except anyio.WouldBlock:
            await self._send.send(arrival)

    async def arrivals(self) -> AsyncGenerator[Arrival, None]:
        """All packets, as they come in."""
        async for arrival in self._arrivals:
            yield arrival

    async def answer(self, reply: Reply) -> None:
        """Send an answer to who asked, and count it."""
        self._counts.answered(reply.result, await deliver(reply))

    @property
    def leaving(self) -> bool:
        """Whether devices have been asked to leave."""
        return self._leaving

    @property
    def sessions(self) -> int:
        """How many devices are here."""
        return len(self._sessions)

    @property
    def in_flight(self) -> int:
        """Clips of all of them that are in and not answered yet."""
        return sum(session.in_flight for session in self._sessions)

    async def say_bye(self, grace_s: float) -> None:
        """Take leave of every device: each goes once its clips are answered, or is left after `grace_s`."""
        self._leaving = True
        async with anyio.create_task_group() as tasks:
            for session in self._sessions:
                tasks.start_soon(session.say_bye, LEAVING)
        ends = self._clock.now() + grace_s
        while self._sessions and self._clock.now() < ends:
            await self._clock.sleep(LOOK_S)
        async with anyio.create_task_group() as tasks:
            for session in self._sessions:
                tasks.start_soon(session.close, LEAVING)


@asynccontextmanager
async def open_reception(
    settings: CloudSettings,
    model: SplitViT,
    clock: Clock,
    profile: Profile | None = None,
    counts: CloudCounts | None = None,
) -> AsyncGenerator[Reception, None]:
    """The cloud's pipeline, running behind a reception that any transport can bring devices to; devices
    that choose their plans need its `profile`. `counts` hears of all that happens."""
    counts = counts or CloudCounts()
    service = TailService(model, settings.top_k)
    reception = Reception(service, _welcome(settings, model, profile), clock, settings.max_in_flight, counts)
    with Worker("model") as model_worker, Worker("codec") as codec_worker:
        tail = TailInfer(service, model_worker, clock, settings.max_batch, counts.ran)
        stages = [
            Stage("receive", Receive(service, codec_worker, clock).run),
            Stage("tail_infer", tail.run, capacity=settings.max_batch),
            Stage("postprocess", Postprocess(service).run),
        ]
        pipeline = Pipeline([reception.arrivals()], stages, reception.answer)
        reception.queues = pipeline.statistics
        async with background(pipeline.run):
            yield reception


async def _serve(
    settings: CloudSettings, model: SplitViT, profile: Profile, entrance: Entrance, energy: EnergyMeter
) -> int:
    counts = CloudCounts()
    async with (
        open_reception(settings, model, SystemClock(), profile, counts) as reception,
        operated(settings.metrics, watch := CloudWatch(reception, counts, energy)) as metrics,
        serve(
            settings.host,
            settings.port,
            reception.meet,
            max_message_bytes=settings.max_message_bytes,
            max_connections=MAX_SESSIONS + 2 * NEWCOMERS,
            entrance=entrance,
        ) as address,
    ):
        watch.listens()
        tell_where(metrics)
        await interrupted(f"janus cloud listening at {address.url} with {model.id} ({model.dtype})")
        await reception.say_bye(settings.grace_s)
    return OK


def _welcome(settings: CloudSettings, model: SplitViT, profile: Profile | None) -> Welcome:
    return Welcome(
        protocol=PROTOCOL,
        model=model.name,
        digest=model.digest,
        max_message_bytes=settings.max_message_bytes,
        max_in_flight=settings.max_in_flight,
        codecs=codec_names(),
        profile=None if profile is None else profile.model_dump(mode="json"),
    )
