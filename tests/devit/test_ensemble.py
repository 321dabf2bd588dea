from itertools import combinations

import pytest
import torch
from torch import nn

from devit.backbones import build, run
from devit.ensemble import Ensemble, every_choice, presence
from devit.fusion import Fusion, FusionSpec
from tests.devit.small import VIT, pixels_for


def ensemble_of(num_parts: int) -> Ensemble:
    parts: list[nn.Module] = [build(VIT, seed=part).eval() for part in range(num_parts)]
    return Ensemble(parts, Fusion(FusionSpec("linear", (VIT.dim,) * num_parts, 16, 5)))


def test_an_ensemble_is_the_fusion_of_what_its_parts_say() -> None:
    ensemble, pixels = ensemble_of(2), pixels_for(VIT)
    tokens = [run(part, pixels).token for part in ensemble.parts]
    assert torch.equal(ensemble(pixels).logits, ensemble.fusion(tokens).logits)
    present = presence([1], 2, len(pixels))
    assert torch.equal(ensemble(pixels, present).logits, ensemble.fusion(tokens, present).logits)
    assert not torch.equal(ensemble(pixels).logits, ensemble(pixels, present).logits)


@pytest.mark.parametrize("num_parts", range(1, 7))
def test_every_choice_of_parts_comes_once(num_parts: int) -> None:
    wanted = [parts for size in range(1, num_parts + 1) for parts in combinations(range(num_parts), size)]
    assert every_choice(num_parts) == wanted


def test_those_that_were_chosen_are_present_in_every_row() -> None:
    assert presence((0, 2), 3, 2).tolist() == [[True, False, True]] * 2
