"""From the names of classes as the data has them to the indices of a model."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError

SHOWN = 3


@dataclass(frozen=True, slots=True)
class ModelClasses:
    """Classes as a model knows them, in its order; None for names or WordNet ids that it lacks."""

    names: tuple[str, ...] | None = None
    wnids: tuple[str, ...] | None = None

    @property
    def known(self) -> tuple[str, ...] | None:
        return self.names or self.wnids


def class_indices(labels: Iterable[str], model: ModelClasses, where: str) -> dict[str, int]:
    """The model's index for each label of the data.

    A label is the model's name or the first of its synonyms (between commas), else either but for case,
    underscores, hyphens and blanks, else any synonym, where no other class has it, else a WordNet id,
    else the index itself. For a model without names, labels that are not all numbers are numbered as
    sorted. Raises ConfigError, naming up to three, for labels that fit no class or several.
    """
    found = sorted(set(labels))
    if model.known is None:
        numbers = all(_is_index(label) for label in found)
        return {label: int(label) if numbers else index for index, label in enumerate(found)}
    tables = _tables(model)
    fitted = {label: index for label in found if (index := _fit(label, tables, model)) is not None}
    misfits = [label for label in found if label not in fitted]
    if misfits:
        raise ConfigError(
            f"{where}: {len(misfits)} of {len(found)} classes are not among the model's {len(model.known)}: "
            f"{_listed(misfits)}; its names look like {_listed(model.known[:SHOWN])}"
        )
    return fitted


Table = tuple[Callable[[str], str], Mapping[str, int]]


def _tables(model: ModelClasses) -> list[Table]:
    """Ways to look a label up, the strictest first."""
    names = model.names or ()
    firsts = [name.split(",")[0] for name in names]
    synonyms = {(index, _loose(synonym)) for index, name in enumerate(names) for synonym in name.split(",")}
    return [
        (str, _unique(enumerate(names))),
        (str, _unique(enumerate(firsts))),
        (_loose, _unique((index, _loose(name)) for index, name in enumerate(names))),
        (_loose, _unique((index, _loose(name)) for index, name in enumerate(firsts))),
        (_loose, _unique(synonyms)),
        (str.lower, _unique(enumerate(model.wnids or ()))),
    ]


def _unique(pairs: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Index by name, without the names that several classes have."""
    listed = [(name, index) for index, name in pairs]
    counts = Counter(name for name, _ in listed)
    return {name: index for name, index in listed if counts[name] == 1}


def _fit(label: str, tables: Sequence[Table], model: ModelClasses) -> int | None:
    for key, table in tables:
        if key(label) in table:
            return table[key(label)]
    if model.known is not None and _is_index(label) and int(label) < len(model.known):
        return int(label)
    return None


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _is_index(label: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", label) is not None


def is_names(labels: Iterable[str]) -> bool:
    """Whether labels are names; False where all are bare indices."""
    return not all(_is_index(label) for label in labels)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:SHOWN])
    more = len(names) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
