from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.folder import _Found, _names, find_videos


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(*paths: Path, pattern: str | None = None) -> list[str]:
    return [video.name for video in find_videos(paths, pattern)]


def test_a_folder_gives_its_videos_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    make(tmp_path, "b/z.mkv", "b/a.MP4", "a.avi", "LICENSE", "note.txt", ".x.mp4", ".git/y.mp4", "b/.z/q.mp4")
    assert names(tmp_path) == ["a", "b/a", "b/z"]
    assert find_videos([tmp_path])[1].path == tmp_path / "b" / "a.MP4"


def test_files_are_taken_as_given_in_the_order_given(tmp_path: Path) -> None:
    make(tmp_path, "two.bin", "one.mp4", "sub/three.mp4")
    paths = [tmp_path / "two.bin", tmp_path / "sub", tmp_path / "one.mp4"]
    assert names(*paths) == ["two", "three", "one"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("*.mp4", ["cam1/a", "cam2/b"]), ("cam1/*", ["cam1/a", "cam1/c"]), ("b*", ["cam2/b"])],
)
def test_a_pattern_chooses_by_name_or_by_path_in_either_case(
    tmp_path: Path, pattern: str, found: list[str]
) -> None:
    make(tmp_path, "cam1/a.mp4", "cam1/c.dat", "cam2/B.MP4")
    assert [name.lower() for name in names(tmp_path, pattern=pattern)] == found


def test_the_same_stem_keeps_its_suffix(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.mkv", "b.mp4")
    assert names(tmp_path) == ["a.mkv", "a.mp4", "b"]


def test_the_same_name_in_two_folders_keeps_its_path(tmp_path: Path) -> None:
    make(tmp_path, "x/a.mp4", "y/a.mp4")
    assert names(tmp_path / "x", tmp_path / "y") == [f"{tmp_path}/x/a.mp4", f"{tmp_path}/y/a.mp4"]


def test_a_file_given_twice_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    monkeypatch.chdir(tmp_path)
    assert names(Path("b.mp4"), tmp_path, tmp_path / "a.mp4") == ["b", "a"]


def test_a_name_that_is_not_text_becomes_text(tmp_path: Path) -> None:
    path = tmp_path / b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    path.touch()
    assert names(tmp_path) == ["caf\\xe9"]


parts = st.sampled_from(["a", "b", "a.mp4", "b.mkv", "a.mp4.mkv"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["x", "y", "x/y"]), parts, st.sampled_from(["", ".mp4", ".mkv"])),
        unique=True,
    )
)
def test_names_are_unique(files: list[tuple[str, str, str]]) -> None:
    paths = {Path(folder, stem + suffix) for folder, stem, suffix in files}
    found = _names([_Found(path, Path(path.name)) for path in sorted(paths)])
    assert len(set(found)) == len(paths)


def test_nothing_found_and_a_missing_path_are_told(tmp_path: Path) -> None:
    make(tmp_path, "note.txt")
    with pytest.raises(ConfigError, match="no video in"):
        find_videos([tmp_path])
    with pytest.raises(ConfigError, match=r"matches '\*.avi'"):
        find_videos([tmp_path], "*.avi")
    with pytest.raises(ConfigError, match="nope: no such file or folder"):
        find_videos([tmp_path / "nope"])
    with pytest.raises(ConfigError, match="empty list"):
        find_videos([])
