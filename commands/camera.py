"""The camera: plays a video over RTSP, until interrupted."""

import logging
from functools import partial

import anyio

from commands.runtime import OK, interrupted, run_async
from pipeline.background import background
from sources.camera import Camera, CameraSettings, open_camera

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 5.0


def run(settings: CameraSettings) -> int:
    """Play to everybody who asks; exit status 0 after SIGINT or SIGTERM."""
    return run_async(partial(_play, settings))


async def _play(settings: CameraSettings) -> int:
    async with open_camera(settings) as camera:
        width, height = camera.size
        plays = f"janus camera plays {settings.video} at {camera.url}"
        async with background(partial(_report, camera)):
            await interrupted(f"{plays}: {width} x {height}, {camera.rate:g} frames a second")
    return OK


async def _report(camera: Camera) -> None:
    while logger.isEnabledFor(logging.INFO):
        await anyio.sleep(REPORT_EVERY_S)
        logger.info("the camera plays to %d clients", camera.clients)
