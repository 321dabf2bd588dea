"""Evaluate: what prunings, codecs and number formats cost a model in accuracy, on labelled data."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from commands.device_pipeline import dial_for
from commands.evaluation.answers import Answer, AnswerFile, Head, head_of
from commands.evaluation.cells import Cell, grid, middle_splits
from commands.evaluation.data import Data, Item, digest_of, open_items
from commands.evaluation.figures import accuracy_figure
from commands.evaluation.here import Judge, answers_here
from commands.evaluation.levels_file import levels_of, write_levels
from commands.evaluation.scores import Tally
from commands.evaluation.summary import Summary, summarise
from commands.evaluation.tables import codecs_table, prunings_table
from commands.evaluation.through_cloud import answers_through
from commands.evaluation.timing import forward_joules, forward_ms
from commands.outputs import make_room
from commands.plan import Setup, default_codecs, load_model
from commands.runtime import OK, SOME_FAILED, complain, run_async
from commands.security import credentials_of
from configs.settings import DeviceSettings
from models import SplitViT
from pipeline.clock import SystemClock
from pipeline.energy.meter import machine_meter
from pipeline.errors import ConfigError
from pipeline.items import Pruning
from scheduling.families import evaluate_prunings
from scheduling.pruning import none, parse_pruning
from transport.security import Credentials

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
    """Evaluate; exit status 1 when some examples could not be read."""
    _require_room(request)
    console = Console(highlight=False)
    credentials = credentials_of(settings.link)
    model = load_model(settings.model)
    prunings = _prunings(request, model)
    cells = _cells(request, model, prunings)
    tally = Tally(cells)
    with open_items(request.data, model) as items:
        head = _head(settings, request, model, cells, items)
        options = {"resume": request.resume, "overwrite": request.overwrite}
        with AnswerFile(head, request.output, tally.add, **options) as file:
            todo = [item for item in items if item.name not in tally.done]
            with _progress("evaluate", len(items), len(items) - len(todo)) as advance:

                def answered(answer: Answer) -> None:
                    file.add(answer)
                    advance(1)

                _Evaluation(settings, request, model, cells, credentials).run(todo, answered)
    if tally.done:
        _report(console, request, model, _summary(tally, model, prunings), len(tally.done))
    for error in list(tally.failed.values())[:3]:
        complain(error)
    if tally.failed:
        complain(f"{len(tally.failed)} of {len(items)} examples could not be evaluated; --resume tries again")
    return SOME_FAILED if tally.failed else OK


def _require_room(request: EvaluateRequest) -> None:
    """ConfigError unless every result can be written, each to a place of its own."""
    paths = [path for path in (request.output, request.levels, request.html) if path is not None]
    if len({path.absolute() for path in paths}) < len(paths):
        raise ConfigError("--output, --levels and --html: each needs a file of its own")
    for path in paths:
        make_room(path)


def _summary(tally: Tally, model: SplitViT, prunings: Sequence[Pruning]) -> Summary:
    """What was counted, and what time and energy each pruning takes."""
    clock = SystemClock()
    with _progress("time", 100, 0) as advance:
        shown = 0

        def moved(done: float) -> None:
            nonlocal shown
            advance(round(done * 100) - shown)
            shown = round(done * 100)

        times = forward_ms(model, prunings, clock, on_progress=moved)
    with machine_meter(clock) as energy:
        joules = forward_joules(model, prunings, clock, energy)
    return summarise(tally.scores(), times, model.num_tokens, joules)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    settings: DeviceSettings
    request: EvaluateRequest
    model: SplitViT
    cells: Sequence[Cell]
    credentials: Credentials

    def run(self, items: Sequence[Item], on_answer: Callable[[Answer], None]) -> None:
        """Answer for `items`, through the cloud if there is one."""
        if self.settings.link.url is not None:
            self._through_cloud(items, on_answer)
            return
        for answer in self._here(items, Judge(self.model, self._reference(), self.cells)):
            on_answer(answer)

    def _here(self, items: Sequence[Item], judge: Judge) -> Iterator[Answer]:
        batch = self.request.batch or max(1, TOKENS_AT_ONCE // self.model.num_tokens)
        ahead = max(1, CLIPS_AHEAD // self.request.data.protocol.views)
        return answers_here(items, judge, batch, ahead)

    def _through_cloud(self, items: Sequence[Item], on_answer: Callable[[Answer], None]) -> None:
        """The pipeline's own reference is in the device's number format: float32's is found out before."""
        reference = self._reference()
        told: dict[str, list[int]] = {}
        if reference is not self.model:
            judge = Judge(reference, reference, [])
            told = {answer.name: answer.reference for answer in self._here(items, judge)}

        def answered(answer: Answer) -> None:
            found = told.get(answer.name, answer.reference)
            on_answer(answer.model_copy(update={"reference": found}))

        setup = Setup(self.settings, self.model, credentials=self.credentials)
        clock = SystemClock()
        through = partial(answers_through, connect=dial_for(setup), clock=clock, on_answer=answered)
        run_async(partial(through, setup, items, self.cells))

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


def _head(
    settings: DeviceSettings,
    request: EvaluateRequest,
    model: SplitViT,
    cells: Sequence[Cell],
    items: Sequence[Item],
) -> Head:
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
        items=digest_of(items),
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
        console.print(escape(f"{request.levels}: {len(summary.rows)} levels by {summary.measure}"))
    if request.html is not None:
        accuracy_figure(summary, title).write_html(request.html, include_plotlyjs=True)
        console.print(escape(f"{request.html}: accuracy against work and bytes"))


@contextmanager
def _progress(what: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, completed=done)
        yield lambda steps: progress.advance(task, steps)
