"""Weights by name, and whether they fit a model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.layouts import without_sine
from models.registry import Architecture, Triple, get_architecture, list_models
from models.vit import SplitViT
from pipeline.errors import ModelError

SHOWN = 3
OF_ANY_VIT = {"patch_embed.proj.weight", "blocks.0.norm1.weight"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights under our names, where they came from, and what came along: names of the classes,
    mean and standard deviation of the pixels."""

    origin: str
    state: Mapping[str, Tensor]
    labels: tuple[str, ...] | None = None
    mean: Triple | None = None
    std: Triple | None = None


def adapt(spec: Architecture, checkpoint: Checkpoint, num_classes: int | None) -> Architecture:
    """`spec` with what the checkpoint has: number of classes, their names, mean pooling, pixels."""
    if spec.clip_frames == 1 and "fc_norm.weight" in checkpoint.state:
        spec = spec.pooled_by_mean()
    head = checkpoint.state.get("head.weight")
    if num_classes is None and head is not None and head.dim() == 2 and head.shape[1] == spec.dim:
        num_classes = head.shape[0]
    spec = spec.with_classes(num_classes)
    if checkpoint.labels is not None and len(checkpoint.labels) == spec.num_classes:
        spec = replace(spec, labels=checkpoint.labels)
    return replace(spec, mean=checkpoint.mean or spec.mean, std=checkpoint.std or spec.std)


def load_into(model: SplitViT, checkpoint: Checkpoint) -> None:
    """Copy the checkpoint's weights into `model`.

    Raises ModelError for weights of another architecture, naming the model that they would fit or
    every kind of misfit, and for weights that are not finite.
    """
    state = _state_for(model.spec, checkpoint)
    if _shapes(model.state_dict()) != _shapes(state):
        raise ModelError(f"{checkpoint.origin}: {_misfit(model, checkpoint)}")
    for name, tensor in state.items():
        if not tensor.float().isfinite().all():
            raise ModelError(
                f"{checkpoint.origin}: {name} holds values that are NaN or infinite; give intact weights"
            )
    model.load_state_dict(state)


def models_that_fit(checkpoint: Checkpoint) -> list[str]:
    """Names of the models that have exactly the checkpoint's weights, with a head of any size."""
    patches = _shapes(checkpoint.state).get("patch_embed.proj.weight", torch.Size())
    specs = [adapt(get_architecture(name), checkpoint, None) for name in list_models()]
    wanted = {spec: _shapes(_state_for(spec, checkpoint)) for spec in specs if patches[:1] == (spec.dim,)}
    with torch.device("meta"):
        return [spec.name for spec, given in wanted.items() if _shapes(SplitViT(spec).state_dict()) == given]


def _state_for(spec: Architecture, checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """The checkpoint's weights as a model of `spec` takes them."""
    if spec.positions != "sine":
        return checkpoint.state
    return without_sine(checkpoint.state, spec.num_patches, spec.dim)


def _misfit(model: SplitViT, checkpoint: Checkpoint) -> str:
    state = checkpoint.state
    if not state.keys() >= OF_ANY_VIT:
        return (
            "holds no Vision Transformer in a layout that is known here (timm, DeiT, MAE-ST, VideoMAE); "
            f"its {len(state)} tensors are {_few(sorted(state))}"
        )
    if "head.weight" not in state:
        return "has no head.weight, so it was only pre-trained; give weights that were fine-tuned to classify"
    others = models_that_fit(checkpoint)
    if others and model.name not in others:
        return f"holds {_described(state)}: choose --model {' or '.join(others)}"
    listed = "; ".join(
        f"{len(names)} {kind}: {_few(names)}" for kind, names in _faults(model, state).items() if names
    )
    return f"does not fit {model.name} of {model.num_classes} classes: {listed}"


def _faults(model: SplitViT, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    wanted, given = _shapes(model.state_dict()), _shapes(state)
    return {
        "missing": sorted(wanted.keys() - given.keys()),
        "unexpected": sorted(given.keys() - wanted.keys()),
        "misshapen": [
            f"{name} {list(given[name])} for {list(shape)}"
            for name, shape in wanted.items()
            if name in given and given[name] != shape
        ],
    }


def _described(state: Mapping[str, Tensor]) -> str:
    patches = state["patch_embed.proj.weight"]
    if "pos_embed_spatial" in state:
        kind = "a MAE-ST ViT"
    elif patches.dim() == 5:
        kind = "a VideoMAE"
    else:
        kind = "a distilled DeiT" if "dist_token" in state else "an image ViT"
    layers = sum(name.startswith("blocks.") and name.endswith(".norm1.weight") for name in state)
    return f"{kind} of {layers} layers of {patches.shape[0]}"


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
