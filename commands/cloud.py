"""The cloud: serves the layers behind the cut to devices, until interrupted."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio

from commands.plan import load_model
from commands.profiling.cache import load_or_make
from commands.runtime import OK, interrupted, run_async
from configs.settings import CloudSettings
from models import SplitViT
from pipeline.clock import Clock, SystemClock
from pipeline.runner import Pipeline
from pipeline.stage import Stage
from pipeline.worker import Worker
from scheduling.profile import Profile
from stages.postprocess import Postprocess, deliver
from stages.receive import Arrival, Receive
from stages.tail_infer import TailInfer
from stages.tail_service import TailService
from transport.background import background
from transport.codecs import codec_names
from transport.connection import Connection
from transport.messages import PROTOCOL, Welcome
from transport.server import Session, open_session
from transport.websocket import serve

MAX_SESSIONS = 64
LEAVING = "the cloud is shutting down"
LOOK_S = 0.02


def run(settings: CloudSettings) -> int:
    """Load the model, listen, and serve; exit status 0 after SIGINT or SIGTERM."""
    model = load_model(settings.model)
    profile = load_or_make(model, settings.model, settings.profile)
    return run_async(partial(_serve, settings, model, profile))


class Reception:
    """Greets devices and puts the packets of all of them into one stream."""

    def __init__(self, service: TailService, welcome: Welcome, clock: Clock, capacity: int) -> None:
        self._service = service
        self._welcome = welcome
        self._clock = clock
        self._sessions: set[Session] = set()
        self._leaving = False
        self._send, self._arrivals = anyio.create_memory_object_stream[Arrival](capacity)

    async def meet(self, connection: Connection) -> None:
        """Serve one device as long as it stays; none that comes when it is time to leave."""
        async with open_session(connection, self._welcome, self._service.check) as session:
            self._sessions.add(session)
            try:
                if self._leaving:
                    await session.close(LEAVING)
                async for packet in session.packets():
                    await self._put(Arrival(session, packet, self._clock.now()))
            finally:
                self._sessions.discard(session)

    async def _put(self, arrival: Arrival) -> None:
        try:
            self._send.send_nowait(arrival)
        except anyio.WouldBlock:
            await self._send.send(arrival)

    async def arrivals(self) -> AsyncGenerator[Arrival, None]:
        """All packets, as they come in."""
        async for arrival in self._arrivals:
            yield arrival

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
    settings: CloudSettings, model: SplitViT, clock: Clock, profile: Profile | None = None
) -> AsyncGenerator[Reception, None]:
    """The cloud's pipeline, running behind a reception that any transport can bring devices to; devices
    that choose their plans need its `profile`."""
    service = TailService(model, settings.top_k)
    reception = Reception(service, _welcome(settings, model, profile), clock, settings.max_in_flight)
    with Worker("model") as model_worker, Worker("codec") as codec_worker:
        tail = TailInfer(service, model_worker, clock, settings.max_batch)
        stages = [
            Stage("receive", Receive(service, codec_worker, clock).run),
            Stage("tail_infer", tail.run, capacity=settings.max_batch),
            Stage("postprocess", Postprocess(service).run),
        ]
        async with background(Pipeline([reception.arrivals()], stages, deliver).run):
            yield reception


async def _serve(settings: CloudSettings, model: SplitViT, profile: Profile) -> int:
    async with (
        open_reception(settings, model, SystemClock(), profile) as reception,
        serve(
            settings.host,
            settings.port,
            reception.meet,
            max_message_bytes=settings.max_message_bytes,
            max_connections=MAX_SESSIONS,
        ) as address,
    ):
        print(f"janus cloud listening at {address.url} with {model.id} ({model.dtype})", flush=True)
        await interrupted()
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
