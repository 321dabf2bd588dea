"""From what was asked for on the command line to who chooses the plans."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from commands.profiling.cache import load_or_make
from commands.rules import last_split, require_kind, require_one_chooser
from commands.security import credentials_of
from configs.settings import DeviceSettings, ModelSettings, PlanSettings
from models import SplitViT, configure_threads, create_model
from models.registry import ships_weights
from pipeline.errors import ConfigError
from pipeline.items import Plan
from scheduling.emulation import slowed
from scheduling.families import default_prunings
from scheduling.levels import Level, parse_levels
from scheduling.policies import JANUS_PLUS, Choice, Codecs, FixedPolicy, ScheduledPolicy, make_policy
from scheduling.profile import Profile, parse_profile
from scheduling.pruning import parse_pruning
from transport.codecs import get_codec
from transport.security import Credentials
from transport.untrusted import one_line

log = logging.getLogger(__name__)

TOKENS_CODEC = "int8+zstd"
CLIP_CODEC = "h264:23"
IMAGE_CODEC = "jpeg:90"
PAPER_CODECS = Codecs(("float32+lzw",), ("raw+lzw",))
TOKENS_CODECS = ("float32+zstd", "float16+zstd", "int8+zstd", "int4+zstd")
PIXELS_CODECS = ("png", "jpeg:95", "jpeg:90", "jpeg:80")
CLIP_CODECS = ("h264:18", "h264:23")
MOST_LEVELS_BYTES = 1 << 20
RESCUE_MARGIN_MS = 10.0
MOST_PRUNINGS = 30

Policy = FixedPolicy | ScheduledPolicy


@dataclass(frozen=True, slots=True)
class Setup:
    """A device's settings, the model, and what its policy will be made from: `profile` is None where the
    plan is fixed, `levels` where nobody measured them. `credentials` None are still to be read."""

    settings: DeviceSettings
    model: SplitViT
    profile: Profile | None = None
    levels: Sequence[Level] | None = None
    credentials: Credentials | None = None

    @property
    def needs_cloud(self) -> bool:
        """Whether a clip may leave the device."""
        plan = self.settings.plan
        if plan.fixed:
            return fixed_policy(plan, self.model).needs_cloud
        return plan.policy != "device-only"

    def policy(
        self, cloud: Mapping[str, Any] | None, prunings: int = MOST_PRUNINGS, *, rescue: bool = False
    ) -> Policy:
        """The policy, given the profile that the cloud sent; takes up to a second. With `rescue` a clip only
        leaves while the device could still finish it. ConfigError where the cloud sent no profile, or one
        that fits another model."""
        plan = self.settings.plan
        if self.profile is None:
            return fixed_policy(plan, self.model)
        if cloud is None and self.needs_cloud:
            raise ConfigError("the cloud sent no profile of itself; name the plan with --split")
        far = self.profile if cloud is None else self._checked(parse_profile(cloud, "the cloud"))
        choice = Choice(
            device=self.profile,
            cloud=far,
            codecs=_codecs(plan, self.model, self.profile, far),
            levels=None if self.levels is None else _priced(self.levels, far),
            tolerance=plan.accuracy_tolerance,
            max_accuracy_loss=plan.max_accuracy_loss,
            pixels_stay=plan.pixels_stay,
            rescue_margin_ms=RESCUE_MARGIN_MS if rescue else None,
            prunings=prunings,
            family=default_prunings,
        )
        return make_policy(plan.policy or JANUS_PLUS, choice)

    def _checked(self, cloud: Profile) -> Profile:
        facts = (cloud.model, cloud.num_layers, cloud.num_tokens, cloud.dim)
        wanted = (self.model.name, self.model.num_layers, self.model.num_tokens, self.model.dim)
        if facts != wanted:
            raise ConfigError(f"the cloud: profile of model {facts}, where the device runs {wanted}")
        return cloud


def set_up(settings: DeviceSettings) -> Setup:
    """Load the model, and its profile unless the plan is fixed; check the plan against it."""
    plan = settings.plan
    require_one_chooser(plan)
    credentials = credentials_of(settings.link)
    model = load_model(settings.model)
    if plan.fixed:
        fixed_policy(plan, model)
        return Setup(settings, model, credentials=credentials)
    for codec in plan.codecs:
        get_codec(codec)
    levels = None if plan.levels is None else read_levels(plan.levels, model)
    profile = load_or_make(model, settings.model, settings.profile)
    if levels is not None:
        levels = _priced(levels, profile)
    setup = Setup(settings, model, slowed(profile, settings.slowdown), levels, credentials)
    setup.policy(profile.model_dump(mode="json"), prunings=2)  # what is wrong comes out before a cloud is met
    return setup


def load_model(settings: ModelSettings) -> SplitViT:
    """The model that `settings` name, ready to serve; no model runs on random weights by accident."""
    if settings.weights is None and not ships_weights(settings.name):
        raise ConfigError(
            f"model {settings.name} comes without weights; add --weights FILE, "
            "--weights pretrained (fetched), or --weights random (to measure speed)"
        )
    configure_threads(settings.threads)
    model = create_model(
        settings.name, weights=settings.weights, dtype=settings.dtype, device=settings.device
    )
    warm_up(model)
    return model


@torch.inference_mode()
def warm_up(model: SplitViT) -> None:
    """One forward of nothing: the first clip must not be the one that waits for memory and kernels."""
    size = model.input_size
    model(model.preprocess(np.zeros((1, model.clip_frames, size, size, 3), np.uint8)))


def read_levels(path: Path, model: SplitViT) -> list[Level]:
    """The levels of a YAML or JSON file; ConfigError names what is wrong and where."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_LEVELS_BYTES + 1)
        data = yaml.safe_load(text) if len(text) <= MOST_LEVELS_BYTES else None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as a level file ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as a level file: {one_line(error, 300)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a level file is a map with the keys model and levels")
    levels = parse_levels(data, str(path), model.name, model.num_layers, model.num_tokens)
    for number, level in enumerate(levels):
        try:
            get_codec(level.codec or TOKENS_CODEC)
        except ConfigError as error:
            raise ConfigError(f"{path}: levels.{number}: {error}") from None
    return levels


def fixed_policy(settings: PlanSettings, model: SplitViT) -> FixedPolicy:
    """The policy of a plan given by hand; ConfigError where its parts do not fit the model or each other."""
    pruning = parse_pruning(settings.pruning or "none", model.num_layers, model.num_tokens)
    split = _split(settings, model)
    codec = settings.codec or _default_codec(split, model)
    require_kind(codec, split, model.num_layers)
    return FixedPolicy(Plan(pruning, split, codec), model.num_layers)


def _priced(levels: Sequence[Level], profile: Profile) -> list[Level]:
    """The levels whose codec `profile` knows the price of; what is left out is said. ConfigError where
    that is all."""
    lacking = sorted({level.codec for level in levels if level.codec is not None} - profile.codecs.keys())
    priced = [level for level in levels if level.codec not in lacking]
    known = f"the profile of {profile.machine.host} has {', '.join(sorted(profile.codecs))}"
    if not priced:
        raise ConfigError(f"every level is of a codec without a price ({', '.join(lacking)}): {known}")
    if lacking:
        log.warning("levels of %s are left out: %s", ", ".join(lacking), known)
    return priced


def _codecs(plan: PlanSettings, model: SplitViT, device: Profile, cloud: Profile) -> Codecs:
    """The codecs that a policy may use: those asked for, or its own that both profiles know."""
    if plan.codecs:
        kinds = {codec.name: codec.kind for codec in map(get_codec, plan.codecs)}
        tokens = tuple(name for name, kind in kinds.items() if kind == "tokens")
        return Codecs(tokens, tuple(name for name in kinds if name not in tokens))
    if plan.policy not in (None, JANUS_PLUS):
        return PAPER_CODECS
    known = device.codecs.keys() & cloud.codecs.keys()
    own = default_codecs(model)
    return Codecs(
        tuple(name for name in own.tokens if name in known),
        tuple(name for name in own.pixels if name in known),
    )


def default_codecs(model: SplitViT) -> Codecs:
    """The codecs that janus+ chooses from unless it is told which."""
    return Codecs(TOKENS_CODECS, PIXELS_CODECS + (CLIP_CODECS if model.clip_frames > 1 else ()))


def _split(settings: PlanSettings, model: SplitViT) -> int:
    if settings.device_only:
        return last_split(settings, model.num_layers)
    return model.num_layers // 2 if settings.split is None else settings.split


def _default_codec(split: int, model: SplitViT) -> str:
    if split > 0:
        return TOKENS_CODEC
    return CLIP_CODEC if model.clip_frames > 1 else IMAGE_CODEC
