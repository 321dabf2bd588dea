"""A configuration file: YAML without surprises, and variables of the environment in it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from pipeline.errors import ConfigError
from transport.untrusted import one_line

MOST_BYTES = 256 * 1024
MOST_DEPTH = 16
MERGE = "tag:yaml.org,2002:merge"
# $${ is a ${ that stays; ${ that begins neither form is a slip.
_VARIABLE = re.compile(r"\$(?P<literal>\$\{)|\$\{(?P<name>\w+)(?P<default>:-[^}]*)?\}|(?P<slip>\$\{)")
_USER_INFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)@")
_MASK = "x"


class _Loader(yaml.SafeLoader):
    """Plain data alone: no key twice, and no aliases, with which a small file becomes a huge one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not taken; write it out", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                raise yaml.MarkedYAMLError(problem="a key is a word", problem_mark=key.start_mark)
            if key.value in seen:
                problem = f"the key {one_line(key.value)} is there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_config(path: Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The map in the YAML file at `path`, with ${NAME} and ${NAME:-default} in its values replaced.

    ConfigError in one line, which holds no value of the file, for what is no map or lacks a variable.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    if len(text) > MOST_BYTES:
        raise ConfigError(f"{path}: is over {MOST_BYTES} bytes, which is no configuration")
    data = _parsed(path, text)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration is a map of keys and values, such as `sla_ms: 300`")
    filled: dict[str, Any] = _filled(data, str(path), "", os.environ if environ is None else environ)
    return filled


def _parsed(path: Path, text: bytes) -> object:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:  # its text would quote the file
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise ConfigError(f"{path}: {where}{one_line(error.problem or 'is no YAML', 200)}") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError):
        raise ConfigError(f"{path}: is no YAML") from None


def _filled(value: Any, file: str, key: str, environ: Mapping[str, str]) -> Any:
    if key.count(".") > MOST_DEPTH:
        raise ConfigError(f"{file}: {key}: is nested too deep")
    before = f"{key}." if key else ""
    if isinstance(value, dict):
        return {
            str(each): _filled(inner, file, f"{before}{one_line(str(each))}", environ)
            for each, inner in value.items()
        }
    if isinstance(value, list):
        return [_filled(inner, file, f"{before}{number}", environ) for number, inner in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    try:
        return _replaced(value, environ)
    except ConfigError as error:
        raise ConfigError(f"{file}: {key}: {error}") from None


def _replaced(text: str, environ: Mapping[str, str]) -> str | None:
    """None where the text is one variable without a value. In user and password of an address, what a
    variable holds is percent-encoded: it may hold an @ or a slash."""
    whole = _VARIABLE.fullmatch(text)
    masked = _VARIABLE.sub(lambda found: _MASK * len(found[0]), text)
    info = _USER_INFO.match(masked)

    def value(found: re.Match[str]) -> str:
        told = _value(found, environ)
        inside = info is not None and info.start(1) <= found.start() < info.end(1)
        return quote(told, safe="") if inside and found["name"] else told

    return _VARIABLE.sub(value, text) or (None if whole else "")


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found["literal"]:
        return "${"
    if found["slip"]:
        raise ConfigError("a variable is written ${NAME} or ${NAME:-default}; $${ is a ${ that stays")
    name, default = found["name"], found["default"]
    if default is not None:
        return environ.get(name) or default.removeprefix(":-")
    if name not in environ:
        raise ConfigError(
            f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
        )
    return environ[name]
