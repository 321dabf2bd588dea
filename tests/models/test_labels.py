from timm.data.imagenet_info import ImageNetInfo

from models.labels import IMAGENET_CLASSES, imagenet_labels


def test_the_names_are_those_of_timm_in_its_order() -> None:
    info = ImageNetInfo()
    assert imagenet_labels() == tuple(info.index_to_description(index) for index in range(IMAGENET_CLASSES))
