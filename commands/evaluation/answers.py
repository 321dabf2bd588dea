"""What every cell answered for every example: one line each, in a file that an evaluation can resume."""

from collections.abc import Callable, Sequence
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commands.evaluation.cells import Cell
from pipeline.errors import ConfigError

Id = Annotated[int, Field(ge=0, lt=1 << 31)]
Ids = list[Id]
Counts = list[Annotated[int, Field(ge=0, lt=1 << 53)]]
MOST_LINE_BYTES = 1 << 24


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_line(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"


class Head(_Line):
    """What was evaluated: answers of another head are never mixed with these."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    model: str
    dtype: str
    data: str
    views: str
    limit: int | None = None
    seed: int = 0
    where: str = "here"
    items: str
    cells: list[str]


class Answer(_Line):
    """One example: its class if known, the best classes of the unmerged float32 model (`reference`), and
    of each cell the best classes and the bytes that crossed; or the `error` that kept it from being read."""

    name: str
    class_id: Id | None = None
    error: str | None = None
    reference: Ids = []
    best: list[Ids] = []
    num_bytes: Counts = []


def head_of(cells: Sequence[Cell], **facts: object) -> Head:
    """The head of an evaluation of these cells."""
    return Head.model_validate({**facts, "cells": [str(cell) for cell in cells]})


class AnswerFile:
    """Hands answers on and, where there is a `path`, keeps each on disk, appended with one write.

    A file that holds something needs `overwrite`, or `resume`: what it holds is then handed on first. It
    must have the same head, or ConfigError.
    """

    def __init__(
        self,
        head: Head,
        path: Path | None,
        on_answer: Callable[[Answer], None],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        if resume and overwrite:
            raise ConfigError("choose either --resume or --overwrite, not both")
        if resume and path is None:
            raise ConfigError("--resume goes on with a file: name it with --output")
        self._head = head
        self._path = path
        self._resume = resume
        self._overwrite = overwrite
        self._on_answer = on_answer
        self._file: BufferedRandom | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("a+b")
                self._prepare(self._file, self._path)
            except OSError as error:
                raise ConfigError(f"{self._path}: cannot be written ({error.strerror})") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, answer: Answer) -> None:
        """Keep one more answer, and hand it on."""
        self._write(answer)
        self._on_answer(answer)

    def _write(self, line: _Line) -> None:
        if self._file is not None:
            self._file.write(line.to_line())
            self._file.flush()

    def _prepare(self, file: BufferedRandom, path: Path) -> None:
        file.seek(0)
        first = file.readline(MOST_LINE_BYTES)
        if self._resume and first.endswith(b"\n"):
            self._require_same(first, path)
            self._read(file, path)
            return
        if self._resume and not self._head.to_line().startswith(first):
            raise ConfigError(f"{path}: holds no answers of an evaluation; choose another output")
        if first and not self._overwrite and not self._resume:
            raise ConfigError(
                f"{path}: already holds something; --resume goes on with it, --overwrite discards it"
            )
        file.truncate(0)
        self._write(self._head)

    def _require_same(self, first: bytes, path: Path) -> None:
        try:
            found = Head.model_validate_json(first)
        except ValidationError:
            raise ConfigError(f"{path}: holds no answers of an evaluation; choose another output") from None
        mine, theirs = self._head.model_dump(), found.model_dump()
        for field in mine:
            if mine[field] != theirs[field]:
                raise ConfigError(
                    f"{path}: was evaluated with {field} {_brief(theirs[field])}, not {_brief(mine[field])}; "
                    "resume with the same options, or choose another output"
                )

    def _read(self, file: BufferedRandom, path: Path) -> None:
        sound, number, cells = file.tell(), 2, len(self._head.cells)
        while (line := file.readline(MOST_LINE_BYTES)).endswith(b"\n"):
            try:
                answer = Answer.model_validate_json(line)
            except ValidationError:
                raise ConfigError(f"{path}: line {number} is no answer; remove it, then resume") from None
            if answer.error is None and (len(answer.best), len(answer.num_bytes)) != (cells, cells):
                raise ConfigError(f"{path}: line {number} answers for other cells than these")
            self._on_answer(answer)
            sound, number = file.tell(), number + 1
        file.truncate(sound)  # half a line is what a kill leaves


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
