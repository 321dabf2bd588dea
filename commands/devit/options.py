"""All that defines a run of `devit fit`: `FitOptions`, and how the folder of a run remembers it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConfigError

PLAN = "plan.json"
STEPS, SPENT, DIGEST = "steps_", "spent_s", "digest_"
MOST_BYTES = 1 << 20
MOST, MOST_SEED = 1e9, 2**64 - 1
DATA = ("data", "test")
FEATURES = ("q", "k", "v")


@dataclass(frozen=True, slots=True)
class FitOptions:
    """As the command line says it; ConfigError for values that no run can have. Sizes that are None follow
    from the large model; with `minutes` the epochs only say in which proportion the trainings share them.
    Whether the data is there, `require_data` says."""

    data: str
    test: str | None = None
    limit: int | None = None
    model: str = "vit_tiny_patch16_224"
    weights: str | None = None
    input_size: int = 64
    stride: int = 4
    parts: int = 4
    partition: bool = True
    sigma: float = 33.0
    small_depth: int | None = None
    small_heads: int | None = None
    small_mlp: int | None = None
    epochs_large: float = 6.0
    epochs_teachers: float = 1.0
    epochs_parts: float = 4.0
    epochs_fusion: float = 10.0
    minutes: float | None = None
    batch_size: int = 128
    rate_large: float = 3e-4
    rate_parts: float = 3e-4
    rate_fusion: float = 3e-4
    augment: str = "flip"
    teachers: str = "subset"
    importance: str = "subset"
    losses: str = "both"
    features: str = "q,k,v"
    beta: float = 1.0
    fusion: str = "linear"
    ensemble_losses: str = "both"
    gamma: float = 0.1
    drop: float = 0.25
    drop_share: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, float) and not abs(value) <= MOST:
                raise ConfigError(f"{flag(name)} must be a number, of {MOST:g} at most, not {value:g}")
        if not 0 <= self.seed <= MOST_SEED:
            raise ConfigError(f"--seed must be 0 to {MOST_SEED}, not {self.seed}")
        wrong = set(self.features.split(",")) - set(FEATURES)
        if wrong:
            raise ConfigError(f"--features {self.features}: choose among {', '.join(FEATURES)}")
        for name in ("drop", "drop_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{flag(name)} must be 0 to 1, not {getattr(self, name):g}")

    def require_data(self) -> None:
        """ConfigError where what is learnt from or measured with is not there."""
        for path in (self.data, self.test):
            if path is not None and not Path(path).exists():
                raise ConfigError(f"{path}: no such file or folder of labelled pictures")

    @property
    def alphas(self) -> tuple[float, ...]:
        """The weights of Q, K and V (eq. 12)."""
        return tuple(float(name in self.features.split(",")) for name in FEATURES)


def flag(name: str) -> str:
    """The option of a field, as one types it."""
    return "--" + name.replace("_", "-")


class PlanFile:
    """`plan.json` in the folder of a run: its options, and what was found out when it began."""

    def __init__(self, folder: Path, options: FitOptions) -> None:
        self._path = folder / PLAN
        self._options = asdict(options)
        self._found: dict[str, Any] = {}

    def claim(self, resume: bool) -> None:
        """Make the folder this run's; ConfigError where it is another's, or this one's without `resume`."""
        if not self._path.exists():
            _require_folder(self._path.parent)
            return
        if not resume:
            raise ConfigError(f"{self._path.parent}: holds a run; --resume goes on, or name another folder")
        stored = read_plan(self._path)
        for name, value in self._options.items():
            before = stored["options"].get(name)
            if before != value:
                raise ConfigError(
                    f"{self._path}: was begun with {flag(name)} {before}, not {value}; go on with what it "
                    "says, or name another folder"
                )
        self._found = stored["found"]

    def once(self, name: str, value: Any) -> Any:
        """What was found out as `name` when the run began; `value`, from now on, where nothing was."""
        if name not in self._found:
            self._found[name] = value
            self._write()
        return self._found[name]

    def renew(self, name: str, value: Any) -> None:
        """Remember `value` as `name`, whatever was there."""
        self._found[name] = value
        self._write()

    def get(self, name: str, otherwise: Any) -> Any:
        """What is remembered as `name`."""
        return self._found.get(name, otherwise)

    def knows(self, name: str) -> bool:
        """Whether `name` was found out."""
        return name in self._found

    def same(self, name: str, value: str) -> None:
        """ConfigError unless `name` is still as it was when the run began."""
        if self.once(name, value) != value:
            raise ConfigError(f"{self._path}: {name} has changed since the run began; name another folder")

    def _write(self) -> None:
        unfinished = self._path.with_name(self._path.name + ".part")
        unfinished.write_text(json.dumps({"options": self._options, "found": self._found}, indent=1) + "\n")
        unfinished.replace(self._path)


def _require_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot become the folder of a run ({error.strerror})") from None


def read_plan(path: Path) -> dict[str, Any]:
    """What is in a `plan.json`: "options" and "found"; ConfigError for what is none."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        plan = json.loads(text) if len(text) <= MOST_BYTES else None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name the folder of a run") from None
    except (ValueError, RecursionError):
        plan = None
    if not isinstance(plan, dict) or not all(isinstance(plan.get(one), dict) for one in ("options", "found")):
        raise ConfigError(f"{path}: is no plan of devit fit; name another folder")
    for name, value in plan["found"].items():
        if not _may_be(name, value):
            raise ConfigError(f"{path}: {name} cannot be {value!r:.40}; name another folder")
    return plan


def read_options(path: Path) -> FitOptions:
    """The options in a `plan.json`; ConfigError, with the first that is wrong, where they are none."""
    stored = read_plan(path)["options"]
    wrong = sorted(stored.keys() - set(FitOptions.__slots__))
    try:
        options = TypeAdapter(FitOptions).validate_json(json.dumps(stored), strict=True)
    except ValidationError as error:
        wrong += [str(one["loc"][0]) for one in error.errors()]
    if wrong:
        raise ConfigError(f"{path}: is no plan of this program, by its {wrong[0]!r:.40}; name another folder")
    return options


def _may_be(name: str, value: object) -> bool:
    """Whether `value` may have been found out as `name`; names that are not known may be anything."""
    if name.startswith(STEPS):
        return type(value) is int and value >= 0
    if name == SPENT:
        return type(value) in (int, float) and 0 <= value <= MOST  # type: ignore[operator]
    return isinstance(value, str) or not (name in DATA or name.startswith(DIGEST))
