"""How files and classes are laid out: a table, a folder for each class, or files alone."""

import posixpath
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.errors import ConfigError, SourceError
from sources.folder import printable
from sources.labelled.names import ModelClasses, class_indices
from sources.labelled.store import FolderStore, Store, ZipStore
from sources.labelled.table import MEDIA_SUFFIXES, TABLE_SUFFIXES, read_table

MAX_TABLE_BYTES = 256 * 2**20
LABELS_TABLE = "labels.csv"
SPLITS = frozenset(["train", "training", "val", "valid", "validation", "test", "testing", "eval"])


class Member(NamedTuple):
    """A file, by its name in the store, with its class as the data has it; None where nobody says."""

    name: str
    label: str | None


def open_store(path: Path) -> Store:
    """What holds the files: the zip, the folder, or the folder around a table or a single file."""
    if path.is_dir():
        return FolderStore(path)
    if not path.is_file():
        raise ConfigError(f"{path}: {'is neither a file nor a folder' if path.exists() else 'no such file'}")
    return ZipStore(path) if path.suffix.lower() == ".zip" else FolderStore(path.parent)


def find_members(path: Path, store: Store, root: Path | None, model: ModelClasses) -> list[Member]:
    """All examples at `path`, sorted by name; ConfigError where there are none, or none can be made out."""
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".zip":
        members = _within(path, store, root, model)
    elif suffix in TABLE_SUFFIXES:
        members = _listed(store, path.name, root, str(path))
    elif suffix in MEDIA_SUFFIXES:
        members = [Member(path.name, None)]
    else:
        raise ConfigError(f"{path}: give a folder, a .zip, a table (.csv, .txt), an image or a video")
    return sorted(members)


def _within(path: Path, store: Store, root: Path | None, model: ModelClasses) -> list[Member]:
    names = store.names()
    table = _table(names, path)
    if table is not None:
        return _listed(store, table, root, f"{path}/{table}")
    media = [name for name in names if PurePosixPath(name).suffix.lower() in MEDIA_SUFFIXES]
    if not media:
        raise ConfigError(f"{path}: holds no image and no video ({', '.join(sorted(MEDIA_SUFFIXES))})")
    return _by_folder(media, path, model)


def _table(names: Sequence[str], path: Path) -> str | None:
    """The table among files: the uppermost labels.csv, else the only CSV."""
    tables = [name for name in names if name.lower().endswith(".csv")]
    named = [name for name in tables if PurePosixPath(name).name.lower() == LABELS_TABLE]
    named.sort(key=lambda name: name.count("/"))
    if named or len(tables) == 1:
        return (named or tables)[0]
    if tables:
        raise ConfigError(f"{path}: holds {len(tables)} tables, {tables[0]!r} first; call one {LABELS_TABLE}")
    return None


def _listed(store: Store, table: str, root: Path | None, where: str) -> list[Member]:
    """Files named in a table: relative to `root`, else to the table, else to the top of the store."""
    try:
        rows = read_table(store.read(table, MAX_TABLE_BYTES), where)
    except SourceError as error:
        raise ConfigError(str(error)) from error
    folders = [posixpath.dirname(table), ""]
    if root is not None:
        folders.insert(0, root.as_posix() if isinstance(store, ZipStore) else str(root.absolute()))
    members = [Member(_locate(store, row.path, folders), row.label) for row in rows]
    if not any(member.name in store for member in members):
        lost = f"{rows[0].path!r} first" if rows else "it names none"
        raise ConfigError(
            f"{where}: none of its {len(rows)} files exists, {lost}; give the folder they are in"
        )
    return members


def _locate(store: Store, path: str, folders: Sequence[str]) -> str:
    names = [posixpath.normpath(posixpath.join(folder, path)) for folder in dict.fromkeys(folders)]
    return next((name for name in names if name in store), names[0])


def _by_folder(media: Sequence[str], path: Path, model: ModelClasses) -> list[Member]:
    """The class is the first folder in which the files differ; files beside such folders are left out."""
    parents = {name: PurePosixPath(name).parent for name in media}
    if len(set(parents.values())) == 1:
        return _one_folder(media, parents[media[0]], model)
    common = PurePosixPath(posixpath.commonpath([str(parent) for parent in parents.values()]))
    inside = [name for name in media if parents[name] != common]
    if len(inside) < len(media):
        return _by_folder(inside, path, model)
    members = [Member(name, printable(parents[name].parts[len(common.parts)])) for name in media]
    found = sorted({str(member.label) for member in members})
    if SPLITS.issuperset(label.lower() for label in found):
        raise ConfigError(f"{path}: holds {' and '.join(found)} side by side; give one of them alone")
    return members


def _one_folder(media: Sequence[str], folder: PurePosixPath, model: ModelClasses) -> list[Member]:
    """Files that lie all together have a class only where the folder's name is one of the model's."""
    label: str | None = printable(folder.name)
    try:
        class_indices([folder.name], ModelClasses(model.names or (), model.wnids or ()), "")
    except ConfigError:
        label = None
    return [Member(name, label) for name in media]
