"""What is wrong with a configuration, key by key, and what would be right."""

import types
import typing
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from transport.untrusted import one_line

Kind = type[BaseModel]


def wrongs(error: ValidationError, kind: Kind) -> str:
    """One line for all that `error` says of a `kind`: each key's path, what is wrong, what would be right."""
    return "; ".join(_wrong(each, kind) for each in error.errors(include_input=False, include_url=False))


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that is most like this one, if any is."""
    found = get_close_matches(word.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return found[0] if found else None


def likeness(word: str, known: Sequence[str]) -> float:
    """1 for a known word, less for one that is like one, 0 for any other."""
    near = nearest(word, known)
    return 0.0 if near is None else SequenceMatcher(None, word, near).ratio()


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """What to say to a word that is none of the known ones."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else f"there are {', '.join(sorted(known))}"


def _wrong(error: ErrorDetails, kind: Kind) -> str:
    key, inside = _place(error["loc"], kind)
    said = error["msg"].removeprefix("Value error, ")
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; {_right_key(str(error['loc'][-1]), inside, kind)}"
        case "missing":
            said = "is missing"
        case "union_tag_not_found":
            key, said = f"{key}.type", f"is missing; one of {_tags(context)}"
        case "union_tag_invalid":
            tags = _tags(context).split(", ")
            key, said = f"{key}.type", f"unknown; {did_you_mean(str(context.get('tag', '')), tags)}"
        case "string_pattern_mismatch" if error["loc"][-1] == "[key]":
            said = "a name is of letters, digits, _, . and -, and 64 of them at most"
        case "model_type" | "dict_type" | "model_attributes_type":
            said = "should be a map of keys and values"
    said = said[0].lower() + said[1:] if said.startswith("Input ") else said
    return f"{key}: {said.removeprefix('input ')}" if key else said


def _tags(context: dict[str, Any]) -> str:
    return str(context.get("expected_tags") or "mqtt, webhook, sqlite, jsonl, console").replace("'", "")


def _right_key(word: str, inside: Kind | None, kind: Kind) -> str:
    """A key of the same map that is like the word; else the same word, or one like it, in another map."""
    here = [] if inside is None else list(inside.model_fields)
    if nearest(word, here):
        return did_you_mean(word, here)
    paths = list(_paths(kind))
    same = [path for path in paths if path.rpartition(".")[2] == word]
    if same:
        return f"did you mean {same[0]}?"
    near = nearest(word, [path.rpartition(".")[2] for path in paths])
    if near:
        return f"did you mean {next(path for path in paths if path.rpartition('.')[2] == near)}?"
    return did_you_mean(word, here)


def _paths(kind: Kind, before: str = "") -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield f"{before}{name}"
        for group in _models(field.annotation):
            yield from _paths(group, f"{before}{name}.")


def _place(loc: Sequence[int | str], kind: Kind) -> tuple[str, Kind | None]:
    """The path that a user wrote, without what pydantic adds to tell alternatives apart, and the settings
    that the last key stands in."""
    path: list[str] = []
    at: Any = kind
    inside: Kind | None = None
    for part in loc:
        models = list(_models(at))
        tagged = [each for each in models if len(models) > 1 and _tag(each) == part]
        if tagged:
            at = tagged[0]
            continue
        inside = models[0] if len(models) == 1 else None
        if part == "[key]":
            break
        path.append(one_line(str(part)))
        at = _inner(at, inside, part)
    return ".".join(path), inside


def _inner(at: Any, inside: Kind | None, part: int | str) -> Any:
    """The type of what is at `part`."""
    if inside is not None:
        field = inside.model_fields.get(str(part))
        return None if field is None else field.annotation
    arguments = get_args(_bare(at))
    return arguments[-1] if arguments else None


def _bare(at: Any) -> Any:
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    return at


def _models(at: Any) -> Iterator[Kind]:
    """The settings that a type is, or may be one of."""
    at = _bare(at)
    if isinstance(at, type) and issubclass(at, BaseModel):
        yield at
    elif get_origin(at) in (Union, types.UnionType):
        for each in get_args(at):
            yield from _models(each)


def _tag(kind: Kind) -> object:
    field = kind.model_fields.get("type")
    is_tag = field is not None and get_origin(field.annotation) is Literal
    return typing.get_args(field.annotation)[0] if field is not None and is_tag else None
