"""The options of `main.py devit ...`; torch is imported only once they are known to make sense."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.options import DeviceOption, Threads, Verbose
from commands.runtime import announce, guarded, set_up_logging
from pipeline.clock import SystemClock

app = typer.Typer(help="Decompose a large Vision Transformer into small ones (DeViT).", no_args_is_help=True)

SIZES, COURSE, ABLATION = "Sizes of the parts", "How long and how fast", "What the tables leave out"


class Teachers(StrEnum):
    SUBSET = "subset"
    LARGE = "large"


class ImportanceBy(StrEnum):
    SUBSET = "subset"
    ALL = "all"
    RANDOM = "random"


class Losses(StrEnum):
    LABELS = "labels"
    PRED = "pred"
    FEAT = "feat"
    BOTH = "both"


class EnsembleLosses(StrEnum):
    LABELS = "labels"
    PRED = "pred"
    TOKEN = "token"  # noqa: S105 - the class token
    BOTH = "both"


class FusionKind(StrEnum):
    LINEAR = "linear"
    MLP = "mlp"
    SE = "se"
    ATTENTION = "attention"


class Augment(StrEnum):
    NONE = "none"
    CROP = "crop"
    FLIP = "flip"
    RAND = "rand"


Size = Annotated[int | None, typer.Option(min=1, rich_help_panel=SIZES, help="[by --sigma]")]
Epochs = Annotated[float, typer.Option(min=0, rich_help_panel=COURSE)]
LearningRate = Annotated[float, typer.Option(rich_help_panel=COURSE, help="Highest learning rate.")]
Weight = Annotated[float, typer.Option(min=0, rich_help_panel=ABLATION, help="Of the second loss.")]


@app.command()
def fit(
    data: Annotated[str, typer.Option("--data", help="A folder with one sub-folder a class, a CSV, a zip.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    test: Annotated[str | None, typer.Option(help="The same, to measure with. [a tenth of --data]")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many pictures of each at most.")] = None,
    model: Annotated[
        str, typer.Option(help="vit_*, deit_*, cct_14_7x2, or KIND:DEPTHxHEADSxMLP/PATCH.")
    ] = "vit_tiny_patch16_224",
    weights: Annotated[str | None, typer.Option(help="Where the large model starts. [fresh]")] = None,
    input_size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels a side.")] = 64,
    stride: Annotated[int, typer.Option(min=1, help="A clip takes every n-th frame.")] = 4,
    parts: Annotated[int, typer.Option(min=1, max=64, help="How many small models.")] = 4,
    sigma: Annotated[
        float,
        typer.Option(min=0, max=99, rich_help_panel=SIZES, help="% of heads and neurons that are removed."),
    ] = 33.0,
    small_depth: Annotated[
        int | None, typer.Option(min=1, rich_help_panel=SIZES, help="Layers. [half of the large model's]")
    ] = None,
    small_heads: Size = None,
    small_mlp: Size = None,
    epochs_large: Epochs = 10.0,
    epochs_teachers: Epochs = 3.0,
    epochs_parts: Epochs = 20.0,
    epochs_fusion: Epochs = 10.0,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, rich_help_panel=COURSE, help="Scale all epochs to take so long.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, rich_help_panel=COURSE)] = 128,
    rate_large: LearningRate = 2e-4,
    rate_parts: LearningRate = 5e-4,
    rate_fusion: LearningRate = 2e-4,
    augment: Annotated[Augment, typer.Option(help="Each adds to the one before.")] = Augment.FLIP,
    teachers: Annotated[
        Teachers, typer.Option(help="large: the large model as it is, cut to the part's classes.")
    ] = Teachers.SUBSET,
    importance: Annotated[
        ImportanceBy, typer.Option(rich_help_panel=ABLATION, help="Data that say what stays.")
    ] = ImportanceBy.SUBSET,
    partition: Annotated[
        bool, typer.Option("--partition/--no-partition", rich_help_panel=ABLATION, help="Classes are split.")
    ] = True,
    losses: Annotated[Losses, typer.Option(rich_help_panel=ABLATION, help="Of the parts.")] = Losses.BOTH,
    features: Annotated[str, typer.Option(rich_help_panel=ABLATION, help="Which are matched.")] = "q,k,v",
    beta: Weight = 1.0,
    fusion: Annotated[FusionKind, typer.Option(rich_help_panel=ABLATION)] = FusionKind.LINEAR,
    ensemble_losses: Annotated[
        EnsembleLosses, typer.Option(rich_help_panel=ABLATION, help="Of the ensemble.")
    ] = EnsembleLosses.BOTH,
    gamma: Weight = 1.0,
    drop: Annotated[float, typer.Option(min=0, max=1, help="How often a part is missing.")] = 0.25,
    drop_share: Annotated[float, typer.Option(min=0, max=1, help="In the last share of the fusion.")] = 0.3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    source: Annotated[
        Path | None, typer.Option("--from", help="Another run: take over what would come out the same.")
    ] = None,
    device: DeviceOption = "cpu",
    threads: Threads = 1,
    verbose: Verbose = 0,
) -> None:
    """Train the large model, its parts and their fusion; resumable at every step."""
    given = dict(locals())
    began = SystemClock().now()
    set_up_logging(verbose)

    def work() -> int:
        from commands.devit.options import FitOptions, PlanFile

        own: dict[str, Any] = {
            name: str(one) if isinstance(one, StrEnum) else one for name, one in given.items()
        }
        options = FitOptions(**{name: own[name] for name in FitOptions.__slots__})
        plan = PlanFile(output, options)
        plan.claim(resume)
        if source is not None:
            from commands.devit.reuse import take_over

            announce(f"{source}: {', '.join(take_over(source, output, options, plan))} taken over")

        from commands.devit.fit import run

        return run(options, plan, output, device=device, threads=threads, began=began)

    sys.exit(guarded(work, f"interrupted; {output} holds what is done, --resume goes on"))


@app.command()
def partition(
    data: Annotated[str, typer.Option("--data", help="A folder with one sub-folder a class, a CSV, a zip.")],
    parts: Annotated[int, typer.Option(min=1, help="How many small models.")] = 4,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Say which classes each part of a run would be responsible for."""

    def work() -> int:
        from commands.devit.single import show_partition

        return show_partition(data, parts, seed)

    sys.exit(guarded(work))


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run that is done.", show_default=False)],
    test: Annotated[
        str | None, typer.Option(help="Other pictures of the same classes. [the run's own]")
    ] = None,
    device: DeviceOption = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Measure the large model, its parts and their ensemble once more."""

    def work() -> int:
        from commands.devit.single import evaluate as measure

        return measure(run, test, device, as_json)

    sys.exit(guarded(work))
