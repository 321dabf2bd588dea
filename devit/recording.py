"""What a model's attention works on: `recorded` keeps Q, K and V of chosen layers while it runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(slots=True)
class Recording:
    """Q, K and V of the latest run, [3, B, h, n, 64] for each recorded layer, in the order asked for."""

    layers: tuple[int, ...]
    _by_layer: dict[int, Tensor] = field(default_factory=dict)

    @property
    def features(self) -> list[Tensor]:
        return [self._by_layer[layer] for layer in self.layers]

    def keep(self, layer: int, features: Tensor) -> None:
        self._by_layer[layer] = features


@contextmanager
def recorded(model: nn.Module, layers: Sequence[int]) -> Iterator[Recording]:
    """While it is open, every run of `model` fills the recording anew, with gradients where there are any.

    For a student `layers` are all of its own, for its teacher those of `layer_map`.
    """
    source: Any = model
    recording = Recording(tuple(layers))
    handles = [
        source.blocks[layer].attn.qkv.register_forward_hook(
            _keep(recording, layer, source.blocks[layer].attn.num_heads)
        )
        for layer in recording.layers
    ]
    try:
        yield recording
    finally:
        for handle in handles:
            handle.remove()


def _keep(
    recording: Recording, layer: int, num_heads: int
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        batch, n, _width = output.shape
        recording.keep(layer, output.view(batch, n, 3, num_heads, -1).permute(2, 0, 3, 1, 4))

    return hook
