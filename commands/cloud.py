"""The cloud: serves the layers behind the cut to devices, until interrupted."""

from functools import partial

from commands.operations.cloud_watch import CloudCounts
from commands.plan import load_model
from commands.profiling.cache import load_or_make
from commands.reception import Opened, Reception, reception_for, serve_devices
from commands.runtime import run_async
from commands.security import entrance_of
from configs.settings import CloudSettings
from models import SplitViT
from pipeline.clock import Clock, SystemClock
from pipeline.energy.meter import machine_meter
from scheduling.profile import Profile
from stages.postprocess import Postprocess
from stages.tail_service import TailService
from transport.codecs import codec_names
from transport.messages import PROTOCOL, Welcome

__all__ = ["Reception", "open_reception", "run"]


def run(settings: CloudSettings) -> int:
    """Load the model, listen, and serve; exit status 0 after SIGINT or SIGTERM."""
    entrance = entrance_of(settings)
    model = load_model(settings.model)
    profile = load_or_make(model, settings.model, settings.profile)

    def open_with(counts: CloudCounts) -> Opened:
        return open_reception(settings, model, SystemClock(), profile, counts)

    said = f"janus cloud listening at {{}} with {model.id} ({model.dtype})"
    with machine_meter(SystemClock()) as energy:
        return run_async(partial(serve_devices, settings, entrance, open_with, said, energy))


def open_reception(
    settings: CloudSettings,
    model: SplitViT,
    clock: Clock,
    profile: Profile | None = None,
    counts: CloudCounts | None = None,
) -> Opened:
    """The cloud's pipeline behind its reception; devices that choose their plans need its `profile`."""
    service = TailService(model, settings.top_k)
    welcome = _welcome(settings, model, profile)
    return reception_for(
        service,
        Postprocess(service).run,
        welcome=welcome,
        settings=settings,
        clock=clock,
        counts=counts or CloudCounts(),
    )


def _welcome(settings: CloudSettings, model: SplitViT, profile: Profile | None) -> Welcome:
    return Welcome(
        protocol=PROTOCOL,
        model=model.name,
        digest=model.digest,
        max_message_bytes=settings.max_message_bytes,
        max_in_flight=settings.max_in_flight,
        codecs=codec_names(),
        profile=None if profile is None else profile.model_dump(mode="json"),
    )
