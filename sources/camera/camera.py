"""A camera that plays a video over RTSP, and that fails when told to."""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio

from pipeline.background import background
from pipeline.channel import Channel
from pipeline.clock import Clock, SystemClock
from pipeline.errors import JanusError
from pipeline.worker import Worker
from sources.camera.client import Client
from sources.camera.conversation import Service
from sources.camera.credentials import Guard
from sources.camera.faults import Fault
from sources.camera.film import Film
from sources.camera.h264 import EncodedFrame, parameter_sets, payloads
from sources.camera.listener import Listener
from sources.camera.pace import Pace
from sources.camera.rtp import LiveFrame
from sources.camera.sdp import describe
from sources.camera.settings import CameraSettings
from sources.camera.trouble import Trouble

logger = logging.getLogger(__name__)

MOST_CLIENTS = 64
AHEAD_FRAMES = 8


class Camera:
    """A camera that runs; made by `open_camera`."""

    def __init__(
        self,
        settings: CameraSettings,
        film: Film,
        first: EncodedFrame,
        clock: Clock,
        wall: Callable[[], float],
    ) -> None:
        self.rate, self.size = film.rate, film.size
        self._settings = settings
        self._service = _service(settings, film.rate, first)
        self._listener = Listener(settings.host, settings.port, settings.tls(), clock)
        self._clock = clock
        self._wall = wall
        self._trouble = Trouble(clock)
        self._clients: set[Client] = set()

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        """Where it plays, without user and password."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"{self._settings.scheme}://{host}:{self.port}/{self._settings.path}"

    @property
    def clients(self) -> int:
        """How many clients it plays to."""
        return sum(client.playing for client in self._clients)

    def freeze(self, seconds: float) -> None:
        """Send nothing, neither pictures nor answers, for `seconds`; what was not sent then is lost."""
        self._trouble.freeze(seconds)

    def fin(self) -> None:
        """End all connections in order."""
        for client in self._clients:
            client.fin()

    def rst(self) -> None:
        """Reset all connections."""
        for client in self._clients:
            client.rst()

    def refuse(self, seconds: float) -> None:
        """Take no new connections for `seconds`; those that are open play on."""
        self._listener.refuse(seconds)

    def down(self, seconds: float) -> None:
        """Reset all connections and take none for `seconds`."""
        self.refuse(seconds)
        self.rst()

    def late_describe(self, seconds: float) -> None:
        """From now on answer every DESCRIBE `seconds` late."""
        self._trouble.late_describe_s = seconds

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Take connections while the context lasts; ConfigError for an address that cannot be had."""
        await self._listener.open()
        try:
            async with background(self._listener.keep):
                yield
        finally:
            self._listener.close()

    async def take_clients(self) -> None:
        """Serve who connects until cancelled; who comes while MOST_CLIENTS are there is sent away."""
        async with anyio.create_task_group() as tasks:
            while True:
                reader, writer = await self._listener.next()
                if len(self._clients) >= MOST_CLIENTS:
                    writer.transport.abort()
                    continue
                client = Client(reader, writer, self._service, self._trouble, self._clock)
                self._clients.add(client)
                tasks.start_soon(self._serve, client)

    async def play(self, frames: Channel[EncodedFrame]) -> None:
        """Show each frame to all clients when it is due; at the end of the frames all connections end."""
        pace = Pace(self.rate, self._clock.now(), secrets.randbits(32))
        async for frame in frames:
            due_s = pace.next(self._clock.now())
            await self._clock.sleep(max(0.0, due_s - self._clock.now()))
            shown = LiveFrame(
                tuple(payload for unit in frame.units for payload in payloads(unit)),
                frame.key,
                pace.timestamp(due_s),
                self._wall() - (self._clock.now() - due_s),
            )
            for client in self._clients:
                client.offer(shown)
        self.fin()

    async def suffer(self, fault: Fault) -> None:
        """Wait for the fault's time, and let it happen."""
        await self._clock.sleep(fault.at_s)
        match fault.kind:
            case "freeze":
                self.freeze(fault.for_s)
            case "fin":
                self.fin()
            case "rst":
                self.rst()
            case "refuse":
                self.refuse(fault.for_s)
            case "down":
                self.down(fault.for_s)
            case "late-describe":
                self.late_describe(fault.for_s)

    async def _serve(self, client: Client) -> None:
        try:
            await client.run()
        finally:
            self._clients.remove(client)


@asynccontextmanager
async def open_camera(
    settings: CameraSettings, clock: Clock | None = None, wall: Callable[[], float] = time.time
) -> AsyncIterator[Camera]:
    """Play while the context lasts; ConfigError or SourceError for what cannot be played or served.

    `wall` tells Unix time, for the reports that say when a picture was taken. Decoding and encoding have
    a thread of their own; AHEAD_FRAMES encoded frames wait beside the film that is kept.
    """
    film = Film(settings.video, settings.fps)
    with Worker("camera") as worker:
        try:
            first = await worker.run(film.next)
            camera = Camera(settings, film, first, clock or SystemClock(), wall)
            frames = Channel[EncodedFrame]("film", AHEAD_FRAMES)
            async with (
                camera.listening(),
                background(
                    camera.take_clients,
                    partial(_read, film, worker, first, frames),
                    partial(camera.play, frames),
                    *(partial(camera.suffer, fault) for fault in settings.faults),
                ),
            ):
                yield camera
        finally:
            with anyio.CancelScope(shield=True):
                await worker.run(film.close)


def _service(settings: CameraSettings, rate: float, first: EncodedFrame) -> Service:
    guard = None
    if settings.user is not None and settings.password is not None:
        guard = Guard(settings.user, settings.password)
    return Service(settings.path, describe(parameter_sets(first.units), rate), guard, settings.serves_udp)


async def _read(film: Film, worker: Worker, first: EncodedFrame, frames: Channel[EncodedFrame]) -> None:
    """Fill the channel with the film; one that breaks while it plays is logged, and its frames end."""
    try:
        await frames.send(first)
        while True:
            await frames.send(await worker.run(film.next))
    except JanusError as error:
        logger.error("%s; the camera has nothing left to play", error)
    finally:
        frames.close()
