import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from devit.ensemble import presence
from stages.classes import top_classes
from stages.fuse import Fuse
from tests.devit.small import VIT, pixels_for
from tests.stages.parts import LABELS, ensemble_of, fusion_of

PARTS = 3


def tokens_of(seed=0):
    with torch.inference_mode():
        tokens = ensemble_of(PARTS).tokens(pixels_for(VIT, 1, seed))
    return {part: token[0].numpy() for part, token in enumerate(tokens)}


@given(present=st.sets(st.integers(0, PARTS - 1), min_size=1))
def test_any_parts_are_fused_as_the_ensemble_fuses_them(present):
    tokens = {part: token for part, token in tokens_of().items() if part in present}
    with torch.inference_mode():
        mask = presence(sorted(present), PARTS, 1)
        expected = ensemble_of(PARTS)(pixels_for(VIT, 1), mask).logits[0].numpy()
    assert Fuse(fusion_of(PARTS), top_k=5)(tokens) == top_classes(expected, LABELS, 5)


def test_as_many_classes_come_out_as_are_wanted_by_their_names():
    classes = Fuse(fusion_of(PARTS), top_k=2)(tokens_of())
    assert len(classes) == 2
    assert all(LABELS[score.class_id] == score.name for score in classes)


def test_tokens_that_fuse_to_nothing_finite_are_an_error():
    broken = tokens_of() | {1: np.full(VIT.dim, np.nan, np.float32)}
    with pytest.raises(ValueError, match="not finite"):
        Fuse(fusion_of(PARTS))(broken)
