"""How the clips of a run come to their answers: by one model, cut between device and cloud, or by peers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from commands.device_pipeline import clip_settings, dial_for, geometry_of, run_device
from commands.job import Job
from commands.plan import set_up
from configs.settings import DeviceSettings
from pipeline.clock import Clock
from pipeline.ledger import Ledger
from sources.base import FrameGeometry
from sources.clips import ClipSettings


@dataclass(frozen=True, slots=True)
class Way:
    """What frames and clips a run is made of, what its records call the model, and who runs it."""

    model_id: str
    geometry: FrameGeometry
    clips: ClipSettings
    run: Callable[[Job, Clock], Awaitable[Ledger]]


def way_for(settings: DeviceSettings, *, live: bool) -> Way:
    """Load what the run needs, and see that its far ends, if they are there, fit; raises any JanusError."""
    if settings.peers.wanted:
        # With them comes timm, whose import takes longer than that of torch.
        from commands.peers_pipeline import run_peers  # noqa: PLC0415
        from commands.peers_setup import set_up_peers  # noqa: PLC0415

        peers = set_up_peers(settings, live=live)
        return Way(peers.model_id, peers.geometry, peers.clips, partial(run_peers, peers))
    setup = set_up(settings)
    connect = dial_for(setup)
    return Way(
        setup.model.id,
        geometry_of(setup.model),
        clip_settings(settings, setup.model),
        partial(run_device, setup, connect=connect),
    )
