"""Where labelled files lie: in a folder, or inside a zip that stays open."""

import lzma
import os
import posixpath
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile, ZipFile, ZipInfo

from pipeline.errors import ConfigError, SourceError
from sources.folder import printable, visible_files

ENCRYPTED = 0x1
DAMAGE = (BadZipFile, OSError, EOFError, ValueError, NotImplementedError, zlib.error, lzma.LZMAError)


class Store(Protocol):
    """Files by name, with forward slashes; reading is safe from any number of threads and processes."""

    def names(self) -> list[str]:
        """Every file that is not hidden, sorted."""
        ...

    def __contains__(self, name: str) -> bool: ...

    def path(self, name: str) -> Path | None:
        """Where a file lies on disk; None inside a zip."""
        ...

    def stamp(self, name: str) -> str:
        """What changes when a file does, without reading it; empty where there is no such file."""
        ...

    def read(self, name: str, limit_bytes: int) -> bytes:
        """All of a file; SourceError where it is absent, damaged or, before it is read, over the limit."""
        ...

    def close(self) -> None: ...


class FolderStore:
    """The files below a folder; an absolute name leads out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        return sorted(file.relative_to(self._folder).as_posix() for file in visible_files(self._folder))

    def __contains__(self, name: str) -> bool:
        try:
            return self.path(name).is_file()
        except OSError:
            return False  # such as a name that no file system takes

    def path(self, name: str) -> Path:
        return self._folder / name

    def stamp(self, name: str) -> str:
        """Size and time of the last change."""
        try:
            status = self.path(name).stat()
        except OSError:
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"

    def read(self, name: str, limit_bytes: int) -> bytes:
        path = self.path(name)
        try:
            if not path.is_file():
                raise SourceError(printable(name), "no such file")
            _check_size(name, path.stat().st_size, limit_bytes)
            with path.open("rb") as file:
                return file.read(limit_bytes)
        except OSError as error:
            raise SourceError(printable(name), f"cannot be read ({error.strerror})") from error

    def close(self) -> None:
        """Nothing stays open."""


class ZipStore:
    """The files of a zip, read in place.

    Threads share one open zip, whose reads take turns and whose decompression does not. A process that
    inherits the store or gets it by pickling opens the zip anew: two must not share a place in one file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip, self._process = self._open(), os.getpid()

    def __reduce__(self) -> "tuple[Callable[[Path], ZipStore], tuple[Path]]":
        return ZipStore, (self._path,)

    def names(self) -> list[str]:
        return sorted(entry.filename for entry in self._zip.infolist() if _is_shown(entry))

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def path(self, name: str) -> None:
        return None

    def stamp(self, name: str) -> str:
        """Size and CRC."""
        entry = self._zip.NameToInfo.get(name)
        return "" if entry is None else f"{entry.file_size} {entry.CRC:08x}"

    def read(self, name: str, limit_bytes: int) -> bytes:
        opened = self._own()
        try:
            entry = opened.getinfo(name)
        except KeyError:
            raise SourceError(name, f"no such entry in {self._path}") from None
        _check_size(name, entry.file_size, limit_bytes)
        try:
            return opened.read(entry)
        except DAMAGE as error:
            raise SourceError(name, f"damaged in {self._path} ({' '.join(str(error).split())})") from error

    def close(self) -> None:
        self._zip.close()

    def _own(self) -> ZipFile:
        if self._process != os.getpid():
            self._zip, self._process = self._open(), os.getpid()
        return self._zip

    def _open(self) -> ZipFile:
        try:
            opened = ZipFile(self._path)
        except DAMAGE as error:
            raise ConfigError(f"{self._path}: not a zip that can be read ({error})") from error
        for entry in opened.infolist():
            wrong = _fault(entry)
            if wrong is not None:
                opened.close()
                raise ConfigError(f"{self._path}: entry {printable(entry.filename)!r} {wrong}")
        return opened


def _fault(entry: ZipInfo) -> str | None:
    parts = entry.filename.replace("\\", "/").split("/")
    if posixpath.isabs(entry.filename) or ".." in parts or parts[0].endswith(":"):
        return "leads out of the archive; every entry must lie below its top"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted; pack it without a password"
    return None


def _is_shown(entry: ZipInfo) -> bool:
    parts = entry.filename.split("/")
    return not entry.is_dir() and "__MACOSX" not in parts and not any(part[:1] == "." for part in parts)


def _check_size(name: str, num_bytes: int, limit_bytes: int) -> None:
    if num_bytes > limit_bytes:
        raise SourceError(printable(name), f"{num_bytes} bytes are over the limit of {limit_bytes} bytes")
