"""Finding videos: files as given, folders with all that is in them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.errors import ConfigError

VIDEO_SUFFIXES = frozenset(
    [".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"]
)


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video, and the name that its clips carry: unique among those found together."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    relative: Path

    def name(self, detail: int) -> str:
        """Without suffix, with it, or the whole path: as much as it takes to be unique."""
        return printable(str((self.relative.with_suffix(""), self.relative, self.path)[detail]))


def printable(path: str) -> str:
    """The text of a path; bytes in it that are no text are spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find_videos(paths: Sequence[Path], pattern: str | None = None) -> list[VideoFile]:
    """The videos among `paths`, in the order given; a folder's sorted, without hidden ones.

    `pattern` ("*.mp4", "cam1/*"), in either case, chooses within folders, by file name or by path
    within the folder; None takes the usual suffixes. Names are relative to the folder and without
    suffix where that is unique. Raises ConfigError for a path that does not exist, or for nothing found.
    """
    found: dict[Path, _Found] = {}
    for path in paths:
        for video in _under(path, pattern):
            found.setdefault(video.path.absolute(), video)
    if not found:
        looked_for = "no video" if pattern is None else f"no file that matches {pattern!r}"
        raise ConfigError(f"{looked_for} in {', '.join(map(str, paths)) or 'an empty list of paths'}")
    videos = list(found.values())
    return [VideoFile(video.path, name) for video, name in zip(videos, _names(videos), strict=True)]


def _under(path: Path, pattern: str | None) -> Iterator[_Found]:
    if path.is_file():
        yield _Found(path, Path(path.name))
        return
    if not path.is_dir():
        what = "is neither a file nor a folder" if path.exists() else "no such file or folder"
        raise ConfigError(f"{path}: {what}")
    inside = (file.relative_to(path) for file in visible_files(path))
    yield from (_Found(path / file, file) for file in sorted(inside) if _chosen(file, pattern))


def visible_files(folder: Path) -> Iterator[Path]:
    """Every regular file below `folder` that is not hidden, nor in a hidden folder, in no order."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = (Path(parent, name) for name in files if not name.startswith("."))
        yield from (file for file in visible if file.is_file())


def _chosen(file: Path, pattern: str | None) -> bool:
    if pattern is None:
        return file.suffix.lower() in VIDEO_SUFFIXES
    name = str(file) if "/" in pattern else file.name
    return fnmatchcase(name.lower(), pattern.lower())


def _names(videos: list[_Found]) -> list[str]:
    details = [0] * len(videos)
    while True:
        names = [video.name(detail) for video, detail in zip(videos, details, strict=True)]
        counts = Counter(names)
        if len(counts) == len(names) or min(details) == 2:
            return names
        details = [min(2, detail + (counts[name] > 1)) for name, detail in zip(names, details, strict=True)]
