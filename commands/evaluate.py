"""Evaluate: what prunings, codecs and number formats cost a model in accuracy, on labelled data."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from commands.device_pipeline import dial_for
from commands.evaluation.answers import Answer, AnswerFile, Head, head_of
from commands.evaluation.cells import Cell, grid, middle_splits
from commands.evaluation.data import Data, Item, open_items
from commands.evaluation.figures import accuracy_figure
from commands.evaluation.here import Judge, answers_here
from commands.evaluation.levels_file import levels_of, write_levels
from commands.evaluation.scores import scores
from commands.evaluation.summary import Summary, summarise
from commands.evaluation.tables import codecs_table, prunings_table
from commands.evaluation.through_cloud import answers_through
from commands.evaluation.timing import forward_ms
from commands.outputs import make_room
from commands.plan import Setup, default_codecs, load_model
from commands.runtime import OK, SOME_FAILED, complain, run_async
from configs.settings import DeviceSettings
from models import SplitViT
from pipeline.clock import SystemClock
from pipeline.items import Pruning
from scheduling.families import evaluate_prunings
from scheduling.pruning import none, parse_pruning

TOKENS_AT_ONCE = 3200
CLIPS_AHEAD = 32


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """What to measure on which data, and where the results go. Empty `prunings`, `codecs` and `splits`
    mean the default sweep. `batch` clips run at once; None: as many as make 3200 tokens."""

    data: Data
    prunings: tuple[str, ...] = ()
    codecs: tuple[str, ...] | None = None
    splits: tuple[int, ...] = ()
    output: Path | None = None
    resume: bool = False
    overwrite: bool = False
    levels: Path | None = None
    html: Path | None = None
    batch: int | None = None


def run(settings: DeviceSettings, request: EvaluateRequest) -> int:
    """Evaluate; exit status 1 when some examples could not be read, or when there was none that could."""
    console = Console(highlight=False)
    for path in (request.levels, request.html):
        if path is not None:
            make_room(path)
    model = load_model(settings.model)
    prunings = _prunings(request, model)
    cells = _cells(request, model, prunings)
    with (
        open_items(request.data, model) as items,
        AnswerFile(
            _head(settings, request, model, cells),
            request.output,
            resume=request.resume,
            overwrite=request.overwrite,
        ) as file,
    ):
        done = {answer.name for answer in file.answers}
        evaluation = _Evaluation(settings, request, model, cells)
        with _progress(len(items), len(done)) as advance:

            def answered(answer: Answer) -> None:
                file.add(answer)
                advance()

            evaluation.run([item for item in items if item.name not in done], answered)
        failed = [answer for answer in file.answers if answer.error is not None]
        if len(failed) < len(file.answers):
            summary = summarise(
                scores(cells, file.answers), forward_ms(model, prunings, SystemClock()), model.num_tokens
            )
            _report(console, request, model, summary, len(file.answers) - len(failed))
    for answer in failed[:3]:
        complain(f"{answer.error}")
    if failed:
        complain(f"{len(failed)} of {len(file.answers)} examples could not be evaluated")
    return SOME_FAILED if failed else OK


@dataclass(frozen=True, slots=True)
class _Evaluation:
    settings: DeviceSettings
    request: EvaluateRequest
    model: SplitViT
    cells: Sequence[Cell]

    def run(self, items: Sequence[Item], on_answer: Callable[[Answer], None]) -> None:
        """Answer for `items`, through the cloud if there is one."""
        if self.settings.link.url is not None:
            self._through_cloud(items, on_answer)
            return
        judge = Judge(self.model, self._reference(), self.cells)
        batch = self.request.batch or max(1, TOKENS_AT_ONCE // self.model.num_tokens)
        ahead = max(1, CLIPS_AHEAD // self.request.data.protocol.views)
        for answer in answers_here(items, judge, batch, ahead):
            on_answer(answer)

    def _through_cloud(self, items: Sequence[Item], on_answer: Callable[[Answer], None]) -> None:
        setup = Setup(self.settings, self.model)
        connect = dial_for(setup)
        clock = SystemClock()
        run_async(
            lambda: answers_through(
                setup, items, self.cells, connect=connect, clock=clock, on_answer=on_answer
            )
        )

    def _reference(self) -> SplitViT:
        """The float32 model that agreement is measured against."""
        settings = self.settings.model
        if settings.dtype == "float32":
            return self.model
        return load_model(settings.model_copy(update={"dtype": "float32"}))


def _prunings(request: EvaluateRequest, model: SplitViT) -> list[Pruning]:
    """The prunings asked for, or the default ones; the unmerged model is always among them."""
    layers, tokens = model.num_layers, model.num_tokens
    asked = [parse_pruning(spec, layers, tokens) for spec in request.prunings]
    return list(dict.fromkeys([none(layers, tokens), *(asked or evaluate_prunings(layers, tokens))]))


def _cells(request: EvaluateRequest, model: SplitViT, prunings: Sequence[Pruning]) -> list[Cell]:
    codecs = default_codecs(model).every if request.codecs is None else request.codecs
    return grid(prunings, codecs, request.splits or middle_splits(model.num_layers), model.num_layers)


def _head(settings: DeviceSettings, request: EvaluateRequest, model: SplitViT, cells: Sequence[Cell]) -> Head:
    data = request.data
    return head_of(
        cells,
        model=model.id,
        dtype=model.dtype,
        data=data.where,
        views=f"{data.protocol}x{model.clip_frames}x{data.protocol.stride}",
        limit=data.limit,
        seed=data.seed,
        where=settings.link.url or "here",
    )


def _report(
    console: Console, request: EvaluateRequest, model: SplitViT, summary: Summary, examples: int
) -> None:
    title = f"{model.id} {model.dtype}, {examples} examples of {request.data.where}"
    console.print(prunings_table(summary, title))
    if any(row.codec is not None for row in summary.rows):
        console.print(codecs_table(summary))
    if request.levels is not None:
        write_levels(levels_of(summary, model.name, request.data.where), request.levels)
        console.print(f"{request.levels}: {len(summary.rows)} levels by {summary.measure}")
    if request.html is not None:
        accuracy_figure(summary, title).write_html(request.html, include_plotlyjs=True)
        console.print(f"{request.html}: accuracy against work and bytes")


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("evaluate", total=total, completed=done)
        yield lambda: progress.advance(task)
