"""Parts and their fusion as one model: `Ensemble`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from devit.backbones import Output, run
from devit.fusion import Fusion


class Ensemble(nn.Module):
    """N parts that see the same pixels, and the fusion of their tokens."""

    def __init__(self, parts: Sequence[nn.Module], fusion: Fusion) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.fusion = fusion

    def tokens(self, pixels: Tensor) -> list[Tensor]:
        """The token of each part, [B, D_i]."""
        return [run(part, pixels).token for part in self.parts]

    def forward(self, pixels: Tensor, present: Tensor | None = None) -> Output:
        """`present` bool [B, N] says which parts count, None that all do."""
        output: Output = self.fusion(self.tokens(pixels), present)
        return output


def every_choice(num_parts: int) -> list[tuple[int, ...]]:
    """All choices of one part or more, the smallest first, those of one size in their order."""
    chosen = [
        tuple(part for part in range(num_parts) if bits >> part & 1) for bits in range(1, 1 << num_parts)
    ]
    return sorted(chosen, key=lambda parts: (len(parts), parts))


def presence(parts: Sequence[int], num_parts: int, batch: int) -> Tensor:
    """Bool [batch, num_parts]: `parts` are there, in every row."""
    row = torch.zeros(num_parts, dtype=torch.bool)
    row[list(parts)] = True
    return row.expand(batch, -1)
