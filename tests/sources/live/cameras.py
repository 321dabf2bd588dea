"""Cameras to test against: GStreamer's RTSP server in a process of its own, and streams over HTTP."""

import functools
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.clock import SystemClock
from pipeline.items import Frame, SourceBreak
from sources.base import FrameGeometry
from sources.live.backoff import Backoff
from sources.live.make import live_source
from sources.live.source import LiveSource
from sources.live.states import SourceStatus, State
from sources.live.url import parse_address

SYSTEM_PYTHON = Path("/usr/bin/python3")
SERVER = Path(__file__).with_name("gst_server.py")
ABSENT = "GStreamer's RTSP server is absent (.ci/run lists its Debian packages)"
PATIENCE_S = 75.0


class GstCamera:
    """GStreamer's server on a port that stays the same when it is killed and started again."""

    def __init__(self, picture: str = "ball", user: str = "", password: str = "") -> None:
        self.port = free_port()
        self._arguments = [picture, *([user, password] if user else [])]
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        command = [str(SYSTEM_PYTHON), str(SERVER), str(self.port), *self._arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def url(self, info: str = "", path: str = "/cam") -> str:
        return f"rtsp://{info}127.0.0.1:{self.port}{path}"


@functools.cache
def gst_is_here() -> bool:
    code = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer;"
        "Gst.init(None); assert all(map(Gst.ElementFactory.find, ('x264enc', 'rtph264pay', 'videotestsrc')))"
    )
    found = SYSTEM_PYTHON.exists() and subprocess.run(
        [SYSTEM_PYTHON, "-c", code], capture_output=True, check=False
    )
    return bool(found) and found.returncode == 0


@contextmanager
def gst_camera(picture: str = "ball", user: str = "", password: str = "") -> Iterator[GstCamera]:
    """A camera of GStreamer's; skips the running test where it is not installed."""
    if not gst_is_here():
        pytest.skip(ABSENT)
    camera = GstCamera(picture, user, password)
    try:
        yield camera
    finally:
        camera.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class _Mjpeg(BaseHTTPRequestHandler):
    """Single pictures, one after the other, as network cameras send them; any path but /cam is refused."""

    step_s = 0.04
    most = 10**9

    def do_GET(self) -> None:
        if self.path != "/cam":
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=--frame")
        self.end_headers()
        try:
            for number in range(self.most):
                self._send(number)
                time.sleep(self.step_s)
        except OSError:
            pass

    def _send(self, number: int) -> None:
        _, jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), number % 200, np.uint8))
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    server.daemon_threads = True
    thread = threading.Thread(target=functools.partial(server.serve_forever, 0.05))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mjpeg_camera(step_s: float = 0.04, most: int = 10**9) -> Iterator[str]:
    """A camera of single pictures, each `step_s` after the other, `most` of them a connection."""
    with serving(type("Mjpeg", (_Mjpeg,), {"step_s": step_s, "most": most})) as url:
        yield f"{url}/cam"


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    with serving(functools.partial(_Files, directory=str(folder))) as url:
        yield url


def write_stream(path: Path, count: int, **options: str) -> None:
    """`count` frames of 64 x 48, 25 a second, each brighter than the last."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "25", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            shade = np.full((48, 64, 3), 10 + number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        container.mux(stream.encode(None))


def write_raw(path: Path, form: str, side: int, count: int = 30) -> None:
    """`count` pictures of `side` x `side` in the pixel format `form`, as they lie in memory."""
    with av.open(str(path), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, form
        for number in range(count):
            picture = av.VideoFrame(side, side, form)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


class Watched:
    """A live source with all that it told."""

    def __init__(self, url: str, backoff: Backoff | None = None, **credentials: str) -> None:
        self.told: list[tuple[SourceStatus, str | None]] = []
        self.source: LiveSource = live_source(
            parse_address(url, **credentials),
            "cam",
            FrameGeometry(32),
            SystemClock(),
            backoff=backoff,
            on_change=lambda status, news: self.told.append((status, news)),
        )

    def read(self, enough: Callable[[list[Frame | SourceBreak]], bool]) -> list[Frame | SourceBreak]:
        """What comes until it is enough, or for as long as a test has patience."""
        items: list[Frame | SourceBreak] = []
        patience = threading.Timer(PATIENCE_S, self.source.close)
        patience.start()
        for item in self.source.frames():
            items.append(item)
            if enough(items):
                self.source.close()
        patience.cancel()
        return items

    def first_told(self) -> tuple[SourceStatus, str | None]:
        """What it tells first, before it is closed."""
        reading = threading.Thread(target=self.read, args=[lambda items: False])
        reading.start()
        until = time.monotonic() + PATIENCE_S
        while not self.told and time.monotonic() < until:
            time.sleep(0.02)
        self.source.close()
        reading.join()
        return self.told[0]

    def wait_for(self, state: State) -> SourceStatus:
        """The status once the source stands so."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if (status := self.source.status()).state is state:
                return status
            time.sleep(0.02)
        raise AssertionError(f"never {state}, but {self.source.status()}")


def frames_of(items: list[Frame | SourceBreak]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]
