"""How devices are served, by a cloud or a peer: greeted, their packets run through stages, answered."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectStreamStatistics

from commands.operations.cloud_watch import CloudCounts, CloudWatch
from commands.operations.server import operated, tell_where
from commands.runtime import OK, interrupted
from configs.settings import ServerSettings
from pipeline.background import background
from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.energy.meter import EnergyMeter
from pipeline.errors import ProtocolError
from pipeline.items import Header
from pipeline.runner import Pipeline
from pipeline.stage import Stage
from pipeline.worker import Worker
from stages.core import Core
from stages.postprocess import deliver
from stages.receive import Arrival, Receive, Reply
from stages.tail_infer import Inferred, TailInfer
from transport.connection import Connection
from transport.front import NEWCOMERS
from transport.messages import Welcome
from transport.pacer import Pacer
from transport.room import Room
from transport.security import Entrance
from transport.server import PACED_PER_S, Session, open_session
from transport.serving import serve

MAX_SESSIONS = 64
LOOK_S = 0.02
BYE_S = 1.0

Answer = Callable[[Channel[Inferred | Reply]], AsyncGenerator[Reply, None]]
Opened = AbstractAsyncContextManager["Reception"]


class Reception:
    """Greets devices and puts the packets of all of them into one stream."""

    def __init__(
        self, core: Core, welcome: Welcome, clock: Clock, capacity: int, counts: CloudCounts
    ) -> None:
        self.queues: Callable[[], dict[str, MemoryObjectStreamStatistics]] = dict
        self._core = core
        self._welcome = welcome
        self._farewell = f"the {welcome.serves} is shutting down"
        self._clock = clock
        self._counts = counts
        self._room = Room(MAX_SESSIONS, clock)
        self._pacer = Pacer(PACED_PER_S, clock)
        self._sessions: set[Session] = set()
        self._leaving = False
        self._send, self._arrivals = anyio.create_memory_object_stream[Arrival](capacity)

    async def meet(self, connection: Connection) -> None:
        """Serve one device as long as it stays; none that comes when it is time to leave."""
        taken = False
        try:
            async with open_session(
                connection, self._welcome, self._check, room=self._room, pacer=self._pacer, clock=self._clock
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
                await session.close(self._farewell)
            async for packet in session.packets():
                self._counts.received(packet)
                await self._put(Arrival(session, packet, self._clock.now()))
        finally:
            self._sessions.discard(session)

    def _check(self, header: Header, payload_bytes: int, sizes_bytes: int) -> None:
        try:
            self._core.check(header, payload_bytes, sizes_bytes)
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
        ends = self._clock.now() + grace_s
        with anyio.move_on_after(BYE_S):  # one that does not read holds up nobody
            async with anyio.create_task_group() as tasks:
                for session in self._sessions:
                    tasks.start_soon(session.say_bye, self._farewell)
        while self._sessions and self._clock.now() < ends:
            await self._clock.sleep(LOOK_S)
        async with anyio.create_task_group() as tasks:
            for session in self._sessions:
                tasks.start_soon(session.close, self._farewell)


@asynccontextmanager
async def reception_for(
    core: Core,
    answer: Answer,
    *,
    welcome: Welcome,
    settings: ServerSettings,
    clock: Clock,
    counts: CloudCounts,
) -> AsyncGenerator[Reception, None]:
    """The stages around `core`, running behind a reception that any transport can bring devices to; `answer`
    makes replies of what it puts out. `counts` hears of all that happens."""
    reception = Reception(core, welcome, clock, settings.max_in_flight, counts)
    with Worker("model") as model_worker, Worker("codec") as codec_worker:
        tail = TailInfer(core, model_worker, clock, settings.max_batch, counts.ran)
        stages = [
            Stage("receive", Receive(core, codec_worker, clock).run),
            Stage("tail_infer", tail.run, capacity=settings.max_batch),
            Stage("postprocess", answer),
        ]
        pipeline = Pipeline([reception.arrivals()], stages, reception.answer)
        reception.queues = pipeline.statistics
        async with background(pipeline.run):
            yield reception


async def serve_devices(
    settings: ServerSettings,
    entrance: Entrance,
    open_with: Callable[[CloudCounts], Opened],
    said: str,
    energy: EnergyMeter,
) -> int:
    """Serve until SIGINT or SIGTERM, then let devices take leave; `said` is put into words with the address
    for {}. Exit status 0."""
    counts = CloudCounts()
    async with (
        open_with(counts) as reception,
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
        await interrupted(said.format(address.url))
        await reception.say_bye(settings.grace_s)
    return OK
