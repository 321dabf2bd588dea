import multiprocessing
import os
import pickle
import stat
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, SourceError
from sources.labelled.store import FolderStore, Store, ZipStore

FILES = {"b/2.jpg": b"two" * 1000, "a/1.jpg": b"one", "note.txt": b""}
HIDDEN = {".git/x.jpg": b"x", "a/.y.jpg": b"y"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(params=["folder", "zip"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    files = FILES | HIDDEN
    if request.param == "zip":
        return ZipStore(zipped(tmp_path / "a.zip", files | {"__MACOSX/a/1.jpg": b"", "empty/": b""}))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return FolderStore(tmp_path)


def test_names_are_sorted_and_without_hidden_ones(store: Store) -> None:
    assert store.names() == ["a/1.jpg", "b/2.jpg", "note.txt"]


def test_files_are_read_whole_up_to_the_limit(store: Store) -> None:
    assert {name: store.read(name, 3000) for name in store.names()} == FILES
    with pytest.raises(SourceError, match=r"b/2\.jpg: 3000 bytes are over the limit of 2999 bytes"):
        store.read("b/2.jpg", 2999)


def test_an_absent_file_is_one_error_naming_it(store: Store) -> None:
    assert "a/1.jpg" in store
    assert "a/3.jpg" not in store
    with pytest.raises(SourceError, match=r"a/3\.jpg: no such"):
        store.read("a/3.jpg", 10)


def test_a_stamp_stays_while_a_file_does_and_is_empty_where_there_is_none(store: Store) -> None:
    assert store.stamp("a/1.jpg") == store.stamp("a/1.jpg") != store.stamp("b/2.jpg")
    assert store.stamp("a/3.jpg") == store.stamp("a/1.jpg/x") == ""


def test_a_stamp_changes_with_size_time_and_content(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"one")
    stamps = [FolderStore(tmp_path).stamp("a.jpg")]
    for content, time in ((b"one", 1), (b"more", 1)):
        (tmp_path / "a.jpg").write_bytes(content)
        os.utime(tmp_path / "a.jpg", ns=(0, time))
        stamps.append(FolderStore(tmp_path).stamp("a.jpg"))
    zips = [zipped(tmp_path / f"{name}.zip", {"a.jpg": name.encode()}) for name in ("one", "two", "three")]
    stamps += [ZipStore(path).stamp("a.jpg") for path in zips]
    assert len(set(stamps)) == 6
    assert ZipStore(zipped(tmp_path / "again.zip", {"a.jpg": b"one"})).stamp("a.jpg") == stamps[3]


def test_only_a_folders_files_have_a_path(tmp_path: Path) -> None:
    assert FolderStore(tmp_path).path("a/1.jpg") == tmp_path / "a/1.jpg"
    assert ZipStore(zipped(tmp_path / "a.zip", FILES)).path("a/1.jpg") is None


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert stat.S_ISFIFO((tmp_path / "a.jpg").stat().st_mode)
    with pytest.raises(SourceError, match="no such file"):
        FolderStore(tmp_path).read("a.jpg", 10)


@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg", "C:\\x.jpg", "a\\..\\x.jpg"])
def test_an_entry_that_leads_out_of_the_zip_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="leads out of the archive"):
        ZipStore(zipped(tmp_path / "a.zip", {"fine.jpg": b"", name: b""}))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jpg": b"a"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.zip: entry 'a\.jpg' is encrypted"):
        ZipStore(path)


@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip_is_one_error_naming_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.zip: not a zip that can be read") as caught:
        ZipStore(tmp_path / "a.zip")
    assert "\n" not in str(caught.value)


def test_a_damaged_entry_costs_only_itself(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    content = bytearray(path.read_bytes())
    content[len("b/2.jpg") + 30 + 4] ^= 0xFF
    path.write_bytes(content)
    damaged = ZipStore(path)
    with pytest.raises(SourceError, match=r"b/2\.jpg: damaged in .*a\.zip"):
        damaged.read("b/2.jpg", 3000)
    assert damaged.read("a/1.jpg", 3000) == b"one"


def test_a_size_that_the_zip_states_too_small_gives_no_more_than_that(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jpg": b"x" * 100_000})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        ZipStore(path).read("a.jpg", 50)


def many(path: Path) -> ZipStore:
    return ZipStore(zipped(path, {f"{index}.jpg": str(index).encode() * 5000 for index in range(100)}))


def is_right(store: ZipStore, index: int) -> bool:
    return store.read(f"{index}.jpg", 50_000) == str(index).encode() * 5000


def test_threads_share_one_open_zip(tmp_path: Path) -> None:
    store = many(tmp_path / "a.zip")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda index: is_right(store, index % 100), range(800)))


def test_a_store_travels_to_another_process(tmp_path: Path) -> None:
    store = many(tmp_path / "a.zip")
    assert is_right(pickle.loads(pickle.dumps(store)), 7)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(is_right, store, 3).result()


inherited: list[ZipStore] = []


def read_all(rounds: int) -> bool:
    return all(is_right(inherited[-1], index % 100) for index in range(rounds))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_processes_that_inherit_a_store_do_not_disturb_each_other(tmp_path: Path) -> None:
    inherited.append(many(tmp_path / "a.zip"))
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        children = [pool.submit(read_all, 2000) for _ in range(2)]
        assert read_all(2000)
        assert all(child.result() for child in children)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_any_compression_is_one_error_of_its_entry(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.jpg", bytes(range(256)) * 64)
    content = bytearray(path.read_bytes())
    for index in range(45, 60):
        content[index] ^= 0x55
    path.write_bytes(content)
    with closing(ZipStore(path)) as store, pytest.raises(SourceError, match=r"a\.jpg"):
        store.read("a.jpg", 1 << 20)


def test_a_name_that_no_file_system_takes_is_no_file(tmp_path: Path) -> None:
    assert "x" * 5000 + ".jpg" not in FolderStore(tmp_path)
