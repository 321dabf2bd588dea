import torch

from models import build_model


def test_norms_and_biases_start_neutral_and_all_else_random() -> None:
    for name, parameter in build_model("motions", seed=1).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert torch.isfinite(parameter).all()
            assert parameter.unique().numel() > parameter.numel() // 4, name


def test_matrices_keep_the_variance_of_what_they_multiply() -> None:
    weight = build_model("motions", seed=1).layers[0].mlp.fc1.weight
    assert isinstance(weight, torch.Tensor)
    assert abs(weight.std() * ((128 + 512) / 2) ** 0.5 - 1) < 0.02


def test_a_seed_repeats_and_another_does_not() -> None:
    digests = [build_model("motions", seed=seed).digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]
