"""Profiles in files: one that the user gives, or one that this machine made before."""

import hashlib
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile

import torch

from commands.profiling.machine import processor_name
from commands.profiling.measure import QUICK, is_steady, measure_profile, token_range
from commands.runtime import complain
from configs.settings import ModelSettings
from models import SplitViT
from pipeline.clock import SystemClock
from pipeline.errors import ConfigError
from scheduling.profile import Profile, parse_profile

log = logging.getLogger(__name__)

METHOD = 1
MOST_BYTES = 1 << 20


def load_or_make(model: SplitViT, settings: ModelSettings, path: Path | None) -> Profile:
    """The profile in `path`, checked against the model; without a path the cached one, or a quick new one.

    Blocks while it measures. ConfigError for a file that cannot be read or is of something else; a cache
    that cannot be read or written is a warning at most.
    """
    if path is not None:
        return _require_fit(read_profile(path), model, settings, str(path))
    cached = cache_folder() / f"{cache_key(model, settings)}.json"
    return _cached(cached, model, settings) or _made(cached, model)


def read_profile(path: Path) -> Profile:
    """The profile in a JSON file; ConfigError in one line for what is none."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        data = json.loads(text) if len(text) <= MOST_BYTES else None
    except OSError as error:
        raise ConfigError(f"{path}: the profile cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: is no profile; make one with main.py profile --output {path}")
    return parse_profile(data, str(path))


def write_profile(profile: Profile, path: Path) -> None:
    """Write `profile` so that `path` holds all of it or what it held before; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(profile.model_dump_json(indent=1) + "\n")
            file.close()
            unfinished.chmod(0o644)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def cache_folder() -> Path:
    """Where profiles of this machine are kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "janus" / "profiles"


def cache_key(model: SplitViT, settings: ModelSettings) -> str:
    """What a profile depends on, as 32 hex digits: the model, its form, the machine, how it is measured."""
    parts = [
        METHOD,
        asdict(model.spec),
        model.digest,
        model.dtype,
        str(model.device),
        settings.threads,
        processor_name(model.device),
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _cached(path: Path, model: SplitViT, settings: ModelSettings) -> Profile | None:
    if not path.exists():
        return None
    try:
        return _require_fit(read_profile(path), model, settings, str(path))
    except ConfigError as error:
        log.info("%s; measuring again", error)
        return None


def _made(path: Path, model: SplitViT) -> Profile:
    complain(f"no profile of {model.name} on this machine yet: measuring it once, for some seconds")
    profile = measure_profile(model, QUICK, token_range(model), SystemClock())
    if not is_steady(profile):
        log.warning("the machine was busy: this profile of %s is rough and not kept", model.name)
        return profile
    try:
        write_profile(profile, path)
    except OSError as error:
        log.warning("%s: the profile cannot be kept (%s)", path, error.strerror)
    return profile


def _require_fit(profile: Profile, model: SplitViT, settings: ModelSettings, where: str) -> Profile:
    facts = {
        "model": (profile.model, model.name),
        "layers": (profile.num_layers, model.num_layers),
        "tokens": (profile.num_tokens, model.num_tokens),
        "dim": (profile.dim, model.dim),
        "dtype": (profile.machine.dtype, model.dtype),
        "threads": (profile.machine.threads, settings.threads),
    }
    wrong = [f"{name} {found}, not {right}" for name, (found, right) in facts.items() if found != right]
    if wrong:
        raise ConfigError(
            f"{where}: this profile is of another setting: {'; '.join(wrong)}; "
            f"make one with main.py profile --model {model.name} --dtype {model.dtype} "
            f"--threads {settings.threads}"
        )
    return profile
