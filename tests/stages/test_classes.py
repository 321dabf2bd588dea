import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.classes import top_classes

finite = st.floats(-1e3, 1e3, width=32)
some_logits = arrays(np.float32, st.integers(1, 20), elements=finite)


def softmax(logits):
    exponentials = np.exp(np.float64(logits) - np.float64(logits).max())
    return exponentials / exponentials.sum()


@given(logits=some_logits, top_k=st.integers(1, 25))
def test_the_best_classes_come_first_each_with_its_softmax(logits, top_k):
    scores = top_classes(logits, None, top_k)
    ids = [score.class_id for score in scores]
    assert len(set(ids)) == len(ids) == min(top_k, len(logits))
    assert logits[ids].tolist() == sorted(logits.tolist(), reverse=True)[:top_k]
    np.testing.assert_allclose([score.confidence for score in scores], softmax(logits)[ids], atol=1e-5)


@given(logits=some_logits)
def test_all_classes_together_are_certain(logits):
    confidences = [score.confidence for score in top_classes(logits, None, len(logits))]
    assert all(0 <= confidence <= 1 for confidence in confidences)
    assert sum(confidences) == pytest.approx(1, abs=1e-5)


def test_logits_at_the_ends_of_float32_do_not_overflow():
    with np.errstate(over="ignore"):
        first, second = top_classes(np.float32([-3e38, 3e38]), None, 2)
    assert (first.class_id, first.confidence, second.confidence) == (1, 1.0, 0.0)


def test_of_equal_classes_the_lower_number_comes_first():
    logits = np.float32([1, 2] * 50)
    assert [score.class_id for score in top_classes(logits, None, 100)] == [
        *range(1, 100, 2),
        *range(0, 100, 2),
    ]


def test_a_class_is_named_by_its_label_or_else_by_its_number():
    logits = np.float32([0, 2, 1])
    assert [score.name for score in top_classes(logits, ("up", "down", "left"), 2)] == ["down", "left"]
    assert [score.name for score in top_classes(logits, None, 2)] == ["1", "2"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        top_classes(np.float32([0, bad, 1]), None, 1)
