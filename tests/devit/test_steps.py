import torch

from devit.backbones import build, run
from devit.data import Pictures
from devit.fusion import FusionSpec
from devit.importance import importance
from devit.steps import cut_head, find_importance, first_ensemble, random_importance
from models.preprocessing import preprocess
from tests.devit.small import EVERY_KIND, VIT, pixels_for


def pictures(count: int) -> Pictures:
    drawn = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (count, 1, 32, 32, 3), generator=drawn, dtype=torch.uint8)
    return Pictures.of(frames, torch.arange(count) % 5)


def test_a_cut_head_says_what_the_whole_one_says_of_its_classes() -> None:
    for architecture in EVERY_KIND:
        model, classes = build(architecture, seed=0).eval(), (3, 0)
        before = run(model, pixels_for(architecture))
        cut = run(cut_head(model, architecture, classes).eval(), pixels_for(architecture))
        torch.testing.assert_close(cut.logits, before.logits[:, list(classes)])
        torch.testing.assert_close(cut.token, before.token)
        assert torch.equal(run(model, pixels_for(architecture)).logits, before.logits)


def test_importance_is_that_of_the_pictures_in_batches() -> None:
    model, shown = build(VIT, seed=0), pictures(70)
    found = find_importance(model, VIT, shown, seed=0)
    pixels, labels = preprocess(shown.frames, VIT.spec), shown.labels
    wanted = importance(model, [(pixels[:64], labels[:64]), (pixels[64:], labels[64:])])
    torch.testing.assert_close(found.heads, wanted.heads)
    torch.testing.assert_close(found.neurons, wanted.neurons)


def test_importance_by_lot_has_the_same_shapes_and_hangs_on_its_seed() -> None:
    measured = find_importance(build(VIT, seed=0), VIT, pictures(5), seed=0)
    drawn, again, other = (random_importance(VIT, seed) for seed in (1, 1, 2))
    for name in ("heads", "neurons", "channels"):
        assert getattr(drawn, name).shape == getattr(measured, name).shape
        assert torch.equal(getattr(drawn, name), getattr(again, name))
        assert not torch.equal(getattr(drawn, name), getattr(other, name))


def test_a_fresh_ensemble_keeps_its_parts_and_hangs_on_its_seed() -> None:
    parts = [build(VIT, seed=0), build(VIT, seed=1)]
    spec = FusionSpec("linear", (VIT.dim, VIT.dim), 16, 5)
    (one, into), (same, again), (other, _) = (first_ensemble(parts, spec, 24, seed) for seed in (1, 1, 2))
    assert list(one.parts) == parts
    assert into.weight.shape == (24, 2 * VIT.dim)
    assert torch.equal(into.weight, again.weight)
    assert torch.equal(one.fusion.head.weight, same.fusion.head.weight)
    assert not torch.equal(one.fusion.head.weight, other.fusion.head.weight)
