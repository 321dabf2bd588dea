import pytest

from commands.profiling.endtoend import Cut, compare, predicted_ms, some_cuts
from commands.profiling.rounds import Rounds
from pipeline.clock import SystemClock
from scheduling.pruning import none, uniform
from tests.scheduling.test_profile import PROFILE

LAYERS, TOKENS = PROFILE.num_layers, PROFILE.num_tokens
ENDS = PROFILE.embed_ms + PROFILE.classify_ms


def test_a_prediction_is_the_sum_of_its_parts():
    whole = Cut(none(LAYERS, TOKENS), LAYERS + 1)
    assert predicted_ms(PROFILE, whole) == pytest.approx(ENDS + LAYERS * PROFILE.layer.ms(TOKENS, 0))


def test_each_layer_is_entered_by_what_the_one_before_left():
    cut = Cut(uniform(5, LAYERS, TOKENS), LAYERS + 1)
    layers = sum(PROFILE.layer.ms(TOKENS - 5 * index, 5) for index in range(LAYERS))
    assert predicted_ms(PROFILE, cut) == pytest.approx(ENDS + layers)


def test_a_cut_costs_two_crossings():
    profile = PROFILE.model_copy(update={"overhead_ms": 7.0})
    whole, cut = (predicted_ms(profile, Cut(none(LAYERS, TOKENS), split)) for split in (LAYERS + 1, 4))
    assert cut - whole == pytest.approx(14.0)


def test_every_cut_is_run_for_real(model):
    cuts = some_cuts(model)[::3]
    assert len({str(cut.pruning) for cut in cuts}) == 5
    for compared in compare(model, PROFILE, cuts, Rounds(1, 1, 0.0), SystemClock()):
        assert compared.measured_ms > 0
        assert compared.predicted_ms == pytest.approx((1 + compared.error) * compared.measured_ms)
