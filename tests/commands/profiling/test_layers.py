import numpy as np
import pytest

from commands.profiling.layers import Entry, entries, layer_profile, token_counts


def layer_ms(entry):
    """A layer that is known: quadratic, with merging that costs 0.3 + 0.002 n and spares 0.02 a token."""
    merging = 0.3 + 0.002 * entry.tokens - 0.02 * entry.removed if entry.removed else 0.0
    return 1.0 + 0.05 * entry.tokens + 1e-4 * entry.tokens**2 + merging


@pytest.mark.parametrize(("low", "high", "points"), [(3, 197, 12), (16, 1568, 24), (3, 11, 24)])
def test_counts_rise_from_end_to_end(low, high, points):
    counts = token_counts(low, high, points)
    assert counts == sorted(set(counts))
    assert (counts[0], counts[-1]) == (low, high)
    assert min(points, high - low) / 2 <= len(counts) <= points


@pytest.mark.parametrize("num_tokens", [10, 129, 197, 1569])
def test_what_merges_can_merge_and_is_measured_without_merging_as_well(num_tokens):
    wanted = entries(token_counts(3, num_tokens, 12), num_tokens)
    plain = {entry.tokens for entry in wanted if entry.removed == 0}
    merging = [entry for entry in wanted if entry.removed > 0]
    assert len(set(wanted)) == len(wanted)
    assert len(merging) >= 3
    for entry in merging:
        assert entry.tokens in plain
        assert entry.removed <= (entry.tokens - 2) // 2


def test_a_known_layer_is_found_again():
    wanted = entries(token_counts(3, 197, 12), 197)
    layer, fits = layer_profile({entry: layer_ms(entry) for entry in wanted})
    assert set(fits) == {"line", "quadratic", "table"}
    assert fits["quadratic"].chosen
    others = [Entry(197), Entry(150, 20), Entry(60, 3), Entry(10, 4)]
    found = layer.ms([entry.tokens for entry in others], [entry.removed for entry in others])
    np.testing.assert_allclose(found, [layer_ms(entry) for entry in others], rtol=1e-6)


def test_noise_never_makes_the_mlp_cost_what_is_taken_from_it():
    wanted = entries(token_counts(3, 197, 12), 197)
    layer, _ = layer_profile({entry: 1.0 + 0.1 * entry.removed for entry in wanted})
    assert layer.mlp_ms_per_token == 0
