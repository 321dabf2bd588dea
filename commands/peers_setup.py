"""Before a run with peers: the fusion, the part that is held here, and what the peers say of themselves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from commands.meeting import meet
from commands.peer import DEVIT, pixel_codecs
from commands.rules import require_only_peers
from commands.runtime import run_async
from commands.security import credentials_for
from configs.settings import DeviceSettings
from devit.files import SavedFusion, load_fusion, load_part
from devit.records import Shape, is_clip_shape
from models import configure_threads, torch_device
from pipeline.clock import SystemClock
from pipeline.errors import ConfigError, HandshakeRefused, ModelError
from sources.base import FrameGeometry
from sources.clips import ClipSettings
from stages.part_service import PartService
from transport.connection import Dial
from transport.messages import PROTOCOL, Hello, Welcome
from transport.websocket import dial, peer_names

ELEMENT_BYTES = 4
WELCOME_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class PeersSetup:
    """What a run with peers is made of. `shape` [T, H, W, 3] is that of its clips, `part` the place of the
    part that `own` runs here, `met` those of the parts whose peers were there."""

    settings: DeviceSettings
    saved: SavedFusion
    dials: Mapping[str, Dial]
    shape: Shape
    own: PartService | None = None
    part: int = 0
    met: tuple[int, ...] = ()

    @property
    def model_id(self) -> str:
        """As records name it."""
        return f"{DEVIT}@{self.saved.digest[:8]}"

    @property
    def geometry(self) -> FrameGeometry:
        """The square frames that the parts take, cropped as they were in training."""
        return FrameGeometry(self.shape[1], self.saved.info.crop_pct)

    @property
    def clips(self) -> ClipSettings:
        """Clips of as many frames as the parts take; ConfigError for any other number."""
        wanted, frames = self.settings.clips, self.shape[0]
        if wanted.frames not in (None, frames):
            raise ConfigError(f"clips of {wanted.frames} frames: the parts take {frames}")
        return ClipSettings(frames, wanted.stride, wanted.hop, wanted.rate)

    @property
    def hello(self) -> Hello:
        """What the device says to every peer."""
        return hello_for(self.saved)


def set_up_peers(settings: DeviceSettings, *, live: bool) -> PeersSetup:
    """Load fusion and part, and ask every peer who it is; a live run that holds no part waits for the first
    peer. Raises ConfigError, ModelError, HandshakeRefused or LinkLost in one line."""
    require_only_peers(settings)
    assert settings.peers.fusion is not None  # noqa: S101  (just required)
    configure_threads(settings.model.threads)
    saved = load_fusion(settings.peers.fusion)
    own = None if settings.peers.part is None else _own(settings.peers.part, saved, settings.model.device)
    limit_bytes = WELCOME_BYTES + ELEMENT_BYTES * max(saved.info.spec.dims)
    dials = {
        name: partial(
            dial,
            url,
            role="peer",
            name=name,
            credentials=credentials_for(settings.link, url),
            limit_bytes=limit_bytes,
        )
        for name, url in zip(peer_names(settings.peers.urls), settings.peers.urls, strict=True)
    }
    met = run_async(
        partial(
            meet,
            dials,
            hello_for(saved),
            SystemClock(),
            connect_s=math.inf if live else settings.link.connect_s,
            needed=own is None,
        )
    )
    trained = {} if saved.info.shape is None else {"the fusion": saved.info.shape}
    shapes = trained | {name: _shape(name, welcome) for name, welcome in met.items()}
    places = tuple(saved.info.parts.index(welcome.digest) for welcome in met.values())
    if own is None:
        return PeersSetup(settings, saved, dials, _common(shapes), met=places)
    service, part = own
    shapes["the part here"] = service.shape
    return PeersSetup(settings, saved, dials, _common(shapes), service, part, places)


def hello_for(saved: SavedFusion) -> Hello:
    """What a device with this fusion says to every peer."""
    return Hello(
        protocol=PROTOCOL,
        model=DEVIT,
        digest=saved.digest,
        codecs=pixel_codecs(),
        seeks="peer",
        parts=saved.info.parts,
    )


def _own(path: Path, saved: SavedFusion, device: str) -> tuple[PartService, int]:
    """The part in `path`, warm, and its place in the fusion."""
    torch_device(device)
    part = load_part(path)
    if part.digest not in saved.info.parts:
        trained = ", ".join(digest[:8] for digest in saved.info.parts)
        raise ModelError(
            f"{path}: is part {part.digest[:8]}, the fusion was trained with {trained}; give both of one run"
        )
    place = saved.info.parts.index(part.digest)
    if part.info.architecture.dim != saved.info.spec.dims[place]:
        raise ModelError(f"{path}: has {part.info.architecture.dim} channels, not those of the fusion's part")
    service = PartService(part, device)
    service.tokens(np.zeros((1, *service.shape), np.uint8))
    return service, place


def _shape(name: str, welcome: Welcome) -> Shape:
    """Of clips, checked before frames of it are made."""
    shape = welcome.shape
    if shape is None or not is_clip_shape(shape):
        raise HandshakeRefused(f"{name}: takes clips of shape {shape}, which no part does")
    return shape


def _common(shapes: Mapping[str, Shape]) -> Shape:
    """The one shape of all; ConfigError where they differ."""
    first, *rest = shapes
    for name in rest:
        if shapes[name] != shapes[first]:
            raise ConfigError(
                f"{name} takes clips of shape {list(shapes[name])}, {first} of {list(shapes[first])}; "
                "parts of one fusion take the same"
            )
    return shapes[first]
