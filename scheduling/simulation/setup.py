"""What a simulation is of: tasks, two machines, codecs and round trips, from one map of plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import ConfigError
from scheduling.levels import fidelity
from scheduling.policies import Codecs
from scheduling.profile import CodecProfile, LayerProfile, Line, Machine, Name, Profile
from scheduling.pruning import alpha_max, exponential

CodecSet = Literal["paper", "encoded", "every"]
NS_PER_MS = 1e6

Count = Annotated[int, Field(ge=1, le=1 << 16)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1e6)]
Few = Field(min_length=1, max_length=64)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Solved(_Part):
    """Two totals of one model: without pruning, and pruned exponentially at `alpha`."""

    none_ms: Positive
    alpha: Positive
    pruned_ms: Positive


class MachineSetup(_Part):
    """A machine; its codecs take `codec_factor` times what the setup states."""

    name: Name
    table_1: Solved
    codec_factor: Positive = 1.0


class ModelSize(_Part):
    """What a layer's time depends on beside the machine."""

    num_layers: Annotated[int, Field(ge=1, le=256)]
    num_tokens: Count
    dim: Count


class Machines(_Part):
    """Both machines, and the model with which their totals were taken."""

    model: ModelSize
    device: MachineSetup
    cloud: MachineSetup


class TokensCodec(_Part):
    """Bytes and time for each value of the tokens [n, D], and bytes beside them for each token."""

    bytes_per_value: NotNegative
    bytes_per_token: NotNegative = 0.0
    encode_ns_per_value: NotNegative
    decode_ns_per_value: NotNegative


class PixelsCodec(_Part):
    """Bytes and time a clip."""

    bytes: NotNegative
    encode_ms: NotNegative
    decode_ms: NotNegative


class Names(_Part):
    """The codecs of one set; policies with a single codec of a kind take the first."""

    tokens: Annotated[tuple[Name, ...], Few]
    pixels: Annotated[tuple[Name, ...], Few]


class TaskSetup(_Part):
    """A model, a promise, and what its clips become."""

    model: Name
    size: ModelSize
    sla_ms: Positive
    pixels: Annotated[dict[Name, PixelsCodec], Few]
    codecs: dict[CodecSet, Names]


class RoundTrips(_Part):
    """The round trip of each group of traces, `default` for any other."""

    default: NotNegative
    groups: Annotated[dict[str, NotNegative], Field(max_length=256)] = Field(default_factory=dict)


class Ranges(_Part):
    """What to compare with: for each baseline the least and the most, over all groups, of janus's
    throughput over the baseline's and of the share of violations that it avoids."""

    throughput: dict[str, tuple[Share, Share]]
    violations: dict[str, tuple[Share, Share]]

    @model_validator(mode="after")
    def _of_the_same_baselines(self) -> Self:
        if self.throughput.keys() != self.violations.keys():
            raise ValueError("throughput and violations must name the same baselines")
        return self


class _File(_Part):
    machines: Machines
    tokens: Annotated[dict[Name, TokensCodec], Few]
    tasks: Annotated[dict[Name, TaskSetup], Field(min_length=1, max_length=16)]
    rtt_ms: RoundTrips
    ranges: Ranges | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One model under one promise, with the two machines' profiles and the sets of codecs."""

    name: str
    sla_ms: float
    device: Profile
    cloud: Profile
    codecs: Mapping[CodecSet, Codecs]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a simulation takes besides traces and policies."""

    tasks: tuple[Task, ...]
    round_trips: RoundTrips
    ranges: Ranges | None

    def rtt_ms(self, group: str) -> float:
        """The round trip of a group of traces."""
        return self.round_trips.groups.get(group, self.round_trips.default)


def parse_setup(data: Mapping[str, Any], where: str) -> Setup:
    """The setup in `data`; ConfigError in one line that names `where` and the key."""
    try:
        file = _File.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part)[:60] for part in first["loc"][:8])
        raise ConfigError(f"{where}: {key}: {first['msg']}") from None
    tasks = tuple(_task(name, task, file, f"{where}: tasks.{name}") for name, task in file.tasks.items())
    return Setup(tasks, file.rtt_ms, file.ranges)


def solve_line(solved: Solved, size: ModelSize, where: str) -> Line:
    """A layer's ms, base + slope * tokens, from two totals: N * (base + slope * n) and, with n_l the tokens
    that enter layer l when pruned, N * base + slope * sum(n_l). ConfigError where no such line rises."""
    if solved.alpha > alpha_max(size.num_layers, size.num_tokens):
        raise ConfigError(f"{where}.alpha: {solved.alpha:g} prunes more tokens than there are")
    pruning = exponential(solved.alpha, size.num_layers, size.num_tokens)
    entering = [pruning.tokens_after(size.num_tokens, layer) for layer in range(size.num_layers)]
    spared = size.num_layers * size.num_tokens - sum(entering)
    if spared <= 0 or solved.pruned_ms >= solved.none_ms:
        raise ConfigError(
            f"{where}.pruned_ms: {solved.pruned_ms:g} must be below none_ms, and prune something"
        )
    slope = (solved.none_ms - solved.pruned_ms) / spared
    base = solved.none_ms / size.num_layers - slope * size.num_tokens
    if base < 0:
        raise ConfigError(
            f"{where}.pruned_ms: {solved.pruned_ms:g} makes a layer without tokens take {base:g} ms"
        )
    return Line(base=base, slope=slope)


def _task(name: str, task: TaskSetup, file: _File, where: str) -> Task:
    if task.size.dim != file.machines.model.dim:
        raise ConfigError(
            f"{where}.size.dim: layers of width {task.size.dim} take another time than those of "
            f"{file.machines.model.dim}, which machines.model states"
        )
    if both := task.pixels.keys() & file.tokens.keys():
        raise ConfigError(f"{where}.pixels: {min(both)} is a codec of tokens too")
    source = where.partition(": tasks")[0]
    device = _profile(task, file, file.machines.device, f"{source}: machines.device.table_1")
    cloud = _profile(task, file, file.machines.cloud, f"{source}: machines.cloud.table_1")
    return Task(name, task.sla_ms, device, cloud, _sets(task, file, f"{where}.codecs"))


def _sets(task: TaskSetup, file: _File, where: str) -> dict[CodecSet, Codecs]:
    for wanted in ("paper", "encoded", "every"):
        if wanted not in task.codecs:
            raise ConfigError(f"{where}: the set {wanted} is missing; there must be paper, encoded and every")
    for name, names in task.codecs.items():
        _require_known(names.tokens, file.tokens, f"{where}.{name}.tokens")
        _require_known(names.pixels, task.pixels, f"{where}.{name}.pixels")
    return {name: Codecs(names.tokens, names.pixels) for name, names in task.codecs.items()}


def _require_known(names: tuple[str, ...], known: Mapping[str, object], where: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: codec {name} is not described; there is {', '.join(known)}")
        try:
            fidelity(name)
        except (ConfigError, ValueError):
            raise ConfigError(f"{where}: codec {name}: nothing is known of its fidelity") from None


def _profile(task: TaskSetup, file: _File, machine: MachineSetup, where: str) -> Profile:
    layer = solve_line(machine.table_1, file.machines.model, where)
    tokens = {
        name: _tokens(codec, task.size.dim, machine.codec_factor) for name, codec in file.tokens.items()
    }
    pixels = {name: _pixels(codec, machine.codec_factor) for name, codec in task.pixels.items()}
    return Profile(
        machine=Machine(
            host=machine.name, processor="", system="", dtype="float32", device=machine.name, threads=1
        ),
        model=task.model,
        num_layers=task.size.num_layers,
        num_tokens=task.size.num_tokens,
        dim=task.size.dim,
        # The totals hold embedding, merging and classification, so the layers hold them here.
        layer=LayerProfile(curve=layer, merge_ms=_flat(0.0), mlp_ms_per_token=0.0),
        embed_ms=0.0,
        classify_ms=0.0,
        codecs=tokens | pixels,
    )


def _tokens(codec: TokensCodec, dim: int, factor: float) -> CodecProfile:
    encode, decode = (
        Line(base=0.0, slope=ns * dim * factor / NS_PER_MS)
        for ns in (codec.encode_ns_per_value, codec.decode_ns_per_value)
    )
    size = Line(base=0.0, slope=codec.bytes_per_value * dim + codec.bytes_per_token)
    return CodecProfile(kind="tokens", bytes=size, encode_ms=encode, decode_ms=decode)


def _pixels(codec: PixelsCodec, factor: float) -> CodecProfile:
    return CodecProfile(
        kind="pixels",
        bytes=_flat(codec.bytes),
        encode_ms=_flat(codec.encode_ms * factor),
        decode_ms=_flat(codec.decode_ms * factor),
    )


def _flat(value: float) -> Line:
    return Line(base=value, slope=0.0)
