"""Live: a camera, a cloud, a link between that and a device, which shows what it sees; until interrupted."""

import re
import time
from urllib.parse import urlsplit

from commands.children import CLOUD_URL, Children
from commands.runtime import OK, SOME_FAILED, complain, say
from pipeline.errors import JanusError

CAMERA_URL = re.compile(r"rtsp://\S+(?=: )")
LINK_ADDRESS = re.compile(r"(?<= at )\S+:\d+(?=,)")
SLOWDOWN = 5.0
LOOK_S = 0.1
ASKED = (0, -15)  # a process that is asked to end before it has begun is ended by the signal


def run(seconds: float | None, seed: int, sla_ms: float) -> int:
    """Show what the device answers, for `seconds` or until asked to end; then all processes end in order, the
    device first. Exit status 1 if one of them ended otherwise."""
    with Children() as children:
        try:
            _start(children, seed, sla_ms)
            _watch(children, seconds)
        except KeyboardInterrupt:
            say("ending the device, the link, the cloud and the camera")
    odd = [
        f"the {child.verb} with exit status {child.status}" for child in children if child.status not in ASKED
    ]
    if odd:
        complain(f"not all ended in order: {', '.join(odd)}")
    return SOME_FAILED if odd else OK


def _start(children: Children, seed: int, sla_ms: float) -> None:
    say("starting a camera, a cloud, a link and a device; Ctrl-C ends them")
    camera = children.start("camera", f"pattern:motions?seed={seed}", "--port", "0")
    cloud = children.start("cloud", "--port", "0")
    picture, far = camera.address(CAMERA_URL), urlsplit(cloud.address(CLOUD_URL))
    link = children.start("link", "--listen", "127.0.0.1:0", "--to", far.netloc, "--lte", str(seed))
    near = far._replace(netloc=link.address(LINK_ADDRESS)).geturl()
    say(f"the camera plays at {picture}; the cloud is reached at {near}, over a made-up LTE uplink")
    slower = f"emulated to be {SLOWDOWN:g} times slower than this machine"
    say(f"a device, {slower}, promises answers within {sla_ms:g} ms")
    plan = ("--sla-ms", f"{sla_ms:g}", "--emulate-slowdown", f"{SLOWDOWN:g}")
    children.start("device", "--source", f"camera={picture}", "--cloud", near, *plan, shown=True)


def _watch(children: Children, seconds: float | None) -> None:
    """Until `seconds` are over; JanusError once one of the processes has ended."""
    began = time.monotonic()
    while seconds is None or time.monotonic() - began < seconds:
        for child in children:
            if child.status is not None:
                raise JanusError(f"the {child.verb} process ended with exit status {child.status}")
        time.sleep(LOOK_S)
