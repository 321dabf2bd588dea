"""From what was asked for on the command line to the plan that runs."""

from dataclasses import dataclass

from configs.settings import DeviceSettings, ModelSettings, PlanSettings
from models import SplitViT, configure_threads, create_model
from models.create import ships_weights
from pipeline.errors import ConfigError
from pipeline.items import Plan
from scheduling.policies import FixedPolicy
from scheduling.pruning import parse_pruning
from transport.codecs import get_codec

TOKENS_CODEC = "int8+zstd"
CLIP_CODEC = "h264:23"
IMAGE_CODEC = "jpeg:90"


@dataclass(frozen=True, slots=True)
class Setup:
    """A device's settings, and the model and policy made from them."""

    settings: DeviceSettings
    model: SplitViT
    policy: FixedPolicy


def set_up(settings: DeviceSettings) -> Setup:
    """Load the model and check the plan against it."""
    model = load_model(settings.model)
    return Setup(settings, model, fixed_policy(settings.plan, model))


def load_model(settings: ModelSettings) -> SplitViT:
    """The model that `settings` name, ready to serve; no model runs on random weights by accident."""
    if settings.weights is None and not ships_weights(settings.name):
        raise ConfigError(
            f"model {settings.name} comes without weights; add --weights FILE, "
            "--weights pretrained (fetched), or --weights random (to measure speed)"
        )
    configure_threads(settings.threads)
    return create_model(settings.name, weights=settings.weights, dtype=settings.dtype, device=settings.device)


def fixed_policy(settings: PlanSettings, model: SplitViT) -> FixedPolicy:
    """The policy of a plan given by hand; ConfigError where its parts do not fit the model or each other."""
    pruning = parse_pruning(settings.pruning, model.num_layers, model.num_tokens)
    split = _split(settings, model)
    codec = settings.codec or _default_codec(split, model)
    _require_kind(codec, split, model)
    return FixedPolicy(Plan(pruning, split, codec), model.num_layers)


def _split(settings: PlanSettings, model: SplitViT) -> int:
    last = model.num_layers + 1
    if settings.device_only:
        if settings.split not in (None, last):
            raise ConfigError(f"--device-only means split {last}; it contradicts --split {settings.split}")
        return last
    return model.num_layers // 2 if settings.split is None else settings.split


def _default_codec(split: int, model: SplitViT) -> str:
    if split > 0:
        return TOKENS_CODEC
    return CLIP_CODEC if model.clip_frames > 1 else IMAGE_CODEC


def _require_kind(codec: str, split: int, model: SplitViT) -> None:
    wanted = "pixels" if split == 0 else "tokens"
    if get_codec(codec).kind != wanted and split <= model.num_layers:
        raise ConfigError(
            f"codec {codec} cannot encode {wanted}, which is what crosses the link at split {split}"
        )
