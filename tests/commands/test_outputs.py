import pytest

from commands.outputs import make_room
from pipeline.errors import ConfigError


def test_a_folder_is_made_and_nothing_else_is_touched(tmp_path):
    fresh, old = tmp_path / "a" / "b" / "out.json", tmp_path / "old.json"
    old.write_text("precious")
    make_room(fresh)
    make_room(old)
    assert list(fresh.parent.iterdir()) == []
    assert old.read_text() == "precious"


def test_what_can_be_no_file_is_refused_with_its_name_and_why(tmp_path):
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "file" / "out.json", r"cannot be written \(.+\)"),
    ):
        with pytest.raises(ConfigError, match=f"{path}: {why}"):
            make_room(path)
