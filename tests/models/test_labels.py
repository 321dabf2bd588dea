import pytest
from timm.data.imagenet_info import ImageNetInfo

from models.labels import (
    IMAGENET_CLASSES,
    KINETICS_CLASSES,
    default_labels,
    imagenet_labels,
    imagenet_wnids,
    kinetics_labels,
)
from tests.data import shared_data


def test_the_names_are_those_of_timm_in_its_order() -> None:
    info = ImageNetInfo()
    assert imagenet_labels() == tuple(info.index_to_description(index) for index in range(IMAGENET_CLASSES))


def test_the_wordnet_ids_are_those_of_timm_in_its_order() -> None:
    info = ImageNetInfo()
    assert imagenet_wnids() == tuple(info.index_to_label_name(index) for index in range(IMAGENET_CLASSES))


def test_kinetics_names_are_400_and_in_the_order_of_the_alphabet() -> None:
    labels = kinetics_labels()
    assert len(set(labels)) == len(labels) == KINETICS_CLASSES
    assert (labels[0], labels[-1]) == ("abseiling", "zumba")
    assert list(labels) == sorted(labels, key=str.lower)
    assert all(label == label.strip() != "" for label in labels)


def test_kinetics_names_are_those_of_the_data_set() -> None:
    assert kinetics_labels() == tuple(shared_data("labels", "k400_labels.txt").read_text().splitlines())


@pytest.mark.parametrize(
    ("clip_frames", "num_classes", "first"),
    [
        (1, 1000, "tench, Tinca tinca"),
        (16, 400, "abseiling"),
        (1, 400, None),
        (16, 1000, None),
        (16, 8, None),
    ],
)
def test_only_the_usual_numbers_of_classes_have_names(
    clip_frames: int, num_classes: int, first: str | None
) -> None:
    labels = default_labels(clip_frames, num_classes)
    assert (labels[0] if labels else None) == first
