from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from sources.labelled import layout
from sources.labelled.layout import Member, find_members, open_store
from sources.labelled.names import ModelClasses
from tests.sources.labelled.test_store import zipped

Files = dict[str, bytes]


def files(*names: str) -> Files:
    return dict.fromkeys(names, b"x")


def laid_out(kind: str, folder: Path, content: Files) -> Path:
    if kind == "zip":
        return zipped(folder / "data.zip", content)
    for name, each in content.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_bytes(each)
    return folder / "data"


def found(path: Path, *classes: str, root: Path | None = None) -> list[Member]:
    store = open_store(path)
    try:
        return find_members(path, store, root, ModelClasses(classes or None))
    finally:
        store.close()


@pytest.fixture(params=["folder", "zip"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("top", ["", "train/", "a/b/train/"])
def test_a_folder_for_each_class_below_any_common_top(kind: str, tmp_path: Path, top: str) -> None:
    content = files(f"{top}dog/2.jpg", f"{top}cat/9.mp4", f"{top}dog/sub/1.PNG", f"{top}dog/LICENSE")
    assert found(laid_out(kind, tmp_path, content)) == [
        (f"{top}cat/9.mp4", "cat"),
        (f"{top}dog/2.jpg", "dog"),
        (f"{top}dog/sub/1.PNG", "dog"),
    ]


def test_files_beside_the_class_folders_are_left_out(kind: str, tmp_path: Path) -> None:
    content = files("preview.png", "train/preview.png", "train/cat/1.jpg", "train/dog/1.jpg")
    assert [member.label for member in found(laid_out(kind, tmp_path, content))] == ["cat", "dog"]


def test_files_without_folders_have_no_class(kind: str, tmp_path: Path) -> None:
    path = laid_out(kind, tmp_path, files("b.mp4", "a.jpg", "note.txt"))
    assert found(path) == [("a.jpg", None), ("b.mp4", None)]


@pytest.mark.parametrize(("classes", "label"), [((), None), (("cat", "dog"), None), (("cow", "dog"), "cow")])
def test_one_folder_is_a_class_only_where_the_model_knows_it(
    kind: str, tmp_path: Path, classes: tuple[str, ...], label: str | None
) -> None:
    path = laid_out(kind, tmp_path, files("train/cow/1.jpg", "train/cow/2.jpg"))
    assert [member.label for member in found(path, *classes)] == [label] * 2


def test_two_splits_side_by_side_are_refused(kind: str, tmp_path: Path) -> None:
    path = laid_out(kind, tmp_path, files("train/cat/1.jpg", "Val/cat/1.jpg"))
    with pytest.raises(ConfigError, match="holds Val and train side by side"):
        found(path)


@pytest.mark.parametrize("folder", ["", "in/"])
def test_a_table_inside_names_files_beside_it_or_from_the_top(kind: str, tmp_path: Path, folder: str) -> None:
    table = b"./v/1.mp4 jump\nv/../w/2.mp4 run"
    content = files(f"{folder}v/1.mp4", "w/2.mp4") | {f"{folder}val.csv": table}
    path = laid_out(kind, tmp_path, content)
    assert found(path) == sorted([(f"{folder}v/1.mp4", "jump"), ("w/2.mp4", "run")])


def test_a_table_inside_goes_before_folders_and_labels_csv_before_other_tables(
    kind: str, tmp_path: Path
) -> None:
    content = files("cat/1.jpg", "dog/2.jpg")
    content |= {"results.csv": b"x", "dog/labels.csv": b"x", "labels.csv": b"path,label\ncat/1.jpg,cow"}
    assert found(laid_out(kind, tmp_path, content)) == [("cat/1.jpg", "cow")]


def test_several_tables_are_refused_where_none_is_labels_csv(kind: str, tmp_path: Path) -> None:
    path = laid_out(kind, tmp_path, files("a.csv", "b.csv", "1.jpg"))
    with pytest.raises(ConfigError, match=r"holds 2 tables, 'a\.csv' first; call one labels\.csv"):
        found(path)


def test_a_table_of_its_own_names_files_relative_to_itself_or_to_a_root(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()
        (folder / "1.jpg").touch()
    (far / "2.jpg").touch()
    table = near / "list.txt"
    table.write_text(f"1.jpg 0\n2.jpg 1\n{far}/2.jpg 3\n")
    assert found(table) == [(f"{far}/2.jpg", "3"), ("1.jpg", "0"), ("2.jpg", "1")]
    assert set(found(table, root=far)) == {
        (f"{far}/1.jpg", "0"),
        (f"{far}/2.jpg", "1"),
        (f"{far}/2.jpg", "3"),
    }


def test_a_root_inside_a_zip(tmp_path: Path) -> None:
    content = files("1.jpg", "big/1.jpg") | {"labels.csv": b"1.jpg 0"}
    assert found(zipped(tmp_path / "a.zip", content), root=Path("big")) == [("big/1.jpg", "0")]


def test_a_table_can_not_lead_out_of_a_zip(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").touch()
    content = files("1.jpg") | {"labels.csv": f"1.jpg 0\n../secret.jpg 1\n{tmp_path}/secret.jpg 2".encode()}
    path = zipped(tmp_path / "a.zip", content)
    store = open_store(path)
    members = find_members(path, store, None, ModelClasses())
    assert [member.name in store for member in members] == [False, False, True]


def test_a_table_is_refused_only_where_none_of_its_files_exists(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a.jpg,cat\nb.jpg,dog")
    with pytest.raises(ConfigError, match=r"t\.csv: none of its 2 files exists, 'a\.jpg' first"):
        found(tmp_path / "t.csv")
    (tmp_path / "b.jpg").touch()
    assert len(found(tmp_path / "t.csv")) == 2


def test_a_table_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_TABLE_BYTES", 5)
    (tmp_path / "t.csv").write_text("a.jpg,cat")
    with pytest.raises(ConfigError, match=r"t\.csv: 9 bytes are over the limit"):
        found(tmp_path / "t.csv")


def test_a_single_file_is_one_example_without_a_class(tmp_path: Path) -> None:
    (tmp_path / "a.MP4").touch()
    assert found(tmp_path / "a.MP4") == [("a.MP4", None)]


@pytest.mark.parametrize(
    ("name", "named"),
    [("absent", "no such file"), ("note.md", "give a folder, a .zip, a table"), ("bare", "holds no image")],
)
def test_what_holds_no_examples_is_refused_naming_it(tmp_path: Path, name: str, named: str) -> None:
    (tmp_path / "note.md").touch()
    (tmp_path / "bare").mkdir()
    with pytest.raises(ConfigError, match=f"{name}: {named}"):
        found(tmp_path / name)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        found(Path("/dev/null"))
