"""An evaluation through the real pipeline: every clip of every cell crosses the link to a cloud."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from commands.device_pipeline import run_device
from commands.evaluation.answers import Answer
from commands.evaluation.cells import Cell
from commands.evaluation.data import Item
from commands.evaluation.scores import TOP5
from commands.job import Job
from commands.plan import Setup
from pipeline.clock import Clock
from pipeline.errors import ConfigError
from pipeline.items import Frame, Moment, Plan, Prediction, Status
from scheduling.pruning import none
from sources.base import FALLBACK_RATE
from stages.capture import capture_in_turn
from transport.connection import Dial

IN_FLIGHT = 4
MOST_LISTED = 250  # classes that a cloud can be told to list
NO_CODEC = "float32"


class Rota:
    """A policy that gives each clip the plan that stands in line for it."""

    needs_cloud = True

    def __init__(self) -> None:
        self._line: deque[Plan] = deque()

    def line_up(self, plans: Sequence[Plan]) -> None:
        """The plans of the next clips; from any thread, before those clips come."""
        self._line.extend(plans)

    def choose(self, moment: Moment) -> Plan:
        """The plan of the next clip."""
        return replace(self._line.popleft(), moment=moment)

    def rescale(self, codec: str, factor: float) -> None:
        """Nothing is expected of the bytes."""


@dataclass(frozen=True, slots=True)
class CellSetup(Setup):
    """A device whose clips' plans come from `rota`."""

    rota: Rota = field(default_factory=Rota)

    @property
    def needs_cloud(self) -> bool:
        return True

    def policy(self, cloud: Mapping[str, Any] | None, prunings: int = 0, *, rescue: bool = False) -> Any:
        return self.rota


class Collector:
    """Puts each item's records together; `on_answer` hears its answer once the last of them is in.

    The first plan is the reference's: unmerged, all on the device.
    """

    def __init__(
        self, items: Sequence[Item], plans: int, num_classes: int, on_answer: Callable[[Answer], None]
    ) -> None:
        self._items = {item.name: item for item in items}
        self._plans = plans
        self._listed = min(num_classes, MOST_LISTED)
        self._on_answer = on_answer
        self._views: dict[str, int] = {}
        self._records: dict[str, list[Prediction]] = defaultdict(list)

    def expect(self, name: str, views: int) -> None:
        """From now on an item makes that many records for each plan; one that does not only fails."""
        self._views[name] = views

    def add(self, record: Prediction) -> None:
        """Take in the next record of its item."""
        found, views = self._records[record.source], self._views.get(record.source)
        found.append(record)
        if (views or 0) > 1 and record.status is not Status.FAILED and len(record.classes) < self._listed:
            raise ConfigError(
                f"{record.source}: the mean of {views} views needs more than {len(record.classes)} classes "
                f"of each; start the cloud with --top-k {self._listed}"
            )
        if views is None or len(found) == views * self._plans:
            self._on_answer(_answer(self._items[record.source], found, views or 1))
            del self._records[record.source]


class ItemSource:
    """The views of one item as a source of frames, anew for each plan."""

    def __init__(
        self, item: Item, plans: Sequence[Plan], rota: Rota, collector: Collector, clock: Clock
    ) -> None:
        self.name = item.name
        self.rate: float | None = FALLBACK_RATE
        self._item = item
        self._plans = plans
        self._rota = rota
        self._collector = collector
        self._clock = clock

    def frames(self) -> Iterator[Frame]:
        """All frames of all views for each plan; SourceError before the first of them, if at all."""
        views = self._item.read()
        self._collector.expect(self.name, len(views))
        self._rota.line_up([plan for plan in self._plans for _ in views])
        pictures = (picture for _ in self._plans for view in views for picture in view)
        for index, picture in enumerate(pictures):
            yield Frame(self.name, index, index / FALLBACK_RATE, self._clock.now(), picture)

    def close(self) -> None:
        """Nothing is held open."""


async def answers_through(
    setup: Setup,
    items: Sequence[Item],
    cells: Sequence[Cell],
    *,
    connect: Dial | None,
    clock: Clock,
    on_answer: Callable[[Answer], None],
) -> None:
    """Run every item in every cell on this device and its cloud; `on_answer` hears of each in order.

    The reference is the unmerged model on the device, in the device's own number format. Where an item has
    several views, their confidences are averaged over the classes that records list: ConfigError for a cloud
    that lists only a few. Raises LinkError when the cloud is lost for good.
    """
    model = setup.model
    unmerged = Plan(none(model.num_layers, model.num_tokens), model.num_layers + 1, NO_CODEC)
    plans = [unmerged, *(plan_of(cell, model.num_layers) for cell in cells)]
    rota, collector = Rota(), Collector(items, len(plans), model.num_classes, on_answer)
    sources = (ItemSource(item, plans, rota, collector, clock) for item in items)
    inlet = capture_in_turn(sources, frames_at_once=model.clip_frames)
    job = Job(inlets=[inlet], sinks=[], live=False, on_record=collector.add)
    told = {"in_flight": setup.settings.in_flight or IN_FLIGHT, "top_k": model.num_classes}
    settings = setup.settings.model_copy(update=told)
    await run_device(CellSetup(settings, model, rota=rota), job, clock, connect)


def plan_of(cell: Cell, num_layers: int) -> Plan:
    """The plan that runs a clip as `cell` says."""
    split = num_layers + 1 if cell.split is None else cell.split
    return Plan(cell.pruning, split, cell.codec or NO_CODEC, why=f"evaluates {cell}")


def _answer(item: Item, records: Sequence[Prediction], views: int) -> Answer:
    broken = next((record for record in records if record.status is Status.FAILED), None)
    if broken is not None:
        return Answer(name=item.name, class_id=item.class_id, error=broken.reason or "failed")
    by_seq = sorted(records, key=lambda record: record.seq)
    reference, *cells = (by_seq[start : start + views] for start in range(0, len(by_seq), views))
    return Answer(
        name=item.name,
        class_id=item.class_id,
        reference=_best(reference),
        best=[_best(cell) for cell in cells],
        num_bytes=[round(fmean(record.sent_bytes for record in cell)) for cell in cells],
    )


def _best(records: Sequence[Prediction]) -> list[int]:
    """The five best classes by the mean of the views' confidences."""
    confidences: dict[int, float] = defaultdict(float)
    for record in records:
        for score in record.classes:
            confidences[score.class_id] += score.confidence
    return sorted(confidences, key=lambda class_id: -confidences[class_id])[:TOP5]
