"""Cameras that a test opens, and real clients that watch them."""

import asyncio
import math
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from unittest import mock

import anyio
import av

from pipeline.clock import ManualClock
from sources.camera import CameraSettings, open_camera
from tests.settled import settled
from tests.sources.camera.receiving import connect

SHORT = "pattern:motions?clips=1"
FAST = CameraSettings(SHORT, port=0, fps=100)
WALL_S = 1_000_000.0


class Turned:
    """A camera whose clock the test turns, a frame every 0.1 s; its wall clock began at WALL_S."""

    def __init__(self, camera, clock):
        self.camera, self.clock = camera, clock
        self._writers = []

    async def client(self, **options):
        client = await connect(self.camera, **options)
        self._writers.append(client.writer)
        return client

    async def player(self, **options):
        client = await self.client(**options)
        await client.play()
        return client

    async def show(self, client):
        """The packets of the client's next picture."""
        return await self.come(client.picture())

    async def come(self, awaited):
        """Let one period after the other pass until something has come.

        A key frame comes within ten: what takes longer waits for this machine, not for the camera.
        """
        waiting = asyncio.ensure_future(awaited)
        await asyncio.wait([waiting], timeout=0.002)
        periods = 0
        while not waiting.done():
            periods += 1
            await self.turn(0.1)
            await asyncio.wait([waiting], timeout=0.05 if periods < 12 else 0.2)
        return waiting.result()

    async def turn(self, seconds):
        """Let time pass in steps of a frame's period, so that none is late."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            await settled()

    def close(self):
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def turned_camera(**options):
    """It never counts as late: how fast this machine encodes does not show in its times."""
    clock = ManualClock(50.0)
    settings = replace(FAST, fps=10, **options)
    with anyio.fail_after(30), mock.patch("sources.camera.pace.LATE_S", math.inf):
        async with open_camera(settings, clock, lambda: WALL_S + clock.now()) as camera:
            turned = Turned(camera, clock)
            try:
                yield turned
            finally:
                turned.close()


@dataclass
class Seen:
    """What PyAV saw: presentation times in ticks of 90 kHz, and capture times where it knew them."""

    pts: list
    captured_at: list
    error: str | None = None


def watch(url, frames, transport="tcp", **options):
    """Frames that PyAV decodes, until there are enough, the stream ends or an error comes."""
    seen = Seen([], [])
    wishes = {"rtsp_transport": transport, "fpsprobesize": "0", "timeout": "2000000"} | options
    try:
        with av.open(url, options=wishes, timeout=(10, 5)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            for packet in container.demux(stream):
                stamp = packet.get_sidedata("prft")
                seen.captured_at += [struct.unpack("<q", bytes(stamp)[:8])[0] / 1e6] if stamp else []
                seen.pts += [picture.pts for picture in packet.decode()]
                if len(seen.pts) >= frames:
                    break
    except av.error.FFmpegError as error:
        seen.error = type(error).__name__
    return seen


async def watched(url, frames, transport="tcp", **options):
    return await asyncio.to_thread(watch, url, frames, transport, **options)
