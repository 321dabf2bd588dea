import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.labelled.names import ModelClasses, class_indices, is_names
from tests.data import shared_data

IMAGENET_LIKE = (
    "tench, Tinca tinca",
    "crane",
    "great white shark, white shark, man-eater",
    "crane, bird",
    "red-breasted merganser, Mergus serrator",
)
WNIDS = ("n01440764", "n03126707", "n01484850", "n02012849", "n01855032")

names = st.text(st.characters(categories=["L", "N"], include_characters=" _-'"), min_size=1, max_size=12)


def index(label: str, classes: tuple[str, ...] | None = IMAGENET_LIKE) -> int:
    return class_indices([label], ModelClasses(classes, WNIDS), "data")[label]


@given(st.lists(names, min_size=1, max_size=12, unique=True))
def test_a_models_own_names_give_their_places(classes: list[str]) -> None:
    found = class_indices(reversed(classes), ModelClasses(tuple(classes)), "data")
    assert [found[name] for name in classes] == list(range(len(classes)))


@given(st.lists(names, max_size=12))
def test_without_a_models_names_sorted_names_are_numbered(labels: list[str]) -> None:
    found = class_indices(labels, ModelClasses(), "data")
    if is_names(labels):
        assert [found[name] for name in sorted(set(labels))] == list(range(len(set(labels))))
    else:
        assert all(found[label] == int(label) for label in labels)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("tench, Tinca tinca", 0),
        ("TENCH,tinca_tinca", 0),
        ("tench", 0),
        ("tinca_tinca", 0),
        ("crane", 1),
        ("bird", 3),
        ("ManEater", 2),
        ("red breasted_Merganser", 4),
        ("n01484850", 2),
        ("N01484850", 2),
        ("3", 3),
        ("003", 3),
    ],
)
def test_a_label_fits_by_name_synonym_wordnet_id_or_index(label: str, expected: int) -> None:
    assert index(label) == expected


def test_a_name_that_is_a_number_is_a_name_first() -> None:
    assert index("1", ("2", "1", "0")) == 1


@pytest.mark.parametrize("label", ["whale", "5", "-1", "", "n99999999", "1e3"])
def test_a_label_that_fits_nothing_is_named(label: str) -> None:
    with pytest.raises(ConfigError, match=f"data: 1 of 1 classes are not among the model's 5: '{label}'; "):
        index(label)


def test_a_name_that_several_classes_have_fits_none_of_them() -> None:
    with pytest.raises(ConfigError, match="'crane'"):
        index("crane", ("crane, machine", "crane, bird"))


def test_the_first_of_several_synonyms_goes_before_the_others() -> None:
    assert index("Cardigan", ("cardigan", "Cardigan, Cardigan Welsh corgi")) == 1
    assert index("crayfish", ("spiny lobster, crayfish", "crayfish, crawfish")) == 1


def test_two_spellings_of_one_class_are_one() -> None:
    assert index("BackPack", ("rucksack", "backpack, back pack, knapsack")) == 1


def test_three_misfits_are_named_the_others_counted() -> None:
    labels = ["e", "d", "c", "b", "a", "tench"]
    with pytest.raises(ConfigError) as caught:
        class_indices(labels, ModelClasses(IMAGENET_LIKE), "some.csv")
    assert str(caught.value) == (
        "some.csv: 5 of 6 classes are not among the model's 5: 'a', 'b', 'c' and 2 more; its names look like "
        "'tench, Tinca tinca', 'crane', 'great white shark, white shark, man-eater'"
    )


def test_wordnet_ids_are_enough() -> None:
    found = class_indices(["n01484850", "0"], ModelClasses(None, WNIDS), "data")
    assert found == {"n01484850": 2, "0": 0}


def test_nearly_all_short_names_of_imagenet_find_their_class() -> None:
    lines = shared_data("labels", "imagenet1k_labels.tsv").read_text().splitlines()
    full = tuple(line.split("\t")[2] for line in lines)
    wnids = tuple(line.split("\t")[1] for line in lines)
    found = class_indices(wnids, ModelClasses(full, wnids), "data")
    assert [found[wnid] for wnid in wnids] == list(range(1000))
    firsts = [name.split(",")[0] for name in full]
    unique = [name for name in firsts if firsts.count(name) == 1]
    found = class_indices(unique, ModelClasses(full), "data")
    assert len(unique) > 990
    assert all(firsts[found[name]] == name for name in unique)
