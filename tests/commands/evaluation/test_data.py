import cv2
import numpy as np
import pytest

from commands.evaluation.data import Data, digest_of, open_items
from models import create_model
from pipeline.errors import ConfigError
from sources.labelled import Protocol
from sources.motions import LABELS, motion_sequence
from sources.writer import write_video

ONCE = Protocol.parse("1x1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos of two classes."""
    path = tmp_path_factory.mktemp("data")
    for index in range(2):
        label, frames = motion_sequence(3, index, 70, 64)
        (path / label).mkdir(exist_ok=True)
        write_video(path / label / f"{index}.mp4", frames, 25)
    return path


def test_files_come_as_the_model_takes_them(model, folder):
    with open_items(Data(str(folder), Protocol.parse("2x1")), model) as items:
        assert [item.name.split("/")[0] for item in items] == [LABELS[item.class_id] for item in items]
        for item in items:
            views = item.read()
            assert (views.shape, views.dtype) == ((2, 16, 64, 64, 3), np.uint8)


def test_the_pattern_is_data_that_everyone_has(model):
    with open_items(Data("pattern:motions?seed=4&clips=9", ONCE), model) as items:
        assert len(items) == 9
        label, frames = motion_sequence(4, 8, 16, 64)
        assert LABELS[items[8].class_id] == label
        assert np.array_equal(items[8].read(), frames[None])
    with open_items(Data("pattern:motions?clips=9", ONCE, limit=4), model) as items:
        assert len(items) == 4
    with open_items(Data("pattern:motions", ONCE, limit=900), model) as items:
        assert len(items) == 900
    with open_items(Data("pattern:motions", ONCE), model) as items:
        assert len(items) == 400


def test_data_that_does_not_fit_the_model_is_refused(tmp_path):
    image = create_model("vit_tiny_patch16_224", num_classes=3)
    with (
        pytest.raises(ConfigError, match="only the model motions names"),
        open_items(Data("pattern:motions", ONCE), image),
    ):
        pass
    cv2.imwrite(str(tmp_path / "cat.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "labels.csv").write_text("file,class_index\ncat.png,7\n")
    with (
        pytest.raises(ConfigError, match="class 7, but vit_tiny_patch16_224 has 3 classes"),
        open_items(Data(str(tmp_path), ONCE), image),
    ):
        pass


def test_an_example_that_is_named_twice_counts_twice_under_names_of_its_own(tmp_path, model):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    table = tmp_path / "labels.csv"
    table.write_text("file,class\na.png,left\na.png,right\n")
    with open_items(Data(str(tmp_path), ONCE), model) as items:
        assert [(item.name, item.class_id) for item in items] == [("a.png", 0), ("a.png #2", 1)]
        before = digest_of(items)
    table.write_text("file,class\na.png,left\na.png,up\n")
    with open_items(Data(str(tmp_path), ONCE), model) as items:
        assert digest_of(items) != before
