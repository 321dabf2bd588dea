"""One answer from the tokens of N parts, of which some may be missing: `Fusion`, by name of its kind.

    linear      two linear layers without activation (DeViT, eq. 3): the paper's own
    mlp         the same with a GELU between them
    se          squeeze-excitation: every channel is weighed by what all of them say
    attention   every part asks all parts, key by key, what to take from them

All have about the same number of parameters, 2 * sum(dims) * hidden (Table IX).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from devit.backbones import Output
from pipeline.errors import ConfigError

Kind = Literal["linear", "mlp", "se", "attention"]

MOST = 1 << 16
PLACEHOLDER_STD = 0.02


@dataclass(frozen=True, slots=True)
class FusionSpec:
    """All that fixes a fusion's function, but for its weights; ConfigError for what cannot be built.

    `dims` are the channels of the parts' tokens, `hidden` is D_t of eq. 3: the teacher's, in the paper.
    """

    kind: Kind
    dims: tuple[int, ...]
    hidden: int
    num_classes: int

    def __post_init__(self) -> None:
        if self.kind not in FUSIONS:
            raise ConfigError(f"fusion {self.kind!r} is unknown; choose {', '.join(FUSIONS)}")
        numbers = (*self.dims, self.hidden, self.num_classes)
        if not self.dims or not all(type(one) is int and 1 <= one <= MOST for one in numbers):
            raise ConfigError(f"fusion: dims, hidden and classes must be 1 to {MOST}, not {numbers}")
        if self.kind == "attention" and self.hidden % 2:
            raise ConfigError(f"fusion: attention needs an even hidden size, not {self.hidden}")

    @property
    def dim(self) -> int:
        """Channels of all tokens together, and of the fused one."""
        return sum(self.dims)


class Fusion(nn.Module):
    """Tokens of N parts, [B, D_i] each, to one fused token [B, sum of D_i] and its logits.

    A part that is missing is stood in for by a token of its own, learnt as parts are dropped in training.
    """

    def __init__(self, spec: FusionSpec) -> None:
        super().__init__()
        self.spec = spec
        self.placeholders = nn.ParameterList(nn.Parameter(torch.empty(dim)) for dim in spec.dims)
        for placeholder in self.placeholders:
            nn.init.trunc_normal_(placeholder, std=PLACEHOLDER_STD)
        self.mix = FUSIONS[spec.kind](spec)
        self.head = nn.Linear(spec.dim, spec.num_classes)

    def forward(self, tokens: Sequence[Tensor], present: Tensor | None = None) -> Output:
        """`present` [B, N] says which tokens count, None that all do; the others' values do not matter."""
        if present is not None:
            tokens = [
                torch.where(present[:, part, None], token, placeholder)
                for part, (token, placeholder) in enumerate(zip(tokens, self.placeholders, strict=True))
            ]
        fused: Tensor = self.mix(tokens)
        return Output(fused, self.head(fused))


class TwoLayers(nn.Module):
    """(X W_1 + b_1) W_2 + b_2 of the concatenated tokens X (eq. 2 and 3), with `between` in the middle."""

    def __init__(self, spec: FusionSpec, between: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(spec.dim, spec.hidden)
        self.between = between
        self.fc2 = nn.Linear(spec.hidden, spec.dim)

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        mixed: Tensor = self.fc2(self.between(self.fc1(torch.cat(list(tokens), 1))))
        return mixed


class SqueezeExcitation(TwoLayers):
    """The concatenated tokens, each channel times a weight between 0 and 1."""

    def __init__(self, spec: FusionSpec) -> None:
        super().__init__(spec, nn.ReLU())

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(tokens), 1) * super().forward(tokens).sigmoid()


class PartAttention(nn.Module):
    """One head of attention over the parts, with projections of each part's own."""

    def __init__(self, spec: FusionSpec) -> None:
        super().__init__()
        width = spec.hidden // 2
        self.qkv = nn.ModuleList(nn.Linear(dim, 3 * width) for dim in spec.dims)
        self.proj = nn.ModuleList(nn.Linear(width, dim) for dim in spec.dims)

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        projected = [qkv(token) for qkv, token in zip(self.qkv, tokens, strict=True)]
        q, k, v = torch.stack(projected, 1).chunk(3, dim=2)
        weight = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(2)
        taken = (weight @ v).unbind(1)
        return torch.cat([proj(one) for proj, one in zip(self.proj, taken, strict=True)], 1)


FUSIONS: dict[str, Callable[[FusionSpec], nn.Module]] = {
    "linear": lambda spec: TwoLayers(spec, nn.Identity()),
    "mlp": lambda spec: TwoLayers(spec, nn.GELU()),
    "se": SqueezeExcitation,
    "attention": PartAttention,
}


def drop_parts(batch: int, num_parts: int, generator: torch.Generator, p: float) -> Tensor:
    """Which parts are present, bool [batch, num_parts]: each is missing with probability `p`.

    Where all would be, one of them, each as likely, is present. Raises ConfigError for no probability.
    """
    if not 0 <= p <= 1:
        raise ConfigError(f"parts are dropped with a probability of 0 to 1, not {p:g}")
    drawn = torch.rand(batch, num_parts, generator=generator, device=generator.device)
    present = drawn >= p
    luckiest = drawn == drawn.amax(1, keepdim=True)
    return torch.where(present.any(1, keepdim=True), present, luckiest)
