import pytest
import torch

from devit.architecture import Architecture
from devit.backbones import build
from devit.recording import recorded
from tests.devit.small import EVERY_KIND, VIT, pixels_for


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_the_layer_s_output_follows_from_what_was_recorded(architecture: Architecture) -> None:
    model, outputs = build(architecture, seed=0).eval(), []
    model.blocks[1].attn.register_forward_hook(lambda *args: outputs.append(args[2]))  # type: ignore[index, union-attr]
    with recorded(model, (1,)) as recording:
        model(pixels_for(architecture))
    q, k, v = recording.features[0]
    batch, heads, n, width = q.shape
    assert (batch, heads, width) == (3, 2, 64)
    mixed = (q @ k.transpose(2, 3) / 8).softmax(-1) @ v
    projected = model.blocks[1].attn.proj(mixed.transpose(1, 2).reshape(batch, n, 128))  # type: ignore[index, union-attr]
    torch.testing.assert_close(projected, outputs[0], rtol=1e-4, atol=1e-5)


def test_layers_come_in_the_order_asked_for_and_anew_at_each_run() -> None:
    model = build(VIT, seed=0).eval()
    with recorded(model, (2, 0)) as recording, recorded(model, (0, 1, 2)) as every:
        model(pixels_for(VIT, seed=1))
        before = recording.features
        model(pixels_for(VIT, seed=2))
        assert torch.equal(recording.features[0], every.features[2])
        assert torch.equal(recording.features[1], every.features[0])
        assert not torch.equal(recording.features[0], before[0])


def test_gradients_flow_through_what_was_recorded() -> None:
    model = build(VIT, seed=0)
    with recorded(model, (0,)) as recording:
        model(pixels_for(VIT))
    recording.features[0].square().sum().backward()
    assert model.blocks[0].attn.qkv.weight.grad.any()  # type: ignore[index, union-attr]


def test_the_model_is_left_without_hooks_even_after_a_failure() -> None:
    model = build(VIT)
    with pytest.raises(ZeroDivisionError), recorded(model, (0, 1)):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.modules())
