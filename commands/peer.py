"""The peer: serves one part of a DeViT to devices, until interrupted."""

from functools import partial

import numpy as np

from commands.operations.cloud_watch import CloudCounts
from commands.reception import Opened, reception_for, serve_devices
from commands.runtime import run_async
from commands.security import entrance_of
from configs.settings import PeerSettings
from devit.files import Part, load_part
from models import configure_threads, torch_device
from pipeline.clock import Clock, SystemClock
from pipeline.energy.meter import machine_meter
from pipeline.errors import ConfigError
from stages.pack_token import PackToken
from stages.part_service import PartService
from transport.codecs import codec_names, get_codec
from transport.messages import PROTOCOL, Welcome

DEVIT = "devit"


def run(settings: PeerSettings) -> int:
    """Load the part, listen, and serve; exit status 0 after SIGINT or SIGTERM."""
    entrance = entrance_of(settings)
    if settings.part is None:
        raise ConfigError("no part is named: add --part FILE, or part to the file of --config")
    configure_threads(settings.threads)
    torch_device(settings.device)
    part = load_part(settings.part)

    def open_with(counts: CloudCounts) -> Opened:
        return open_peer(settings, part, SystemClock(), counts)

    said = f"janus peer listening at {{}} with part {part.digest[:8]}, {len(part.info.classes)} classes"
    with machine_meter(SystemClock()) as energy:
        return run_async(partial(serve_devices, settings, entrance, open_with, said, energy))


def open_peer(settings: PeerSettings, part: Part, clock: Clock, counts: CloudCounts | None = None) -> Opened:
    """The peer's pipeline, warm, behind its reception."""
    service = PartService(part, settings.device)
    service.tokens(np.zeros((1, *service.shape), np.uint8))
    welcome = Welcome(
        protocol=PROTOCOL,
        model=DEVIT,
        digest=part.digest,
        max_message_bytes=settings.max_message_bytes,
        max_in_flight=settings.max_in_flight,
        codecs=pixel_codecs(),
        serves="peer",
        shape=service.shape,
    )
    return reception_for(
        service,
        PackToken().run,
        welcome=welcome,
        settings=settings,
        clock=clock,
        counts=counts or CloudCounts(),
    )


def pixel_codecs() -> tuple[str, ...]:
    """The families of codecs that carry pixels."""
    return tuple(name for name in codec_names() if get_codec(name).kind == "pixels")
