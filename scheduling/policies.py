"""Policies: who decides the plan of a clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import ConfigError
from pipeline.items import Moment, Plan, Pruning
from scheduling.costs import CostTable, cost_table
from scheduling.levels import TOLERANCE, Level, Levels, exponential_prunings, most_uniform
from scheduling.profile import Profile
from scheduling.pruning import uniform
from scheduling.scheduler import Scheduler
from scheduling.splitting import split_points

JANUS_PLUS = "janus+"
POLICIES = (JANUS_PLUS, "janus", "device-only", "cloud-only", "mixed")
ORACLE = "oracle"

Family = Callable[[int, int, int | None], list[Pruning]]


class FixedPolicy:
    """The same plan for every clip: the one that was asked for."""

    def __init__(self, plan: Plan, num_layers: int) -> None:
        """Raises ConfigError for a split outside 0..N + 1."""
        if not 0 <= plan.split <= num_layers + 1:
            raise ConfigError(
                f"split {plan.split} is outside 0 (all in the cloud) .. {num_layers + 1} (all on the device)"
            )
        self._plan = replace(plan, why="fixed")
        self.needs_cloud = plan.split <= num_layers

    def choose(self, moment: Moment) -> Plan:
        """The plan, whatever the moment."""
        return replace(self._plan, moment=moment)

    def rescale(self, codec: str, factor: float) -> None:
        """A plan that is fixed expects nothing of its bytes."""


class ScheduledPolicy:
    """The plan that Algorithm 1 finds in a table of candidates.

    With `backlog` the prediction counts the waits for device, link and cloud, and keeps a margin where plans
    have lately been overrun; the paper's does neither. With
    `rescue_margin_ms` every plan leaves the device the time to finish the clip by itself.
    """

    def __init__(
        self, name: str, table: CostTable, *, backlog: bool, rescue_margin_ms: float | None = None
    ) -> None:
        self.name = name
        self.scheduler = Scheduler(table, name, rescue_margin_ms)
        self.needs_cloud = bool((table.sends > 0).any())
        self._backlog = backlog

    def choose(self, moment: Moment) -> Plan:
        """The plan for a clip at this moment."""
        return self.scheduler.plan(self.seen(moment))

    def rescale(self, codec: str, factor: float) -> None:
        """From now on expect `factor` times the profile's bytes of this codec."""
        self.scheduler.rescale(codec, factor)

    def seen(self, moment: Moment) -> Moment:
        """What this policy takes into account of the moment."""
        if self._backlog:
            return moment
        return replace(moment, device_wait_ms=0.0, link_wait_ms=0.0, cloud_wait_ms=0.0, caution=1.0)


class CurrentPolicy:
    """Whichever `policy` is in force: another one from the moment that the cloud is known, or is another."""

    def __init__(self, policy: FixedPolicy | ScheduledPolicy) -> None:
        self.policy = policy

    def choose(self, moment: Moment) -> Plan:
        """The plan for a clip at this moment."""
        return self.policy.choose(moment)

    def rescale(self, codec: str, factor: float) -> None:
        """From now on expect `factor` times the profile's bytes of this codec."""
        self.policy.rescale(codec, factor)


@dataclass(frozen=True, slots=True)
class Codecs:
    """Which codecs a policy may use. The paper has one for `tokens` and one for `pixels`."""

    tokens: tuple[str, ...]
    pixels: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        return (*self.tokens, *self.pixels)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy is made from: the two machines, what may be used, and where the model may be cut.

    `levels` None means the prunings of `family` in its own order, for janus+; the paper's policies keep the
    paper's. Levels within `tolerance` (a fraction of accuracy) count as equal. With `pixels_stay` nothing is
    sent at split 0.
    """

    device: Profile
    cloud: Profile
    codecs: Codecs
    levels: Sequence[Level] | None = None
    tolerance: float = TOLERANCE
    max_accuracy_loss: float | None = None
    pixels_stay: bool = False
    rescue_margin_ms: float | None = None
    k: int = 5
    prunings: int | None = None
    family: Family = exponential_prunings

    def splits(self) -> tuple[int, ...]:
        """Where the model may be cut."""
        points = split_points(self.device.num_layers, self.k)
        return points[1:] if self.pixels_stay else points

    def light_to_heavy(self) -> list[Pruning]:
        """The family's prunings for this model."""
        return self.family(self.device.num_layers, self.device.num_tokens, self.prunings)

    def exponential(self) -> list[Pruning]:
        """Janus's prunings for this model."""
        return exponential_prunings(self.device.num_layers, self.device.num_tokens, self.prunings)

    def uniform(self) -> Pruning:
        """ToMe's strongest fixed pruning for this model."""
        layers, tokens = self.device.num_layers, self.device.num_tokens
        return uniform(most_uniform(layers, tokens), layers, tokens)


def make_policy(name: str, choice: Choice) -> ScheduledPolicy:
    """The policy of this name; ConfigError for an unknown one, or one whose splits are forbidden."""
    if name in (JANUS_PLUS, ORACLE):
        table = _table(choice, _levels(choice), choice.splits())
        margin_ms = choice.rescue_margin_ms if name == JANUS_PLUS else None
        return ScheduledPolicy(name, table, backlog=True, rescue_margin_ms=margin_ms)
    if name == "janus":
        levels = _one_group_each(choice.exponential(), _single(choice.codecs))
        return ScheduledPolicy(name, _table(choice, levels, choice.splits()), backlog=False)
    if name not in POLICIES:
        raise ConfigError(f"policy {name!r} is unknown; choose {', '.join(POLICIES)}")
    if choice.pixels_stay and name == "cloud-only":
        raise ConfigError("policy cloud-only sends pixels, which --pixels-stay forbids")
    last = choice.device.num_layers + 1
    splits = {"device-only": (last,), "cloud-only": (0,), "mixed": (0, last)}[name]
    if choice.pixels_stay:
        splits = (last,)
    levels = _one_group_each([choice.uniform()], _single(choice.codecs))
    return ScheduledPolicy(name, _table(choice, levels, splits), backlog=False)


def _table(choice: Choice, levels: Levels, splits: Sequence[int]) -> CostTable:
    return cost_table(levels, splits, choice.device, choice.cloud)


def _levels(choice: Choice) -> Levels:
    if choice.levels is not None:
        return Levels.measured(choice.levels, choice.tolerance, choice.max_accuracy_loss)
    if choice.max_accuracy_loss is not None:
        raise ConfigError("--max-accuracy-loss needs measured accuracies; name a level file with --levels")
    return Levels.unmeasured(choice.light_to_heavy(), (None, *choice.codecs.every), choice.tolerance)


def _single(codecs: Codecs) -> tuple[str | None, ...]:
    return (None, *codecs.tokens[:1], *codecs.pixels[:1])


def _one_group_each(prunings: Sequence[Pruning], codecs: Sequence[str | None]) -> Levels:
    """Levels that only prunings set apart, as in the paper, where a codec is no choice."""
    return Levels(tuple(tuple(Level(pruning, codec) for codec in codecs) for pruning in prunings))
