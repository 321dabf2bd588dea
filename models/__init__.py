"""Vision Transformers that can be cut after any layer and thinned at every layer."""

from models.create import build_model, create_model
from models.merging import Tokens
from models.packing import configure_threads
from models.registry import list_models
from models.vit import SplitViT

__all__ = ["SplitViT", "Tokens", "build_model", "configure_threads", "create_model", "list_models"]
