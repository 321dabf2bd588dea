import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devit.backbones import build
from devit.importance import Importance, importance
from pipeline.errors import ModelError
from tests.devit.small import CLIPS, EVERY_KIND, MAE_ST, VIDEOMAE, VIT, pixels_for

Batch = tuple[Tensor, Tensor]


def batches_for(architecture: object, count: int = 1) -> list[Batch]:
    labels = torch.tensor([0, 3, 1])
    return [(pixels_for(architecture, seed=seed).double(), labels) for seed in range(count)]  # type: ignore[arg-type]


def double(architecture: object) -> nn.Module:
    model = build(architecture, seed=0).double().eval()  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(
            parameter.shape, dtype=torch.double, generator=torch.Generator().manual_seed(1)
        )
    return model


class Scaled(nn.Module):
    """Multiplies some channels by one number, whose gradient is the Taylor criterion."""

    def __init__(self, inner: nn.Module, channels: slice) -> None:
        super().__init__()
        self.inner, self.channels, self.gate = inner, channels, nn.Parameter(torch.ones(()).double())

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.zeros(x.shape[-1], dtype=torch.double)
        mask[self.channels] = 1
        return self.inner(x * (1 + (self.gate - 1) * mask))


def slope(model: nn.Module, gate: nn.Parameter, batch: Batch) -> float:
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(batch[0]), batch[1]), gate)
    return abs(gradient.item())


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_a_head_matters_as_much_as_a_gate_on_its_output(architecture: object) -> None:
    model, batch = double(architecture), batches_for(architecture)[0]
    found = importance(model, [batch]).heads
    for layer in range(3):
        for head in range(2):
            gated = copy.deepcopy(model)
            attention = gated.blocks[layer].attn  # type: ignore[index, union-attr]
            attention.proj = Scaled(attention.proj, slice(64 * head, 64 * head + 64))
            assert found[layer, head].item() == pytest.approx(slope(gated, attention.proj.gate, batch))


def test_a_neuron_matters_by_all_its_weights() -> None:
    model, batch = double(VIT), batches_for(VIT)[0]
    found = importance(model, [batch]).neurons
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    for layer, block in enumerate(model.blocks):  # type: ignore[arg-type]
        w1, w2 = block.mlp.fc1.weight, block.mlp.fc2.weight
        for neuron in range(0, VIT.mlp, 7):
            total = sum(float(w1.grad[neuron, i] * w1.data[neuron, i]) for i in range(VIT.dim))
            total += sum(float(w2.grad[i, neuron] * w2.data[i, neuron]) for i in range(VIT.dim))
            assert found[layer, neuron].item() == pytest.approx(abs(total))


@pytest.mark.parametrize("architecture", [VIT, MAE_ST, VIDEOMAE], ids=lambda a: a.kind)
def test_a_channel_matters_at_every_layer_and_at_the_last_norm(architecture: object) -> None:
    model, batch = double(architecture), batches_for(architecture)[0]
    found = importance(model, [batch]).channels
    for channel in (0, 17, 127):
        slopes = []
        for place in range(4):
            gated = copy.deepcopy(model)
            blocks = list(gated.blocks)  # type: ignore[arg-type]
            inner = blocks[place] if place < 3 else gated.norm
            scaled = Scaled(inner, slice(channel, channel + 1))  # type: ignore[arg-type]
            if place < 3:
                blocks[place] = scaled
                gated.blocks = nn.Sequential(*blocks)
            else:
                gated.norm = scaled
            slopes.append(slope(gated, scaled.gate, batch))
        assert found[channel].item() == pytest.approx(sum(slopes) / 4)


def test_batches_count_absolutely_and_evenly() -> None:
    model, batches = double(CLIPS), batches_for(CLIPS, 3)
    alone = [importance(model, [batch]) for batch in batches]
    together = importance(model, batches)
    for name in Importance.__slots__:
        mean = sum(getattr(one, name) for one in alone) / 3
        torch.testing.assert_close(getattr(together, name), mean)
        assert getattr(together, name).min() >= 0


def test_what_does_nothing_does_not_matter() -> None:
    model = double(VIT)
    with torch.no_grad():
        model.blocks[1].attn.qkv.weight[2 * 128 + 64 :] = 0  # type: ignore[index, union-attr]
        model.blocks[1].attn.qkv.bias[2 * 128 + 64 :] = 0  # type: ignore[index, union-attr]
        model.blocks[2].mlp.fc2.weight[:, 5] = 0  # type: ignore[index, union-attr]
    found = importance(model, batches_for(VIT))
    assert found.heads[1].tolist() == [found.heads[1, 0], 0]
    assert found.neurons[2].argmin() == 5
    assert found.neurons[2, 5] == 0


def test_the_model_is_left_alone_and_may_be_frozen() -> None:
    model = double(VIT).train().requires_grad_(False)
    with torch.no_grad():
        importance(model, batches_for(VIT))
    assert model.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_layers_are_not_dropped_while_it_is_measured() -> None:
    trained = build(VIT, drop_path=0.9, seed=0)
    still = build(VIT, seed=0)
    batches = [(pixels.float(), labels) for pixels, labels in batches_for(VIT)]
    assert torch.equal(importance(trained, batches).neurons, importance(still, batches).neurons)


def test_no_data_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one batch"):
        importance(build(VIT), [])
