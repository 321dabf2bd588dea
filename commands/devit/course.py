"""The course of a run: a line of `log.jsonl` for each epoch, and the plot that is drawn from them."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pydantic import TypeAdapter, ValidationError

from devit.checkpoints import Sums
from devit.training import StepResult


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the steps of an epoch came to: means over them, and `held_out`, the share right on pictures that
    are not learnt from, measured at its end."""

    training: str
    epoch: int
    steps: int
    loss: float
    accuracy: float
    held_out: float
    seconds: float


EPOCH = TypeAdapter(Epoch)


class Course:
    """Hears every step of the training `name` and writes a line when an epoch, or the last of all, ends.

    `sums` are of the epoch under way; to be kept and put back with a checkpoint.
    """

    def __init__(self, path: Path, name: str, per_epoch: int, steps: int, score: Callable[[], float]) -> None:
        self._path = path
        self._name = name
        self._per_epoch = per_epoch
        self._steps = steps
        self._score = score
        self.sums = Sums()

    def add(self, result: StepResult) -> None:
        """One more step was taken."""
        self.sums.add(result.loss, result.accuracy, result.seconds)
        done = result.step + 1
        if done % self._per_epoch == 0 or done == self._steps:
            self._write(-(-done // self._per_epoch))

    def _write(self, epoch: int) -> None:
        sums, count = self.sums, self.sums.steps
        line = Epoch(
            *(self._name, epoch, count, sums.loss / count, sums.accuracy / count, self._score(), sums.seconds)
        )
        with self._path.open("a+b") as file:
            if file.tell() and file.seek(-1, os.SEEK_END) and file.read() != b"\n":
                file.write(b"\n")  # whoever wrote the last line was killed within it
            file.write(json.dumps(asdict(line)).encode() + b"\n")
        sums.set()


def read_course(path: Path) -> list[Epoch]:
    """The epochs in a log; of one that was trained again after an end, the last. Of lines that a kill or a
    full disk left unfinished, nothing."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return list({(one.training, one.epoch): one for one in _whole(lines)}.values())


def _whole(lines: list[bytes]) -> Iterator[Epoch]:
    for line in lines:
        try:
            yield EPOCH.validate_json(line)
        except ValidationError:
            continue


def course_figure(epochs: list[Epoch]) -> go.Figure:
    """Left the loss, right the share right on held-out pictures, a line for each training."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.08)
    for index, name in enumerate(dict.fromkeys(one.training for one in epochs)):
        own = sorted((one for one in epochs if one.training == name), key=lambda one: one.epoch)
        colour = {"color": COLOURS[index % len(COLOURS)]}
        for column, values in enumerate(([one.loss for one in own], [one.held_out * 100 for one in own]), 1):
            figure.add_scatter(
                x=[one.epoch for one in own],
                y=values,
                name=name,
                line=colour,
                legendgroup=name,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="loss", row=1, col=1)
    figure.update_yaxes(title_text="held out: top-1, %", row=1, col=2)
    figure.update_layout(template="plotly_white", height=480)
    return figure


COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
