"""Check: whether a configuration file would do, and what would run by it; starts nothing, loads no model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from commands.rules import verify
from commands.runtime import OK, complain
from commands.showing import require_secure
from configs.files import KINDS, CloudFile, DeviceFile, PeerFile, ReplayFile, kind_of, read_file
from configs.yaml_file import read_config
from pipeline.errors import ConfigError
from pipeline.redact import HIDDEN, redacted, redacted_address

PYDANTICS = "**********"
WIDE = 110


def run(path: Path, verb: str | None = None) -> int:
    """Print the settings that the file stands for, less what is not set, secrets hidden; ConfigError in one
    line if it is wrong."""
    verb = verb or kind_of(read_config(path))
    settings, _ = read_file(KINDS[verb], path)
    assert isinstance(settings, DeviceFile | ReplayFile | CloudFile | PeerFile)  # noqa: S101  (all that there are)
    notes = verify(settings, str(path))
    try:
        require_secure(settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if isinstance(settings, DeviceFile) and not settings.sources:
        raise ConfigError(f"{path}: sources: none is named; write `sources: {{door: rtsp://HOST/PATH}}`")
    print(f"# {path}: main.py {verb} --config {path} would run with")
    print(
        yaml.safe_dump(shown(settings), sort_keys=False, allow_unicode=True, width=WIDE), end="", flush=True
    )
    for note in notes:
        complain(f"note: {note}")
    return OK


def shown(settings: DeviceFile | ReplayFile | CloudFile | PeerFile) -> dict[str, Any]:
    """The settings as plain values without a secret."""
    values = _hidden(settings.model_dump(mode="json", exclude_none=True))
    assert isinstance(values, dict)  # noqa: S101  (as the settings are)
    for source in values.get("sources", {}).values():
        source["url"] = redacted_address(source["url"])
    return values


def _hidden(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: HIDDEN if key == "user" and inner else _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    if value == PYDANTICS:
        return HIDDEN
    return redacted(value) if isinstance(value, str) else value
