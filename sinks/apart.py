"""Sinks of one run write to different places."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import ConfigError
from sinks.settings import (
    AnySink,
    ConsoleSettings,
    JsonlSettings,
    SpooledSettings,
    SqliteSettings,
    spool_folder,
)

CONSOLE = "console"
STDOUT = "-"


def require_apart(sinks: Iterable[tuple[str, AnySink]]) -> None:
    """ConfigError, one line, for the first two sinks, by name, that share a file, a spool or the terminal."""
    seen: dict[str, str] = {}
    for name, settings in sinks:
        for place, remedy in _places(settings):
            if place in seen:
                raise ConfigError(f"sinks {seen[place]} and {name}: {remedy}")
            seen[place] = name


def label(settings: AnySink) -> str:
    """What to call a sink that has no name, without a secret."""
    match settings:
        case ConsoleSettings():
            return CONSOLE
        case JsonlSettings(path=path) | SqliteSettings(path=path):
            return str(path)
        case _:
            return settings.label


def _places(settings: AnySink) -> Iterator[tuple[str, str]]:
    """Where a sink writes, links followed, and what to say when somebody else does."""
    match settings:
        case ConsoleSettings():
            yield CONSOLE, "both write to the terminal; drop one"
        case JsonlSettings(path=path) if str(path) == STDOUT:
            yield STDOUT, "both write to standard output; drop one"
        case JsonlSettings(path=path) | SqliteSettings(path=path):
            yield _real(path), f"both write to {path}; drop one or name another file"
    if isinstance(settings, SpooledSettings):
        folder = spool_folder(settings)
        yield _real(folder), f"both use the spool {folder}; give one another folder with spool"


def _real(path: Path) -> str:
    return os.path.realpath(path)
