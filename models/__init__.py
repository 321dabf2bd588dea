"""Vision Transformers that can be cut after any layer and thinned at every layer."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.create import build_model, create_model
    from models.merging import Tokens
    from models.packing import configure_threads, torch_device
    from models.registry import list_models
    from models.vit import SplitViT

__all__ = [
    "SplitViT",
    "Tokens",
    "build_model",
    "configure_threads",
    "create_model",
    "list_models",
    "torch_device",
]

_HOMES = {
    "SplitViT": "models.vit",
    "Tokens": "models.merging",
    "build_model": "models.create",
    "configure_threads": "models.packing",
    "create_model": "models.create",
    "list_models": "models.registry",
    "torch_device": "models.packing",
}


def __getattr__(name: str) -> object:
    """Only who takes what needs torch loads it: `models.registry` alone does not."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
