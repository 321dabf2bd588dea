"""What settings have to keep beside their types; needs no torch, so that a file can be checked anywhere."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.files import CloudFile, DeviceFile, PeerFile, ReplayFile
from configs.settings import DeviceSettings, ModelSettings, PlanSettings
from configs.wrong import did_you_mean
from models.devices import require_device
from models.registry import Architecture, get_architecture, list_models, ships_weights
from pipeline.errors import ConfigError, JanusError
from pipeline.redact import redacted
from scheduling.policies import JANUS_PLUS
from scheduling.pruning import parse_pruning
from sinks.apart import require_apart
from sources.live.url import WEBCAM
from sources.registry import PATTERN, Wanted
from transport.codecs import get_codec
from transport.websocket import cloud_url, peer_names

AnyFile = DeviceFile | ReplayFile | CloudFile | PeerFile

LOSSLESS = "png"
HUBS = ("hf:", "timm:", "pretrained", "random")


def require_one_chooser(plan: PlanSettings) -> None:
    """Either somebody named the plan, or a policy chooses; ConfigError for both."""
    if plan.fixed and (
        plan.policy or plan.levels or plan.pixels_stay or plan.codecs or plan.max_accuracy_loss is not None
    ):
        raise ConfigError(
            "a plan that is named (--pruning, --split, --codec, --device-only) leaves nothing to choose: "
            "drop it, or --policy, --levels, --max-accuracy-loss, --codecs and --pixels-stay"
        )
    if plan.policy not in (None, JANUS_PLUS) and (plan.levels or plan.max_accuracy_loss is not None):
        raise ConfigError(f"policy {plan.policy} knows no levels: drop --levels and --max-accuracy-loss")


def require_only_peers(settings: DeviceSettings) -> None:
    """Parts and their fusion leave no model and no plan to choose, but for the codec; ConfigError for what
    is named beside them, or lacks."""
    plan, model = settings.plan, settings.model
    chosen = plan.model_copy(update={"codec": None})
    if settings.link.url is not None:
        raise ConfigError("--cloud and --peers: either a cloud answers or peers do; drop one")
    if chosen != PlanSettings() or settings.profile is not None or settings.slowdown != 1:
        raise ConfigError("--peers leaves no plan to choose but its --codec: drop the other options of plans")
    if model != ModelSettings(device=model.device, threads=model.threads):
        raise ConfigError(
            "--peers: the parts and --fusion are the model; drop --model, --weights and --dtype"
        )
    if settings.peers.fusion is None:
        raise ConfigError(
            "no fusion is named: add --fusion FILE, of the run of devit fit that made the parts"
        )
    if not settings.peers.urls:
        raise ConfigError("no peer is named: add --peers ws://HOST:PORT,ws://HOST:PORT,...")
    names = peer_names(settings.peers.urls)
    if len(set(names)) < len(names):
        raise ConfigError("--peers: the same peer is named twice")
    require_kind(plan.codec or LOSSLESS, 0, 0)


def last_split(plan: PlanSettings, num_layers: int) -> int:
    """The split of a plan that stays on the device; ConfigError where another one is named."""
    last = num_layers + 1
    if plan.split not in (None, last):
        raise ConfigError(f"--device-only means split {last}; it contradicts --split {plan.split}")
    return last


def require_kind(codec: str, split: int, num_layers: int) -> None:
    """ConfigError for a codec that cannot carry what crosses the link at `split`."""
    wanted = "pixels" if split == 0 else "tokens"
    if get_codec(codec).kind != wanted and split <= num_layers:
        raise ConfigError(
            f"codec {codec} cannot encode {wanted}, which is what crosses the link at split {split}"
        )


def verify(settings: AnyFile, where: str) -> list[str]:
    """All that can be known of a file's settings before anything starts: ConfigError in one line that begins
    with `where` and the key; else notes on what is not there yet."""
    try:
        return _missing(_files_of(settings))
    except JanusError as error:
        raise ConfigError(f"{where}: {redacted(str(error))}") from None


@contextmanager
def _at(key: str) -> Iterator[None]:
    """What goes wrong inside is of this key."""
    try:
        yield
    except JanusError as error:
        raise ConfigError(f"{key}: {error}") from None


def _files_of(settings: AnyFile) -> Iterator[tuple[str, Path]]:
    """Files that settings name, with their keys; raises for whatever cannot be."""
    key, device = (
        ("device", settings.device)
        if isinstance(settings, PeerFile)
        else ("model.device", settings.model.device)
    )
    with _at(key):
        require_device(device)
    if isinstance(settings, PeerFile):
        if settings.part is None:
            raise ConfigError("part: none is named; name a file of main.py devit fit")
        yield "part", settings.part
        return
    if not isinstance(settings, CloudFile) and settings.peers.wanted:
        yield from _files_of_peers(settings)
        yield from _files_of_run(settings)
        return
    model, weights = _architecture(settings.model), settings.model.weights
    if weights is not None and not weights.startswith(HUBS):
        yield "model.weights", Path(weights)
    if settings.profile is not None:
        yield "profile", settings.profile
    if not isinstance(settings, CloudFile):
        _check_plan(settings, model)
        if settings.plan.levels is not None:
            yield "plan.levels", settings.plan.levels
        yield from _files_of_run(settings)


def _files_of_peers(settings: DeviceSettings) -> Iterator[tuple[str, Path]]:
    with _at("peers"):
        require_only_peers(settings)
    for key in ("fusion", "part"):
        path = getattr(settings.peers, key)
        if path is not None:
            yield f"peers.{key}", path


def _files_of_run(settings: DeviceSettings) -> Iterator[tuple[str, Path]]:
    if isinstance(settings, DeviceFile):
        require_apart(settings.sinks.items())
        yield from _files_of_sources(settings.wanted)
    if isinstance(settings, ReplayFile):
        yield from ((f"videos.{number}", path) for number, path in enumerate(settings.videos))


def _architecture(settings: ModelSettings) -> Architecture:
    name, known = settings.name, list_models()
    if name not in known:
        raise ConfigError(f"model.name: unknown; {did_you_mean(name, known)}")
    if settings.weights is None and not ships_weights(name):
        raise ConfigError(
            f"model.weights: {name} comes without; name a file, or pretrained (fetched) or random (for speed)"
        )
    return get_architecture(name)


def _check_plan(settings: DeviceSettings, model: Architecture) -> None:
    plan, depth = settings.plan, model.num_layers
    with _at("plan"):
        require_one_chooser(plan)
    for number, codec in enumerate(plan.codecs):
        with _at(f"plan.codecs.{number}"):
            get_codec(codec)
    with _at("plan.pruning"):
        parse_pruning(plan.pruning or "none", depth, model.num_tokens)
    with _at("plan.split"):
        split = _split(plan, model)
    with _at("plan.codec"):
        if plan.codec is not None:
            require_kind(plan.codec, split, depth)
    if settings.clips.frames not in (None, model.clip_frames):
        raise ConfigError(f"clips.frames: {model.name} takes {model.clip_frames}")
    stays = plan.policy == "device-only" or (plan.fixed and split > depth)
    with _at("link.url"):
        _check_cloud(settings.link.url, needed=not stays)


def _split(plan: PlanSettings, model: Architecture) -> int:
    depth = model.num_layers
    if plan.device_only:
        return last_split(plan, depth)
    if plan.split is not None and plan.split > depth + 1:
        raise ConfigError(
            f"{model.name} takes 0 (all in the cloud) to {depth + 1} (all on the device), not {plan.split}"
        )
    return depth // 2 if plan.split is None else plan.split


def _check_cloud(url: str | None, *, needed: bool) -> None:
    if url is not None:
        cloud_url(url)
    elif needed:
        raise ConfigError(
            "no cloud is named; write ws://HOST:PORT, or plan.device_only: true to run all layers here"
        )


def _files_of_sources(sources: Iterable[Wanted]) -> Iterator[tuple[str, Path]]:
    for source in sources:
        key, address = f"sources.{source.name}.url", source.address
        if address is not None and address.scheme == WEBCAM:
            yield key, Path(address.url)
        elif address is None and not source.where.startswith(PATTERN):
            yield key, Path(source.where)


def _missing(files: Iterable[tuple[str, Path]]) -> list[str]:
    return [f"{key}: there is no {path} yet" for key, path in files if not path.exists()]
