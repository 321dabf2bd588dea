"""Models by name: trainable, or loaded and ready to serve."""

from pathlib import Path

from models.checkpoints import Checkpoint, adapt, load_into
from models.hub import fetch_checkpoint, is_hub_id
from models.initial import initialise
from models.packing import pack
from models.registry import get_architecture, shipped_weights, ships_weights
from models.vit import DType, SplitViT
from models.weight_files import read_checkpoint

RANDOM_SEED = 0


def build_model(name: str, num_classes: int | None = None, seed: int | None = None) -> SplitViT:
    """A float32 model with fresh weights and gradients through everything; `seed` makes them repeatable."""
    model = SplitViT(get_architecture(name).with_classes(num_classes))
    initialise(model, seed)
    return model


def create_model(
    name: str,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    dtype: DType = "float32",
    device: str = "cpu",
) -> SplitViT:
    """A model in eval mode, without gradients, ready to serve in `dtype` on `device`.

    `weights` is a .safetensors, .pth, .pt or .bin file, a hub id ("hf:OWNER/NAME", "timm:NAME"),
    "pretrained" (timm's own for this model), "random" (the same in every process), or None: the
    weights that ship with the model, or else random ones. Without `num_classes` the head in the
    file decides. Raises ModelError for whatever does not fit.
    """
    checkpoint = _checkpoint(name, weights)
    if checkpoint is None:
        return pack(build_model(name, num_classes, RANDOM_SEED), dtype, device)
    model = SplitViT(adapt(get_architecture(name), checkpoint, num_classes))
    load_into(model, checkpoint)
    return pack(model, dtype, device)


def _checkpoint(name: str, weights: str | Path | None) -> Checkpoint | None:
    spec = get_architecture(name)
    if weights is None and ships_weights(name):
        return read_checkpoint(shipped_weights(name))
    if weights is None or weights == "random":
        return None
    return fetch_checkpoint(str(weights), spec) if is_hub_id(str(weights)) else read_checkpoint(Path(weights))
