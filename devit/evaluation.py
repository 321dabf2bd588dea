"""How good and how fast models, parts and ensembles are: `accuracy`, `accuracy_by_choice`, `latencies_ms`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor, nn

from devit.architecture import Architecture
from devit.data import Pictures
from devit.ensemble import Ensemble, every_choice, presence
from devit.objectives import forward
from models.preprocessing import preprocess
from pipeline.clock import Clock, SystemClock

BATCH = 256
RUNS = 50
WARM_UP = 3


def accuracy(model: nn.Module, architecture: Architecture, pictures: Pictures, device: str = "cpu") -> float:
    """The share that `model`, a single one or an ensemble, has right, 0 to 1; its mode stays as it was."""
    right = 0
    with _evaluating(model):
        for batch in pictures.in_order(BATCH):
            pixels = preprocess(batch.frames.to(device), architecture.spec)
            right += _count(forward(model, pixels).logits, batch.labels)
    return right / len(pictures)


def accuracy_by_choice(
    ensemble: Ensemble, architecture: Architecture, pictures: Pictures, device: str = "cpu"
) -> dict[tuple[int, ...], float]:
    """The share right with every choice of one part or more, the others missing; parts count from 0."""
    choices = every_choice(len(ensemble.parts))
    right = dict.fromkeys(choices, 0)
    with _evaluating(ensemble):
        for batch in pictures.in_order(BATCH):
            pixels = preprocess(batch.frames.to(device), architecture.spec)
            tokens = [forward(part, pixels).token for part in ensemble.parts]
            for parts in choices:
                present = presence(parts, len(tokens), len(pixels)).to(pixels.device)
                right[parts] += _count(ensemble.fusion(tokens, present).logits, batch.labels)
    return {parts: count / len(pictures) for parts, count in right.items()}


def latencies_ms(
    works: Mapping[str, Callable[[], object]], runs: int = RUNS, clock: Clock | None = None
) -> dict[str, float]:
    """The median milliseconds that each of `works` takes on one thread; all of them take turns."""
    clock = clock or SystemClock()
    times: dict[str, list[float]] = {name: [] for name in works}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for turn in range(-WARM_UP, runs):
                for name, work in works.items():
                    started = clock.now()
                    work()
                    if turn >= 0:
                        times[name].append((clock.now() - started) * 1000)
    finally:
        torch.set_num_threads(threads)
    return {name: median(taken) for name, taken in times.items()}


def parameters(model: nn.Module) -> int:
    """How many numbers a model holds."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def _count(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1).cpu() == labels).sum())
