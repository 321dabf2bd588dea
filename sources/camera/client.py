"""One connection of a client."""

import asyncio
import logging
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.lowlevel

from pipeline.clock import Clock
from sources.camera.backlog import Backlog
from sources.camera.conversation import Conversation, Service
from sources.camera.patience import Patience
from sources.camera.roads import Datagrams, Interleaving, Offer, Road
from sources.camera.rtp import LiveFrame, RtpStream
from sources.camera.rtsp import BadRequest, Request, RequestParser, Response
from sources.camera.trouble import Trouble

logger = logging.getLogger(__name__)

READ_BYTES = 16384
# Left alone the kernel would hold seconds of video that a slow client has yet to read.
SEND_BUFFER_BYTES = 128 << 10
GOODBYE_S = 1.0


class Client:
    """Answers one client and sends it what the camera shows, at the client's own speed.

    Memory: one Backlog, one frame being written, SEND_BUFFER_BYTES in the kernel, and what RequestParser
    and asyncio's reader hold, under 256 KiB.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        service: Service,
        trouble: Trouble,
        clock: Clock,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._trouble = trouble
        self._clock = clock
        self._patience = Patience(clock.now())
        self._backlog = Backlog()
        self._offered = anyio.Event()
        self._stream = RtpStream(secrets.randbits(32), secrets.randbits(16))
        self._conversation = Conversation(service, self._stream, self._make_road)
        self._scope = anyio.CancelScope()

    @property
    def playing(self) -> bool:
        return self._conversation.playing

    async def run(self) -> None:
        """Serve until the client leaves, falls silent, breaks the rules or is thrown out."""
        try:
            _socket(self._writer).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    for work in (self._converse, self._send, self._watch):
                        tasks.start_soon(self._until_the_end_of, work)
        except* OSError as errors:
            logger.info("a client's connection broke: %s", errors.exceptions[0])
        except* Exception:
            logger.exception("a client was dropped")
        finally:
            self._conversation.close()
            await self._hang_up()

    def offer(self, frame: LiveFrame) -> None:
        """Queue the frame where the client plays; never waits."""
        if not self.playing or self._trouble.frozen:
            self._backlog.lose()
        elif self._backlog.offer(frame):
            self._offered.set()

    def fin(self) -> None:
        """End the connection in order."""
        self._scope.cancel()

    def rst(self) -> None:
        """Break the connection: the client's kernel gets a reset."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            _socket(self._writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()
        self._scope.cancel()

    async def _until_the_end_of(self, work: Callable[[], Awaitable[None]]) -> None:
        await work()
        self._scope.cancel()

    async def _converse(self) -> None:
        parser = RequestParser()
        while data := await self._reader.read(READ_BYTES):
            parser.feed(data)
            try:
                while (item := parser.next()) is not None:
                    self._heard()
                    if isinstance(item, Request):
                        await self._answer(item)
                        await anyio.lowlevel.checkpoint()  # others want their turn between two requests
            except BadRequest as error:
                logger.info("a client was refused: %s", error)
                return await self._reply(Response(error.status).encode(None))
            self._heard(parser.unfinished)
        return None

    async def _answer(self, request: Request) -> None:
        if request.method == "DESCRIBE":
            await self._clock.sleep(self._trouble.late_describe_s)
        await self._trouble.thawed()
        response = self._conversation.answer(request)
        await self._reply(response.encode(request.headers.get("cseq") if response.status != 400 else None))

    async def _reply(self, response: bytes) -> None:
        self._writer.write(response)
        await self._writer.drain()

    async def _send(self) -> None:
        while True:
            frame = self._backlog.take()
            if frame is None:
                self._offered = anyio.Event()
                await self._offered.wait()
                continue
            await self._trouble.thawed()
            road = self._conversation.road
            if road is not None and self.playing:
                await road.send(self._stream.packets(frame))

    async def _watch(self) -> None:
        while (left_s := self._patience.until - self._clock.now()) > 0:
            await self._clock.sleep(left_s)
            if self._trouble.frozen:
                await self._trouble.thawed()
                self._heard()
        logger.info("a client was silent for too long")

    def _heard(self, unfinished: bool = False) -> None:
        self._patience.heard(self._clock.now(), unfinished)

    def _make_road(self, offer: Offer) -> Road:
        if not offer.udp:
            return Interleaving(self._writer, offer.pair)
        here, there = (self._writer.get_extra_info(end) for end in ("sockname", "peername"))
        return Datagrams(here, there, offer.pair, self._clock, self._heard)

    async def _hang_up(self) -> None:
        """Send all that was written and the end, and let the client end too, for GOODBYE_S at most."""
        with suppress(OSError), anyio.move_on_after(GOODBYE_S, shield=True):
            if self._writer.can_write_eof() and not self._writer.is_closing():
                self._writer.write_eof()
                while await self._reader.read(READ_BYTES):
                    pass
            self._writer.close()
            await self._writer.wait_closed()
        self._writer.transport.abort()


def _socket(writer: asyncio.StreamWriter) -> socket.socket:
    end: socket.socket = writer.get_extra_info("socket")
    return end
