import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from devit.data import Augmentation, Batches, Pictures, flipped, rand_augmented, shifted
from pipeline.errors import ConfigError


def pictures_of(labels: list[int], frames: int = 1, size: int = 16) -> Pictures:
    """Picture i is of the colour i."""
    colours = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None, None]
    return Pictures.of(colours.expand(-1, frames, size, size, 3), torch.tensor(labels))


def colours(frames: Tensor) -> list[int]:
    return [int(one) for one in frames[:, 0, 0, 0, 0]]


LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=40)


@given(LABELS, st.integers(1, 50), st.integers(0, 100))
def test_an_epoch_shows_every_picture_at_most_once_and_leaves_out_less_than_a_batch(
    labels: list[int], batch_size: int, seed: int
) -> None:
    batches = Batches(pictures_of(labels), batch_size, seed)
    for epoch in range(2):
        steps = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
        shown = [colour for step in steps for colour in colours(batches(step).frames)]
        assert len(shown) == len(set(shown))
        assert len(labels) - len(shown) < batch_size
        told = [int(label) for step in steps for label in batches(step).labels]
        assert told == [labels[colour] for colour in shown]


def test_a_step_s_batch_hangs_on_the_seed_and_the_step_and_not_on_what_was_asked_before() -> None:
    pictures = pictures_of([0, 1] * 8)
    unbroken = Batches(pictures, 4, 1, "rand")
    wanted = [unbroken(step) for step in range(10)]
    resumed = Batches(pictures, 4, 1, "rand")(7)
    assert torch.equal(resumed.frames, wanted[7].frames)
    assert torch.equal(resumed.labels, wanted[7].labels)
    others = Batches(pictures, 4, 2)
    assert [colours(others(step).frames) for step in range(4)] != [
        colours(Batches(pictures, 4, 1)(step).frames) for step in range(4)
    ]
    plain = Batches(pictures, 4, 1)
    epochs = [[colours(plain(4 * epoch + step).frames) for step in range(4)] for epoch in range(2)]
    assert epochs[0] != epochs[1]


@given(LABELS, st.sets(st.integers(0, 6), min_size=1))
def test_a_subset_has_all_pictures_of_its_classes_numbered_by_their_rows(
    labels: list[int], wanted: set[int]
) -> None:
    classes = sorted(wanted, reverse=True)
    pictures = pictures_of(labels)
    if not wanted & set(labels):
        with pytest.raises(ConfigError, match=f"no picture is of the classes {classes[0]}"):
            pictures.of_classes(classes)
        return
    subset = pictures.of_classes(classes)
    (batch,) = subset.in_order(100)
    assert colours(batch.frames) == [place for place, label in enumerate(labels) if label in wanted]
    assert [classes[row] for row in batch.labels] == [label for label in labels if label in wanted]


@given(LABELS, st.floats(0.05, 0.5))
def test_held_out_pictures_are_of_every_class_that_can_spare_one_and_never_shown(
    labels: list[int], share: float
) -> None:
    shown, held = pictures_of(labels).split(share, seed=3)
    assert sorted([*shown.places.tolist(), *held.places.tolist()]) == list(range(len(labels)))
    assert set(shown.labels.tolist()) == set(labels)
    assert set(held.labels.tolist()) == {label for label in labels if labels.count(label) > 1}
    assert [labels[place] for place in held.places] == held.labels.tolist()


def test_a_sample_is_drawn_by_its_seed_and_keeps_labels_with_pictures() -> None:
    pictures = pictures_of([place % 3 for place in range(30)])
    sample = pictures.sample(7, 1)
    assert len(sample) == 7
    assert [place % 3 for place in sample.places] == sample.labels.tolist()
    assert torch.equal(sample.places, pictures.sample(7, 1).places)
    assert not torch.equal(sample.places, pictures.sample(7, 2).places)
    assert len(pictures.sample(100, 1)) == 30


def test_a_moved_clip_is_a_window_of_the_padded_one_and_moves_as_one() -> None:
    frames = torch.randint(1, 256, (6, 2, 16, 16, 3), dtype=torch.uint8)
    frames[:, 1] = frames[:, 0]
    moved = shifted(frames)
    padded = torch.nn.functional.pad(frames, (0, 0, 2, 2, 2, 2))
    windows = [
        [padded[one, :, top : top + 16, left : left + 16] for top in range(5) for left in range(5)]
        for one in range(6)
    ]
    found = [[torch.equal(moved[one], window) for window in windows[one]].index(True) for one in range(6)]
    assert len(set(found)) > 1


def test_about_half_of_the_clips_are_mirrored_and_the_others_are_as_they_were() -> None:
    frames = torch.randint(256, (400, 1, 4, 4, 3), dtype=torch.uint8)
    turned = flipped(frames)
    mirrored = [torch.equal(after, before.flip(2)) for after, before in zip(turned, frames, strict=True)]
    same = [torch.equal(after, before) for after, before in zip(turned, frames, strict=True)]
    assert all(one != other for one, other in zip(mirrored, same, strict=True))
    assert 150 < sum(mirrored) < 250


def test_rand_augment_changes_clips_but_not_their_shape() -> None:
    frames = torch.randint(256, (8, 2, 16, 16, 3), dtype=torch.uint8)
    changed = rand_augmented(frames)
    assert changed.shape == frames.shape
    assert changed.dtype == torch.uint8
    assert not torch.equal(changed, frames)


@pytest.mark.parametrize(
    ("name", "same"), [("none", True), ("crop", False), ("flip", False), ("rand", False)]
)
def test_pictures_are_changed_as_asked(name: Augmentation, same: bool) -> None:
    frames = torch.randint(256, (8, 1, 16, 16, 3), dtype=torch.uint8)
    pictures = Pictures.of(frames, torch.arange(8))
    batch = Batches(pictures, 8, 0, name)(0)
    assert torch.equal(batch.frames, frames[batch.labels]) == same


def test_what_cannot_be_batched_is_refused() -> None:
    pictures = pictures_of([0, 1])
    with pytest.raises(ConfigError, match="1 picture or more, not 0"):
        Batches(pictures, 0, 0)
    with pytest.raises(ConfigError, match="augmentation 'blur' is unknown; choose none, crop, flip, rand"):
        Batches(pictures, 1, 0, "blur")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="2 pictures with 1 labels"):
        Pictures.of(pictures.frames, torch.tensor([0]))
