"""The camera as real clients see it, in real time: PyAV, OpenCV and ffprobe."""

import asyncio
import json
import shutil
import time
from dataclasses import replace
from itertools import pairwise

import anyio
import cv2
import numpy as np
import pytest

from sources.camera import CameraSettings, open_camera
from sources.writer import write_video
from tests.sources.camera.certificates import certificate
from tests.sources.camera.watching import FAST, watched

USER = {"user": "user", "password": "p:ss wörd"}


def with_password(url, password="p%3Ass%20w%C3%B6rd"):
    return url.replace("://", f"://user:{password}@")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("guarded", [False, True])
async def test_pyav_sees_every_frame_with_times_that_rise_over_the_loop(transport, guarded):
    async with open_camera(replace(FAST, **(USER if guarded else {}))) as camera:
        url = with_password(camera.url) if guarded else camera.url
        seen = await watched(url, 60, transport)
        assert seen.error is None
        steps = [after - before for before, after in pairwise(seen.pts[1:])]
        assert len(seen.pts) == 60 and all(step % 900 == 0 and step > 0 for step in steps)
        assert transport == "udp" or set(steps) == {900}
        assert seen.captured_at and abs(seen.captured_at[-1] - time.time()) < 2


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_pyav_with_a_wrong_password_sees_nothing(password):
    async with open_camera(replace(FAST, **USER)) as camera:
        seen = await watched(with_password(camera.url, password), 1)
    assert (seen.pts, seen.error) == ([], "HTTPUnauthorizedError")


async def test_without_udp_a_client_is_told_so_and_tcp_still_plays():
    async with open_camera(replace(FAST, udp=False)) as camera:
        assert (await watched(camera.url, 5, "udp")).error is not None
        assert (await watched(camera.url, 5, "tcp")).error is None


async def test_pyav_watches_over_tls(tmp_path):
    cert, key = certificate(tmp_path)
    async with open_camera(replace(FAST, tls_cert=cert, tls_key=key, **USER)) as camera:
        assert camera.url.startswith("rtsps://127.0.0.1:")
        seen = await watched(with_password(camera.url), 30)
        assert (len(seen.pts), seen.error) == (30, None)
        assert (await watched(camera.url.replace("rtsps", "rtsp"), 1)).error is not None


async def test_opencv_watches_a_video(tmp_path):
    shades = (np.full((48, 80, 3), 40 + 10 * number, np.uint8) for number in range(16))
    write_video(tmp_path / "video.mp4", shades, 25)
    async with open_camera(CameraSettings(str(tmp_path / "video.mp4"), port=0, fps=60, **USER)) as camera:
        pictures = await asyncio.to_thread(opencv_pictures, with_password(camera.url))
    assert {picture.shape for picture in pictures} == {(48, 80, 3)}
    seen = [round(float(picture.mean())) for picture in pictures]
    assert min(seen) == pytest.approx(40, abs=4) and max(seen) == pytest.approx(190, abs=4)


def opencv_pictures(url):
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    pictures = [capture.read() for _ in range(20)]
    capture.release()
    assert all(found for found, _ in pictures)
    return [picture for _, picture in pictures]


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not on this machine")
async def test_ffprobe_knows_the_stream_from_its_description():
    async with open_camera(replace(FAST, fps=30)) as camera:
        command = [
            "ffprobe",
            "-v",
            "error",
            "-of",
            "json",
            "-show_streams",
            "-rtsp_transport",
            "tcp",
            camera.url,
        ]
        out = await anyio.run_process(command)
    (stream,) = json.loads(out.stdout)["streams"]
    assert (stream["codec_name"], stream["profile"]) == ("h264", "Constrained Baseline")
    assert (stream["width"], stream["height"], stream["r_frame_rate"]) == (256, 256, "30/1")


async def test_several_clients_watch_at_once():
    async with open_camera(FAST) as camera:
        seen = await asyncio.gather(*(watched(camera.url, 40, kind) for kind in ("tcp", "udp", "tcp")))
        assert [(len(each.pts), each.error) for each in seen] == [(40, None)] * 3
    assert camera.clients == 0


async def test_pyav_notices_a_freeze_and_an_end():
    async with open_camera(FAST) as camera:
        frozen = asyncio.ensure_future(watched(camera.url, 10_000, timeout="300000"))
        while not camera.clients:  # noqa: ASYNC110  (the camera tells nobody)
            await asyncio.sleep(0.01)
        camera.freeze(60)
        assert (await frozen).error in ("ExitError", "TimeoutError")
    async with open_camera(FAST) as camera:
        ended = asyncio.ensure_future(watched(camera.url, 10_000))
        while not camera.clients:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        camera.fin()
        assert (await ended).error in (None, "InvalidDataError", "EOFError")
