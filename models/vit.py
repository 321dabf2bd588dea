"""A Vision Transformer that can be cut after any layer and thinned at every layer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.digest import weights_digest
from models.embedding import PatchEmbed, sine_positions
from models.labels import default_labels
from models.layer import NORM_EPS, Layer
from models.linear import Linear
from models.merging import Tokens
from models.preprocessing import preprocess
from models.registry import Architecture
from pipeline.errors import ModelError
from pipeline.items import Pixels, Pruning

DType = Literal["float32", "bfloat16", "int8"]
Wire = tuple[NDArray[np.float32], NDArray[np.uint16]]


class SplitViT(nn.Module):
    """One model for images (T = 1) and clips; its parameters carry timm's names.

    `build_model` makes a trainable one, `create_model` one that is ready to serve.
    """

    def __init__(self, spec: Architecture) -> None:
        super().__init__()
        self.spec = spec
        self.dtype: DType = "float32"
        self._digest: str | None = None
        self.patch_embed = PatchEmbed(spec)
        for name, length in _token_parameters(spec).items():
            self.register_parameter(name, nn.Parameter(torch.empty(1, length, spec.dim)))
        sine = sine_positions(spec.num_patches, spec.dim) if spec.positions == "sine" else None
        self.register_buffer("sine", sine, persistent=False)
        self.blocks = nn.ModuleList(
            Layer(spec.dim, spec.num_heads, spec.prefix) for _ in range(spec.num_layers)
        )
        self.norm = nn.LayerNorm(spec.dim, eps=NORM_EPS) if spec.norm == "norm" else nn.Identity()
        self.fc_norm = nn.LayerNorm(spec.dim, eps=NORM_EPS) if spec.norm == "fc_norm" else nn.Identity()
        self.head = Linear(spec.dim, spec.num_classes)
        self.head_dist = Linear(spec.dim, spec.num_classes) if spec.prefix == 2 else None

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in self.blocks if isinstance(layer, Layer)]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def num_layers(self) -> int:
        return self.spec.num_layers

    @property
    def num_tokens(self) -> int:
        """x_0: tokens after embedding, class token included."""
        return self.spec.num_tokens

    @property
    def num_prefix_tokens(self) -> int:
        return self.spec.prefix

    @property
    def dim(self) -> int:
        return self.spec.dim

    @property
    def clip_frames(self) -> int:
        """T: frames of one clip, 1 for image models."""
        return self.spec.clip_frames

    @property
    def input_size(self) -> int:
        return self.spec.input_size

    @property
    def crop_pct(self) -> float:
        return self.spec.crop_pct

    @property
    def num_classes(self) -> int:
        return self.spec.num_classes

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes in order, where they are known."""
        return self.spec.labels or default_labels(self.clip_frames, self.num_classes)

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    @property
    def digest(self) -> str:
        """Hex sha256 over architecture and float32 weights; the same for every dtype and device."""
        return self._digest or weights_digest(self.spec, self.state_dict())

    @property
    def id(self) -> str:
        return f"{self.name}@{self.digest[:8]}"

    def freeze_digest(self) -> None:
        """Keep the digest of the present weights, whatever form they take from here on."""
        self._digest = self.digest

    def preprocess(self, frames: Pixels | Tensor) -> Tensor:
        """Normalised pixels of uint8 frames [B, T, H, W, 3]: float32 [B, 3, H, W] or [B, 3, T, H, W]."""
        return preprocess(frames, self.spec).to(self.device)

    def embed(self, pixels: Tensor) -> Tokens:
        """Tokens [B, num_tokens, D] of preprocessed `pixels`; every size is 1."""
        patches = self.patch_embed(pixels.to(self.device, self.patch_embed.proj.weight.dtype))
        positions, prefix = self._positions(), self.spec.prefix
        tokens = [patches + positions[:, prefix:]]
        if prefix > 0:
            first = self._prefix_tokens() + positions[:, :prefix]
            tokens.insert(0, first.expand(pixels.shape[0], -1, -1))
        x = torch.cat(tokens, dim=1)
        return Tokens(x, x.new_ones(x.shape[:2], dtype=torch.float32))

    def run_layers(self, tokens: Tokens, start: int, stop: int, pruning: Pruning | None = None) -> Tokens:
        """Layers start..stop-1, counted from 0; layer l merges away pruning.removed[l] tokens."""
        removed = pruning.removed if pruning else (0,) * self.num_layers
        if not 0 <= start <= stop <= self.num_layers == len(removed):
            raise ModelError(
                f"{self.name} has {self.num_layers} layers: cannot run {start} to {stop} "
                f"under a pruning of {len(removed)} layers"
            )
        for index in range(start, stop):
            merged = tokens.x.shape[1] < self.num_tokens
            tokens = self.blocks[index](tokens, removed[index], merged)
        return tokens

    def classify(self, tokens: Tokens) -> Tensor:
        """Logits float32 [B, classes], from the prefix tokens or the size-weighted mean of the others."""
        if self.spec.pool == "mean":
            pooled = self._normed(self._mean(tokens)).unsqueeze(1)
        else:
            pooled = self._normed(tokens.x[:, : self.spec.prefix].float())
        logits: Tensor = self.head(pooled[:, 0])
        return logits if self.head_dist is None else (logits + self.head_dist(pooled[:, 1])) / 2

    def forward(self, pixels: Tensor, pruning: Pruning | None = None) -> Tensor:
        """Logits [B, classes] of preprocessed `pixels`."""
        return self.classify(self.run_layers(self.embed(pixels), 0, self.num_layers, pruning))

    def to_features(self, tokens: Tokens, index: int = 0) -> Wire:
        """Clip `index` of a batch as float32 [n, D] and sizes uint16 [n]; nothing is lost by it."""
        array = tokens.x[index].detach().float().cpu().numpy()
        return array, tokens.size[index].cpu().numpy().astype(np.uint16)

    def from_features(self, clips: Sequence[Wire]) -> Tokens:
        """One batch of clips that have the same number of tokens, in this model's dtype and device."""
        arrays, sizes = zip(*clips, strict=True)
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1:
            raise ModelError(f"only clips of one shape fit into a batch, not {sorted(shapes)}")
        x = torch.from_numpy(np.stack(arrays)).to(self.device, self.patch_embed.proj.weight.dtype)
        return Tokens(x, torch.from_numpy(np.stack(sizes).astype(np.float32)).to(self.device))

    def _mean(self, tokens: Tokens) -> Tensor:
        x, size = tokens.x[:, self.spec.prefix :].float(), tokens.size[:, self.spec.prefix :]
        return torch.bmm(size.unsqueeze(1), x).squeeze(1) / size.sum(1, keepdim=True)

    def _normed(self, pooled: Tensor) -> Tensor:
        normed: Tensor = self.fc_norm(self.norm(pooled))
        return normed

    def _prefix_tokens(self) -> Tensor:
        if self.spec.prefix == 1:
            return self.get_parameter("cls_token")
        return torch.cat([self.get_parameter("cls_token"), self.get_parameter("dist_token")], dim=1)

    def _positions(self) -> Tensor:
        """Positions [1, num_tokens, D] of the prefix and the patches."""
        if self.spec.positions == "sine":
            return self.get_buffer("sine")
        if self.spec.positions == "learned":
            return self.get_parameter("pos_embed")
        time, height, width = self.spec.grid
        spatial = self.get_parameter("pos_embed_spatial").repeat(1, time, 1)
        temporal = self.get_parameter("pos_embed_temporal").repeat_interleave(height * width, dim=1)
        return torch.cat([self.get_parameter("pos_embed_class"), spatial + temporal], dim=1)


def _token_parameters(spec: Architecture) -> dict[str, int]:
    """Names and lengths of the prefix tokens and position embeddings."""
    time, height, width = spec.grid
    prefix = dict.fromkeys(("cls_token", "dist_token")[: spec.prefix], 1)
    if spec.positions == "learned":
        return prefix | {"pos_embed": spec.num_tokens}
    if spec.positions == "separable":
        return prefix | {
            "pos_embed_spatial": height * width,
            "pos_embed_temporal": time,
            "pos_embed_class": 1,
        }
    return prefix
