import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from models import SplitViT, build_model, create_model, hub
from models.registry import SHIPPED, get_architecture
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


def test_pretrained_weights_are_those_that_timm_publishes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    published = timm.create_model("vit_tiny_patch16_224")
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    asked: set[str] = set()

    def download(repo: str, filename: str) -> Path | None:
        asked.add(repo)
        return tmp_path / filename if (tmp_path / filename).exists() else None

    monkeypatch.setattr(hub, "download", download)
    model = create_model("vit_tiny_patch16_224", "pretrained")
    assert asked == {timm.get_pretrained_cfg("vit_tiny_patch16_224").hf_hub_id}
    assert torch.equal(model.head.weight, published.head.weight)


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo: str, filename: str) -> Path | None:
        raise OSError("no route to host\nmore")

    monkeypatch.setattr(hub, "download", download)
    with pytest.raises(
        ModelError,
        match=r"vit_tiny_patch16_224: .* cannot be fetched \(no route to host\); give a local file",
    ):
        create_model("vit_tiny_patch16_224", "pretrained")


def test_models_that_timm_has_not_cannot_be_fetched() -> None:
    with pytest.raises(ModelError, match="timm:motions: timm publishes no such weights; give a local file"):
        create_model("motions", "pretrained")


def test_imagenet_classes_have_names_and_others_none() -> None:
    labels = create_model("vit_tiny_patch16_224", "random").labels
    assert labels is not None
    assert (len(labels), labels[0]) == (1000, "tench, Tinca tinca")
    assert create_model("vit_tiny_patch16_224", "random", num_classes=10).labels is None


@pytest.mark.parametrize("name", ["videomae_base_patch16_16x224", "mae_st_vit_large_patch16_16x224"])
def test_kinetics_classes_have_names_and_others_none(name: str) -> None:
    spec = get_architecture(name)
    with torch.device("meta"):
        labels = SplitViT(spec).labels
        assert SplitViT(spec.with_classes(174)).labels is None
    assert labels is not None
    assert (len(labels), labels[7]) == (400, "arranging flowers")
