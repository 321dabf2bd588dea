"""The options of `main.py devit ...`; torch is imported only once they are known to make sense."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.devit.choices import Augment, EnsembleLosses, FusionKind, ImportanceBy, Losses, Teachers
from commands.options import DeviceOption, Threads, Verbose
from commands.runtime import announce, guarded, set_up_logging
from pipeline.clock import SystemClock

app = typer.Typer(help="Decompose a large Vision Transformer into small ones (DeViT).", no_args_is_help=True)

SIZES, COURSE = "Sizes of the parts", "How long and how fast"
MISSING, ABLATION = "Parts that are missing", "How it is made: for ablations"
LABELLED = (
    "Labelled pictures or videos: a folder with a sub-folder for each class, a CSV, or a zip of either."
)

LearningRate = Annotated[float, typer.Option(rich_help_panel=COURSE, help="Highest rate of its training.")]


def _size(what: str) -> Any:
    return typer.Option(min=1, rich_help_panel=SIZES, help=what, show_default="by --sigma")


def _epochs(what: str) -> Any:
    return typer.Option(min=0, rich_help_panel=COURSE, help=f"Passes of {what} over its pictures.")


def _ablation(what: str, **more: Any) -> Any:
    return typer.Option(rich_help_panel=ABLATION, help=what, **more)


@app.command()
def fit(
    data: Annotated[str, typer.Option("--data", help=LABELLED)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    test: Annotated[
        str | None, typer.Option(help="The same, to measure with.", show_default="a tenth of --data")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many of --data and of --test at most.", show_default="all")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="The large model: vit_*, deit_*, mae_st_*, videomae_*, cct_14_7x2, or "
            "KIND:DEPTHxHEADSxMLP/PATCH, for clips with xFRAMES."
        ),
    ] = "vit_tiny_patch16_224",
    weights: Annotated[
        str | None,
        typer.Option(help="Where the large model starts: FILE, hf:, timm:.", show_default="fresh weights"),
    ] = None,
    input_size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels a side.")] = 64,
    stride: Annotated[int, typer.Option(min=1, help="A clip of a video takes every n-th frame.")] = 4,
    parts: Annotated[int, typer.Option(min=1, max=64, help="How many small models.")] = 4,
    sigma: Annotated[
        float,
        typer.Option(min=0, max=99, rich_help_panel=SIZES, help="Percent of heads and neurons to remove."),
    ] = 33.0,
    small_depth: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=SIZES, help="Layers.", show_default="half the large model's"),
    ] = None,
    small_heads: Annotated[int | None, _size("Heads a layer, of 64 channels each.")] = None,
    small_mlp: Annotated[int | None, _size("Neurons a layer.")] = None,
    epochs_large: Annotated[float, _epochs("the large model")] = 6.0,
    epochs_teachers: Annotated[float, _epochs("each teacher")] = 1.0,
    epochs_parts: Annotated[float, _epochs("each part")] = 4.0,
    epochs_fusion: Annotated[float, _epochs("the ensemble")] = 10.0,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            rich_help_panel=COURSE,
            help="Time for the whole command; epochs only say in which proportion.",
            show_default="as long as the epochs take",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, rich_help_panel=COURSE, help="Pictures a step.")] = 128,
    rate_large: LearningRate = 3e-4,
    rate_parts: LearningRate = 3e-4,
    rate_fusion: LearningRate = 3e-4,
    augment: Annotated[
        Augment,
        typer.Option(rich_help_panel=COURSE, help="Changes to pictures; each adds to the one before."),
    ] = Augment.FLIP,
    teachers: Annotated[
        Teachers, _ablation("Trained on the part's subset, or the large model as it is.")
    ] = Teachers.SUBSET,
    partition: Annotated[
        bool, typer.Option("--partition/--no-partition", rich_help_panel=ABLATION, help="Split the classes.")
    ] = True,
    importance: Annotated[
        ImportanceBy, _ablation("What says which heads and neurons stay: the part's pictures, all, or a lot.")
    ] = ImportanceBy.SUBSET,
    losses: Annotated[
        Losses, _ablation("What parts learn by: labels alone, eq. 10, eq. 12, or eq. 8, which is both.")
    ] = Losses.BOTH,
    features: Annotated[str, _ablation("Which of Q, K and V are matched (eq. 12).")] = "q,k,v",
    beta: Annotated[float, _ablation("Weight of the features (eq. 8).", min=0)] = 1.0,
    fusion: Annotated[FusionKind, _ablation("What makes one token of all.")] = FusionKind.LINEAR,
    ensemble_losses: Annotated[
        EnsembleLosses,
        _ablation("What the ensemble learns by: labels alone, eq. 10, eq. 15, or eq. 14, which is both."),
    ] = EnsembleLosses.BOTH,
    gamma: Annotated[float, _ablation("Weight of the token (eq. 14).", min=0)] = 0.1,
    drop: Annotated[
        float, typer.Option(min=0, max=1, rich_help_panel=MISSING, help="How often each is in training.")
    ] = 0.25,
    drop_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, rich_help_panel=MISSING, help="In which last share of the ensemble's steps."
        ),
    ] = 0.3,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Another run, of which is taken what would come out the same.", show_default=False
        ),
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
        options.require_data()
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
    data: Annotated[str, typer.Option("--data", help=LABELLED)],
    parts: Annotated[int, typer.Option(min=1, help="How many small models.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the lot.")] = 0,
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
        str | None, typer.Option(help="Pictures of the same classes.", show_default="the run's own")
    ] = None,
    device: DeviceOption = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Measure the large model, its parts and their ensemble once more."""

    def work() -> int:
        from commands.devit.single import evaluate as measure

        return measure(run, test, device, as_json)

    sys.exit(guarded(work))
