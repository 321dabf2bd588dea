"""The camera: plays a video over RTSP, until interrupted."""

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio

from commands.runtime import OK, interrupted, run_async
from pipeline.background import background
from pipeline.errors import ConfigError
from pipeline.secret import reveal
from sources.camera import Camera, CameraSettings, open_camera

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 5.0
VARIABLE = "JANUS_CAMERA_PASSWORD"


def password_for(
    user: str | None, file: Path | None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """The password of `user` in a file, or else in JANUS_CAMERA_PASSWORD; None for nobody without a file.
    ConfigError where there is none, which says where to write it."""
    if user is None and file is None:
        return None
    if file is None:
        if not environment.get(VARIABLE):
            raise ConfigError(f"--user: give the password by --password-file FILE, or as {VARIABLE}")
        return environment[VARIABLE]
    try:
        password = str(reveal({"file": file}))
    except ValueError as error:
        raise ConfigError(f"--password-file: {error}") from None
    if not password:
        raise ConfigError(f"--password-file: {file} is empty; write the password into it")
    return password


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
