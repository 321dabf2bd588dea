"""Who takes part in a simulation: policies, each with its codecs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.errors import ConfigError
from scheduling.levels import TOLERANCE, exponential_prunings
from scheduling.policies import JANUS_PLUS, ORACLE, Choice, ScheduledPolicy, make_policy
from scheduling.rescue import LocalFinishes
from scheduling.simulation import Outcome, Run, simulate
from scheduling.simulation.metrics import Level, Row, level_scale, summarise
from scheduling.simulation.setup import CodecSet, Task
from scheduling.traces import Trace

STRICT = f"{JANUS_PLUS} strict"
BASELINES = ("device-only", "cloud-only", "mixed")
JANUS = "janus"
PAPERS = (*BASELINES, JANUS)
NAMES = (*PAPERS, JANUS_PLUS, STRICT, ORACLE)
RESCUE_MARGIN_MS = 5.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all that take part. `clips_per_s` None: the next clip begins when one is out."""

    pixels_stay: bool = False
    rescue: bool = True
    clips_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Contestant:
    """A policy with one set of codecs; "janus+ strict" counts no loss as equal to none."""

    name: str
    codecs: CodecSet

    @property
    def rescues(self) -> bool:
        """Whether the device may finish its clips by itself."""
        return self.name in (JANUS_PLUS, STRICT)

    def policy(self, task: Task, rules: Rules) -> ScheduledPolicy:
        """The policy for this task; takes up to a second."""
        choice = Choice(
            task.device,
            task.cloud,
            task.codecs[self.codecs],
            tolerance=0.0 if self.name == STRICT else TOLERANCE,
            pixels_stay=rules.pixels_stay,
            rescue_margin_ms=RESCUE_MARGIN_MS if rules.rescue else None,
        )
        return make_policy(JANUS_PLUS if self.name == STRICT else self.name, choice)


def contestants(names: Sequence[str], rules: Rules) -> list[Contestant]:
    """Those of `names`, all where there are none; the paper's policies with both kinds of pixels.

    Where pixels stay there is no cloud-only, and no second kind of pixels. ConfigError for an unknown name.
    """
    names = [name.strip() for name in names]
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"policy {name[:80]!r} is unknown; choose from {', '.join(NAMES)}")
        if name == "cloud-only" and rules.pixels_stay:
            raise ConfigError("policy cloud-only sends pixels, which --pixels-stay forbids")
    chosen = [name for name in NAMES if name in (names or NAMES)]
    if rules.pixels_stay:
        return [Contestant(name, _codecs(name)) for name in chosen if name != "cloud-only"]
    encoded = [Contestant(name, "encoded") for name in chosen if name in PAPERS]
    return sorted([*(Contestant(name, _codecs(name)) for name in chosen), *encoded], key=_place)


def _codecs(name: str) -> CodecSet:
    return "paper" if name in PAPERS else "every"


def _place(contestant: Contestant) -> tuple[str, int]:
    order = {"paper": "1", "encoded": "2", "every": "3"}
    return order[contestant.codecs], NAMES.index(contestant.name)


class Entry:
    """One contestant at one task, ready to run over traces."""

    def __init__(self, contestant: Contestant, task: Task, rules: Rules) -> None:
        self.contestant = contestant
        self.task = task
        self._policy = contestant.policy(task, rules)
        self._clips_per_s = rules.clips_per_s
        self._finishes = LocalFinishes(task.device) if contestant.rescues and rules.rescue else None
        self._level: Level = level_scale(exponential_prunings(task.device.num_layers, task.device.num_tokens))

    def outcomes(self, trace: Trace, rtt_ms: float) -> list[Outcome]:
        """Every clip over one trace; the trace's own round trip, where it has one, before `rtt_ms`."""
        return simulate(
            self._policy,
            Run(
                trace,
                self.task.sla_ms,
                rtt_ms if trace.rtt_ms is None else median(trace.rtt_ms.tolist()),
                finishes=self._finishes,
                clairvoyant=self.contestant.name == ORACLE,
                clips_per_s=self._clips_per_s,
                rescue_margin_ms=RESCUE_MARGIN_MS,
            ),
        )

    def row(self, group: str, traces: Sequence[Trace], rtt_ms: float) -> Row:
        """The sum of all traces of a group, one after the other."""
        found: list[Outcome] = []
        elapsed_s = 0.0
        for trace in traces:
            outcomes = self.outcomes(trace, rtt_ms)
            elapsed_s += max(outcome.ready_s + outcome.latency_ms / 1000 for outcome in outcomes)
            found += outcomes
        return summarise(
            found,
            elapsed_s,
            sla_ms=self.task.sla_ms,
            num_tokens=self.task.device.num_tokens,
            level=self._level,
            group=group,
            policy=self.contestant.name,
            task=self.task.name,
            pixels=self.contestant.codecs,
        )
