"""What a model would lose with each head, neuron and channel, on the data of one subset of classes.

`importance(model, batches)` is all that shrinking needs; nothing of `model` is changed by it.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.errors import ModelError

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Importance:
    """Expected change of the loss: heads [L, h], neurons [L, d], channels [D], all 0 or more."""

    heads: Tensor
    neurons: Tensor
    channels: Tensor


def importance(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss = F.cross_entropy
) -> Importance:
    """The mean over batches (pixels, labels) of the first-order change of `loss`, each taken absolutely.

    A head: |sum of dL/dO * O| over its part O of the input of `attn.proj` (DeViT, eq. 6). A neuron: the
    same sum over the 2D weights that lead to it and from it (eq. 7). A channel: the sum over the
    residual stream, averaged over the inputs of all layers and of the last norm; this is beyond the
    paper, which cuts the embedding to 64 * heads without saying which channels stay. The model runs
    in evaluation mode, as a copy. Raises ModelError when there is no batch.
    """
    probe = _Probe(model)
    found = [probe.measure(pixels, labels, loss) for pixels, labels in batches]
    if not found:
        raise ModelError("importance needs at least one batch of data")
    return Importance(
        *(
            torch.stack([getattr(one, name) for one in found]).mean(0)
            for name in ("heads", "neurons", "channels")
        )
    )


class _Probe:
    """A copy of a model that keeps what flows into its projections and through its residual stream."""

    def __init__(self, model: nn.Module) -> None:
        probe: Any = copy.deepcopy(model)
        self.model = probe.eval().requires_grad_(True)
        self._heads: list[Tensor] = []
        self._stream: list[Tensor] = []
        for block in self.model.blocks:
            block.register_forward_pre_hook(_keep(self._stream))
            block.attn.proj.register_forward_pre_hook(_keep(self._heads))
        self.model.norm.register_forward_pre_hook(_keep(self._stream))

    def measure(self, pixels: Tensor, labels: Tensor, loss: Loss) -> Importance:
        self._heads.clear()
        self._stream.clear()
        mlps = [block.mlp for block in self.model.blocks]
        with torch.enable_grad():
            value = loss(self.model(pixels), labels)
        into, out = [mlp.fc1.weight for mlp in mlps], [mlp.fc2.weight for mlp in mlps]
        wanted = (self._heads, self._stream, into, out)
        gradients = iter(torch.autograd.grad(value, [tensor for group in wanted for tensor in group]))
        heads, stream, into, out = (
            [tensor.detach() * next(gradients) for tensor in group] for group in wanted
        )
        num_heads = self.model.blocks[0].attn.num_heads
        return Importance(
            torch.stack([change.sum((0, 1)).view(num_heads, -1).sum(1).abs() for change in heads]),
            torch.stack([(w1.sum(1) + w2.sum(0)).abs() for w1, w2 in zip(into, out, strict=True)]),
            torch.stack([change.sum((0, 1)).abs() for change in stream]).mean(0),
        )


def _keep(kept: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0])

    return hook
