"""Tables of files and their classes: CSV with or without a header, or lists of "path label"."""

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.errors import ConfigError
from sources.folder import VIDEO_SUFFIXES

IMAGE_SUFFIXES = frozenset([".bmp", ".jpeg", ".jpg", ".png", ".webp"])
MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
TABLE_SUFFIXES = frozenset([".csv", ".list", ".tsv", ".txt"])

PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("video", "video_path", "image", "image_path", "name"),
)
# The surest first: a column called "index" may also number the rows.
LABELS = (
    *("label", "class", "class_name", "classname", "category", "action"),
    *("class_index", "class_idx", "class_id", "label_id", "target"),
    *("wnid", "synset", "index"),
)

DELIMITERS = (",", "\t", ";")
MEDIA = re.compile(rf"\S.*(?:{'|'.join(map(re.escape, sorted(MEDIA_SUFFIXES)))})(?=\s|$)", re.IGNORECASE)


class Row(NamedTuple):
    path: str
    label: str


def read_table(content: bytes, where: str) -> list[Row]:
    """The rows of a table, in its order; `where` is named in every error.

    Columns are found by their names (path, file, video, ...; label, class, class_index, ...); a table
    without a header holds paths and labels in two columns, in any order. Raises ConfigError, with the
    line, for a row without either, for columns that cannot be found and for text that is not UTF-8.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not a table in UTF-8 text (byte {error.start})") from error
    try:
        rows = [(number, row) for number, row in _split(lines) if any(row)]
    except csv.Error as error:
        raise ConfigError(f"{where}: not a table that can be read ({error})") from error
    if not rows:
        raise ConfigError(f"{where}: the table is empty")
    path, label, first = _columns(rows[0][1], where)
    width = len(rows[0][1])
    return [_row(row, width, path, label, f"{where}, line {number}") for number, row in rows[first:]]


def _split(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((each for each in DELIMITERS if each in first), None)
    if delimiter is None:
        yield from enumerate(map(_blank_separated, lines), 1)
        return
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        yield reader.line_num, [field.strip() for field in row]


def _blank_separated(line: str) -> list[str]:
    """The path, which may hold blanks, and the label behind its suffix."""
    found = MEDIA.search(line)
    return line.split() if found is None else [found[0], line[found.end() :].strip()]


def _columns(row: list[str], where: str) -> tuple[int, int, int]:
    """Which column holds the path, which the label, and at which row the data begins."""
    media = [index for index, field in enumerate(row) if MEDIA.fullmatch(field)]
    if media:
        if len(row) != 2:
            raise ConfigError(f"{where}: {len(row)} columns without a header; name them, such as path,label")
        return media[0], 1 - media[0], 0
    names = [field.lower().replace(" ", "_") for field in row]
    path, label = (
        next((names.index(name) for name in known if name in names), None) for known in (PATHS, LABELS)
    )
    if path is None or label is None:
        lacking = "path (or file, video, image)" if path is None else "label (or class, class_index)"
        raise ConfigError(f"{where}: no column {lacking} among {', '.join(row)[:200]!r}")
    return path, label, 1


def _row(row: list[str], width: int, path: int, label: int, where: str) -> Row:
    if len(row) != width:
        raise ConfigError(f"{where}: {len(row)} columns where the first line has {width}; quote commas")
    if not row[path] or not row[label]:
        raise ConfigError(f"{where}: needs a path and a label, has {', '.join(row)[:200]!r}")
    return Row(row[path], row[label])
