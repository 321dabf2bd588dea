"""Weights from the hubs of Hugging Face and timm, with the names of their classes and their pixels."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)

from models.checkpoints import Checkpoint
from models.registry import Architecture, Triple
from models.weight_files import first_line, read_checkpoint
from pipeline.errors import ModelError

PRETRAINED, HUGGING_FACE, TIMM = "pretrained", "hf:", "timm:"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
LARGEST_CONFIG_BYTES = 4 * 2**20
TIMEOUT_S = 5.0

# a base of this error is what the hub's HTTP library raises for a lost connection, in any of its versions
Unreachable: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)


def is_hub_id(weights: str) -> bool:
    """Whether `weights` names a place on a hub rather than a file."""
    return weights == PRETRAINED or weights.startswith((HUGGING_FACE, TIMM))


def fetch_checkpoint(hub_id: str, spec: Architecture) -> Checkpoint:
    """The weights of `hf:OWNER/NAME` or `timm:NAME` for the model `spec`, from the cache or the network.

    `pretrained` is `timm:` and the model's own name. They bring the names of their classes and the
    mean and standard deviation of their pixels. Raises ModelError without a network, and for a
    repository that holds no weights for this model.
    """
    hub_id = f"{TIMM}{spec.name}" if hub_id == PRETRAINED else hub_id
    repo = _timm_repo(hub_id) if hub_id.startswith(TIMM) else hub_id.removeprefix(HUGGING_FACE)
    found = ((name, _download(hub_id, repo, name)) for name in WEIGHTS)
    name, path = next(((name, path) for name, path in found if path), (None, None))
    if path is None:
        raise ModelError(f"{hub_id}: holds neither {' nor '.join(WEIGHTS)}; give a local file of weights")
    config = _config(hub_id, repo, CONFIG)
    pixels = _part(config, "pretrained_cfg") | _config(hub_id, repo, PREPROCESSOR)
    _check_input(hub_id, config, spec)
    checkpoint = read_checkpoint(path, f"{hub_id} {name}")
    return replace(
        checkpoint,
        labels=checkpoint.labels or _labels(_part(config, "id2label")),
        mean=_triple(hub_id, "mean", pixels.get("image_mean", pixels.get("mean"))),
        std=_triple(hub_id, "std", pixels.get("image_std", pixels.get("std"))),
    )


def download(repo: str, filename: str) -> Path | None:
    """One file of a Hugging Face repository; None where the repository has no such file.

    Without a network the cache answers. Raises OSError, or an error of the hub's HTTP library, when
    that is empty; a first question without retries finds this out within `TIMEOUT_S`.
    """
    try:
        get_hf_file_metadata(hf_hub_url(repo, filename), timeout=TIMEOUT_S)
    except EntryNotFoundError:
        return None
    except Unreachable:
        cached = {name: try_to_load_from_cache(repo, name) for name in (filename, *WEIGHTS)}
        if not any(isinstance(path, str) for path in cached.values()):
            raise
        path = cached[filename]
        return Path(path) if isinstance(path, str) else None
    return Path(hf_hub_download(repo, filename))


def _download(hub_id: str, repo: str, filename: str) -> Path | None:
    try:
        return download(repo, filename)
    except HFValidationError as error:
        raise ModelError(f"{hub_id}: must be hf:OWNER/NAME or timm:NAME ({first_line(error)})") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{hub_id}: the hub has no such repository, or shows it only to its members (set HF_TOKEN)"
        ) from error
    except Unreachable as error:
        raise ModelError(
            f"{hub_id}: {filename} cannot be fetched ({first_line(error)}); give a local file of weights, "
            "or HF_HUB_OFFLINE=1 and a cache (HF_HOME) that holds it"
        ) from error


def _timm_repo(hub_id: str) -> str:
    """The repository that timm names for `timm:NAME`, whose tag may be left out."""
    import timm  # noqa: PLC0415 - takes seconds, and few need it

    name = hub_id.removeprefix(TIMM)
    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None or not config.hf_hub_id:
        raise ModelError(f"{hub_id}: timm publishes no such weights; give a local file of weights")
    return str(config.hf_hub_id)


def _config(hub_id: str, repo: str, filename: str) -> dict[str, Any]:
    """A JSON file of the repository; empty where there is none."""
    path = _download(hub_id, repo, filename)
    if path is None:
        return {}
    try:
        config = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_CONFIG_BYTES else None
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise ModelError(f"{hub_id}: {filename} is damaged: it must be a JSON map of at most 4 MB")
    return config


def _part(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = config.get(key)
    return part if isinstance(part, dict) else {}


def _check_input(hub_id: str, config: Mapping[str, Any], spec: Architecture) -> None:
    """Refuse clips of another size where the weights' shapes cannot tell: sine positions fit any."""
    sizes = {"num_frames": spec.clip_frames, "image_size": spec.input_size}
    for key, size in sizes.items():
        if spec.positions == "sine" and config.get(key, size) != size:
            raise ModelError(f"{hub_id}: its {key} is {config[key]}, that of {spec.name} is {size}")


def _labels(names: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Class names by number; None where some are missing or only number the classes."""
    labels = [names.get(str(index)) for index in range(len(names))]
    if not all(isinstance(label, str) for label in labels) or labels[:1] == ["LABEL_0"]:
        return None
    return tuple(map(str, labels))


def _triple(hub_id: str, what: str, values: Any) -> Triple | None:
    if values is None:
        return None
    least = 0.0 if what == "mean" else 1e-6
    if (
        not isinstance(values, list)
        or len(values) != 3
        or not all(isinstance(value, int | float) and least <= value < math.inf for value in values)
    ):
        raise ModelError(f"{hub_id}: {what} of the pixels must be three numbers, not {str(values)[:60]}")
    red, green, blue = map(float, values)
    return red, green, blue
