"""Settings from a file and from the command line, of which the command line counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import typer

from commands.rules import verify
from configs.files import CloudFile, DeviceFile, PeerFile, ReplayFile, merged, read_file, settings_of
from configs.settings import checked

F = TypeVar("F", DeviceFile, ReplayFile, CloudFile, PeerFile)

# Where an option is not called as the last part of its key.
OPTIONS = {
    "model.name": "model",
    "link.url": "cloud",
    "peers.urls": "peers",
    "link.patience_s": "patience",
    "metrics.host": "metrics_host",
    "metrics.port": "metrics_port",
    "slowdown": "emulate_slowdown",
    "grace_s": "grace",
    "max_message_bytes": "max_message_mb",
}


def configured(kind: type[F], context: typer.Context, config: Path | None, **options: Any) -> F:
    """The settings of a verb; ConfigError in one line. `options` are those of the command line, in the shape
    of the settings; with a file they count where they were given, else all of them."""
    if config is None:
        return checked(kind, **options)
    _, values = read_file(kind, config)
    settings = settings_of(kind, merged(values, given(context, options)))
    verify(settings, str(config))
    return settings


def given(context: typer.Context, options: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The part of `options` that somebody gave, rather than left to its default."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            inner = given(context, value, f"{key}.")
            found |= {name: inner} if inner else {}
        elif _is_given(context, OPTIONS.get(key, name)):
            found[name] = value
    return found


def _is_given(context: typer.Context, option: str) -> bool:
    if option not in context.params:
        raise KeyError(f"no option {option} sets this key; name the one that does in OPTIONS")
    source = context.get_parameter_source(option)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
