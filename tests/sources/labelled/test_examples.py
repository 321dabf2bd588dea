import pickle
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SourceError
from sources.labelled.examples import Example, balanced, open_examples
from sources.labelled.layout import Member
from tests.data import shared_data
from tests.sources.labelled.test_store import zipped

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

labels = st.sampled_from(["cat", "dog", "cow", None])
member_lists = st.lists(labels, min_size=1, max_size=40).map(
    lambda chosen: [Member(f"{index:02d}.jpg", label) for index, label in enumerate(chosen)]
)


def opened(path: Path, *args: tuple[str, ...], **options: int) -> list[Example]:
    with open_examples(path, *args, **options) as examples:
        return list(examples)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@given(member_lists, st.integers(1, 50), st.integers(0, 9))
def test_a_subset_keeps_the_order_and_holds_every_class_alike(
    members: list[Member], limit: int, seed: int
) -> None:
    subset = balanced(members, limit, seed)
    assert len(subset) == min(limit, len(members))
    assert subset == sorted(set(subset))
    assert set(subset) <= set(members)
    taken, there = (Counter(member.label for member in each) for each in (subset, members))
    most = max(taken.values())
    assert all(taken[label] >= min(there[label], most - 1) for label in there)


@given(member_lists, st.integers(1, 50), st.integers(0, 9))
def test_a_subset_is_the_same_for_the_same_seed(members: list[Member], limit: int, seed: int) -> None:
    assert balanced(members, limit, seed) == balanced(members, limit, seed)


def test_another_seed_draws_other_examples() -> None:
    members = [Member(f"{index:03d}.jpg", str(index % 2)) for index in range(100)]
    assert len({tuple(balanced(members, 10, seed)) for seed in range(5)}) == 5


def test_folders_of_classes_become_examples_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "dog/2.jpg", "dog/1.mp4", "cat/3.webp", "cat/x.gif")
    with open_examples(tmp_path) as examples:
        assert examples.classes == ("cat", "dog")
        assert len(examples) == 3
        assert examples[0] == next(iter(examples))
        shown = [(each.name, each.class_id, each.label, each.kind) for each in examples]
    assert shown == [
        ("cat/3.webp", 0, "cat", "image"),
        ("dog/1.mp4", 1, "dog", "video"),
        ("dog/2.jpg", 1, "dog", "image"),
    ]


def test_the_models_names_and_order_go_before_the_datas(tmp_path: Path) -> None:
    touch(tmp_path, "dog/2.jpg", "CAT/1.jpg")
    with open_examples(tmp_path, ["dog", "cow", "cat, kitty"]) as examples:
        assert examples.classes == ("CAT", "dog")
        assert [(each.class_id, each.label) for each in examples] == [(2, "cat, kitty"), (0, "dog")]


def test_wordnet_ids_give_the_models_names(tmp_path: Path) -> None:
    touch(tmp_path, "n02/2.jpg", "n01/1.jpg")
    found = opened(tmp_path, ("dog", "cow", "cat"), ("n02", "n03", "n01"))
    assert [(each.class_id, each.label) for each in found] == [(2, "cat"), (0, "dog")]


def test_bare_indices_have_no_names(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.mp4")
    (tmp_path / "list.txt").write_text("a.jpg 12\nb.mp4 3")
    with open_examples(tmp_path / "list.txt") as examples:
        assert examples.classes is None
        assert [(each.class_id, each.label) for each in examples] == [(12, None), (3, None)]


def test_unlabelled_files_have_neither_class_nor_name(tmp_path: Path) -> None:
    with open_examples(touch(tmp_path, "a.jpg", "b.mp4"), ("dog",)) as examples:
        assert examples.classes is None
        assert [(each.class_id, each.label) for each in examples] == [(None, None)] * 2


def test_a_class_that_the_model_lacks_is_told_even_outside_the_subset(tmp_path: Path) -> None:
    touch(tmp_path, "dog/2.jpg", "cat/1.jpg")
    with pytest.raises(ConfigError, match=f"{tmp_path}: 1 of 2 classes .* 'cat'"):
        opened(tmp_path, ("dog",), limit=1)


def test_a_limit_takes_from_every_class_and_leaves_their_indices(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{index}.jpg" for label in ("cat", "cow", "dog") for index in range(9)))
    assert [each.class_id for each in opened(tmp_path, limit=6)] == [0, 0, 1, 1, 2, 2]
    assert [each.class_id for each in opened(tmp_path, limit=1, seed=4)] in ([0], [1], [2])


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_is_refused(tmp_path: Path, limit: int) -> None:
    with pytest.raises(ConfigError, match=f"limit of {limit} examples"):
        opened(touch(tmp_path, "a.jpg"), limit=limit)


def test_a_name_that_is_not_text_becomes_text(tmp_path: Path) -> None:
    (tmp_path / b"caf\xe9.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    (found,) = opened(tmp_path)
    assert found.name == "caf\\xe9.jpg"
    assert found.read(9) == b"x"


def test_a_zip_is_open_within_the_block_only(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"cat/1.jpg": b"c", "dog/1.jpg": b"d"})
    with open_examples(path) as examples:
        assert [each.read(9) for each in examples] == [b"c", b"d"]
        assert pickle.loads(pickle.dumps(examples[1])).read(9) == b"d"
        assert examples[0].path is None
    with pytest.raises(SourceError):
        examples[0].read(9)


def test_imagenet_images_have_their_indices() -> None:
    folder = shared_data("images", "imagenet-sample")
    lines = shared_data("labels", "imagenet1k_labels.tsv").read_text().splitlines()
    wnids, names = zip(*(line.split("\t")[1:] for line in lines), strict=True)
    found = opened(folder, names, wnids)
    assert sorted(each.class_id or 0 for each in found) == list(range(0, 1000, 2))
    assert all(each.name.startswith(wnids[each.class_id or 0]) for each in found)
    assert all(each.label == names[each.class_id or 0] for each in found)


def test_cifar10_is_opened_without_reading_its_pixels() -> None:
    path = shared_data("images", "cifar10-test.zip")
    began = time.monotonic()
    with open_examples(path) as examples:
        assert time.monotonic() - began < 5
        assert len(examples) == 10_000
        assert examples.classes == CIFAR10
        assert Counter(each.class_id for each in examples) == dict.fromkeys(range(10), 1000)
    with open_examples(path, CIFAR10[::-1], limit=25, seed=3) as examples:
        assert set(Counter(each.class_id for each in examples).values()) == {2, 3}
        assert all(f"/{CIFAR10[9 - (each.class_id or 0)]}/" in each.name for each in examples)
