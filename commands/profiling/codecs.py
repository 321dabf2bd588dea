"""What each codec makes of a clip: bytes, and milliseconds to encode and to decode."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from commands.profiling.rounds import OnProgress, Rounds, Work, quiet_ms
from commands.profiling.workload import Workload
from models import SplitViT
from pipeline.clock import Clock
from pipeline.errors import CodecError
from scheduling.fitting import fit_line
from scheduling.profile import CodecProfile, Line
from transport.codecs import codec_names, get_codec
from transport.codecs.codec import Array

STILLS = ("jpeg:60", "jpeg:80", "jpeg:90", "jpeg:95")
VIDEOS = ("h264:18", "h264:23", "h264:28")
TOKEN_SHARES = (0.125, 0.5, 1.0)
Step = Literal["encode", "decode"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One codec at one number of tokens (0 for pixels): the array to time it on, and its mean bytes."""

    codec: str
    tokens: int
    array: Array
    payload: bytes
    mean_bytes: float


def profiled_codecs() -> tuple[str, ...]:
    """Every codec without a number, and some numbers of those that take one."""
    plain = tuple(name for name in codec_names() if name not in ("jpeg", "h264"))
    return (*plain, *STILLS, *VIDEOS)


def measure_codecs(
    model: SplitViT,
    workload: Workload,
    rounds: Rounds,
    clock: Clock,
    on_progress: OnProgress = lambda done: None,
) -> dict[str, CodecProfile]:
    """The profile of every codec that can carry this model's tokens or frames."""
    layers = _activations(model, workload)
    samples = [sample for codec in profiled_codecs() for sample in _samples(codec, workload, layers)]
    works: dict[tuple[Step, str, int], Work] = {}
    for sample in samples:
        codec = get_codec(sample.codec)
        works["encode", sample.codec, sample.tokens] = partial(codec.encode, sample.array)
        works["decode", sample.codec, sample.tokens] = partial(
            codec.decode, sample.payload, sample.array.shape
        )
    times = quiet_ms(works, rounds, clock, on_progress)
    return {name: _profile(name, samples, times) for name in dict.fromkeys(s.codec for s in samples)}


def _activations(model: SplitViT, workload: Workload) -> list[Array]:
    """Tokens [n, D] after the first, the middle and the last layer."""
    depths = sorted({1, (model.num_layers + 1) // 2, model.num_layers})
    return [workload.features(depth)[0] for depth in depths]


def _samples(codec: str, workload: Workload, layers: list[Array]) -> list[Sample]:
    """No samples where the codec cannot carry the activations."""
    try:
        if get_codec(codec).kind == "pixels":
            return [_sample(codec, 0, [workload.frames])]
        counts = sorted({max(1, round(share * len(layers[0]))) for share in TOKEN_SHARES})
        return [_sample(codec, count, [_thinned(layer, count) for layer in layers]) for count in counts]
    except CodecError:
        return []


def _thinned(tokens: Array, count: int) -> Array:
    """`count` of the tokens, evenly spread."""
    return np.ascontiguousarray(tokens[np.linspace(0, len(tokens) - 1, count).round().astype(int)])


def _sample(codec: str, tokens: int, arrays: list[Array]) -> Sample:
    payloads = [get_codec(codec).encode(array) for array in arrays]
    middle = len(arrays) // 2
    mean_bytes = sum(map(len, payloads)) / len(payloads)
    return Sample(codec, tokens, arrays[middle], payloads[middle], mean_bytes)


def _profile(name: str, samples: list[Sample], times: Mapping[tuple[Step, str, int], float]) -> CodecProfile:
    of_codec = [sample for sample in samples if sample.codec == name]
    return CodecProfile(
        kind=get_codec(name).kind,
        bytes=_line({sample.tokens: sample.mean_bytes for sample in of_codec}),
        encode_ms=_line({sample.tokens: times["encode", name, sample.tokens] for sample in of_codec}),
        decode_ms=_line({sample.tokens: times["decode", name, sample.tokens] for sample in of_codec}),
    )


def _line(values: Mapping[int, float]) -> Line:
    """Through the values at a few token counts; flat where there is only one."""
    if len(values) == 1:
        return Line(base=next(iter(values.values())), slope=0.0)
    return fit_line(values, relative=True)
