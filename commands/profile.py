"""`profile`: measure how long a model takes on this machine, and write that down."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from commands.plan import load_model
from commands.profiling.cache import write_profile
from commands.profiling.measure import (
    QUICK,
    THOROUGH,
    Effort,
    TokenRange,
    is_steady,
    measure_profile,
    token_range,
)
from commands.runtime import OK
from configs.settings import ModelSettings
from models import SplitViT
from models.registry import ships_weights
from pipeline.clock import SystemClock
from pipeline.errors import ConfigError
from scheduling.profile import Profile


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """What is asked for besides the model: None means the least or most tokens that the model can meet."""

    quick: bool = False
    fewest_tokens: int | None = None
    most_tokens: int | None = None


def run(settings: ModelSettings, output: Path, request: ProfileRequest = ProfileRequest()) -> int:
    """Measure the model and write its profile to `output`; the exit status.

    Without weights random ones will do: speed does not depend on them, bytes do a little. ConfigError
    for an output that cannot be written or a range of tokens that makes no curve.
    """
    console = Console(stderr=True)
    if settings.weights is None and not ships_weights(settings.name):
        settings = settings.model_copy(update={"weights": "random"})
        console.print(f"{settings.name} runs on random weights: bytes of packed tokens are a guess")
    _require_writable(output)
    model = load_model(settings)
    tokens = token_range(model, request.fewest_tokens, request.most_tokens)
    profile = _measured(model, QUICK if request.quick else THOROUGH, tokens, console)
    _write(profile, output)
    console.print(fits_table(profile))
    console.print(parts_table(profile))
    if not is_steady(profile):
        console.print("The machine was busy: the profile is rough; measure again when nothing else runs")
    console.print(f"{output}: profile of {model.id} ({model.dtype}, {profile.machine.threads} threads)")
    return OK


def fits_table(profile: Profile) -> Table:
    """How near each kind of curve came to token counts that it was not fitted on."""
    table = Table("curve", "R²", "mean error", "worst error", "", title="A layer against its tokens")
    for kind, fit in profile.fits.items():
        chosen = "chosen" if fit.chosen else ""
        table.add_row(kind, f"{fit.r2:.4f}", f"{fit.mean_error:.1%}", f"{fit.worst_error:.1%}", chosen)
    return table


def parts_table(profile: Profile) -> Table:
    """What the parts of an unmerged clip take."""
    layer_ms = float(profile.layer.ms(profile.num_tokens, 0))
    table = Table("part", "ms", title=f"One clip of {profile.num_tokens} tokens")
    table.add_row("preprocess and embed", f"{profile.embed_ms:.2f}")
    table.add_row(f"{profile.num_layers} layers", f"{profile.num_layers * layer_ms:.2f}")
    table.add_row("classify", f"{profile.classify_ms:.2f}")
    return table


def _measured(model: SplitViT, effort: Effort, tokens: TokenRange, console: Console) -> Profile:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("profile", total=1.0)
        return measure_profile(
            model, effort, tokens, SystemClock(), lambda done: progress.update(task, completed=done)
        )


def _require_writable(output: Path) -> None:
    """Say so before minutes of measuring, not after."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output}: its folder cannot be made ({error.strerror})") from None
    if output.exists() and not output.is_file():
        raise ConfigError(f"{output}: is no regular file; --output takes one, or a name that is free")


def _write(profile: Profile, output: Path) -> None:
    try:
        write_profile(profile, output)
    except OSError as error:
        raise ConfigError(f"{output}: the profile cannot be written ({error.strerror})") from None
