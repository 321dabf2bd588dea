import subprocess
import sys

import pytest
import timm
import torch

from models import build_model, create_model
from models.create import SHIPPED
from pipeline.errors import ModelError


def test_random_weights_are_the_same_in_every_process() -> None:
    script = "from models import create_model; print(create_model('motions', 'random').digest)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == create_model("motions", "random").digest


def test_seeded_weights_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    create_model("motions", "random")
    build_model("motions", seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_unseeded_models_differ_and_follow_the_global_seed() -> None:
    torch.manual_seed(1)
    first, second = build_model("motions"), build_model("motions")
    torch.manual_seed(1)
    assert first.digest != second.digest
    assert build_model("motions").digest == first.digest


def test_a_served_model_has_no_gradients_and_a_built_one_all() -> None:
    built, served = build_model("motions", seed=0), create_model("motions", "random")
    pixels = torch.randn(1, 3, 16, 64, 64)
    assert not served.training
    assert not served(pixels).requires_grad
    built(pixels).logsumexp(-1).sum().backward()
    assert all(parameter.grad is not None for parameter in built.parameters())


def test_none_takes_the_shipped_weights_or_else_random_ones() -> None:
    shipped = create_model("motions").digest != create_model("motions", "random").digest
    assert shipped == (SHIPPED / "motions.safetensors").is_file()
    assert create_model("vit_tiny_patch16_224").id == create_model("vit_tiny_patch16_224", "random").id


def test_pretrained_weights_come_from_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    published = timm.create_model("vit_tiny_patch16_224")
    asked: list[tuple[str, bool]] = []

    def fetch(name: str, pretrained: bool) -> torch.nn.Module:
        asked.append((name, pretrained))
        return published

    monkeypatch.setattr(timm, "create_model", fetch)
    model = create_model("vit_tiny_patch16_224", "pretrained")
    assert asked == [("vit_tiny_patch16_224", True)]
    assert torch.equal(model.head.weight, published.head.weight)


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, pretrained: bool) -> torch.nn.Module:
        raise OSError("no route to host\nmore")

    monkeypatch.setattr(timm, "create_model", fetch)
    with pytest.raises(
        ModelError, match=r"vit_tiny_patch16_224: cannot be fetched \(no route to host\); give a file"
    ):
        create_model("vit_tiny_patch16_224", "pretrained")


def test_models_that_timm_has_not_cannot_be_fetched() -> None:
    with pytest.raises(ModelError, match="motions: there are none"):
        create_model("motions", "pretrained")


def test_imagenet_classes_have_names_and_others_none() -> None:
    labels = create_model("vit_tiny_patch16_224", "random").labels
    assert labels is not None
    assert (len(labels), labels[0]) == (1000, "tench, Tinca tinca")
    assert create_model("vit_tiny_patch16_224", "random", num_classes=10).labels is None
