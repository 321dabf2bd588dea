"""A setup small enough to simulate in milliseconds, as the plain map that a file holds."""

from typing import Any

from scheduling.pruning import exponential
from scheduling.simulation.setup import Setup, parse_setup

NUM_LAYERS, NUM_TOKENS, DIM = 5, 37, 64
ALPHA = 0.6


def totals(base: float, slope: float) -> dict[str, float]:
    """What layers of base + slope * tokens ms sum up to, without pruning and at ALPHA."""
    pruning = exponential(ALPHA, NUM_LAYERS, NUM_TOKENS)
    entering = [pruning.tokens_after(NUM_TOKENS, layer) for layer in range(NUM_LAYERS)]
    return {
        "none_ms": NUM_LAYERS * (base + slope * NUM_TOKENS),
        "alpha": ALPHA,
        "pruned_ms": sum(base + slope * tokens for tokens in entering),
    }


def small_setup() -> dict[str, Any]:
    """About 260 ms on the device and 24 ms in the cloud, under a promise of 200 ms."""
    size = {"num_layers": NUM_LAYERS, "num_tokens": NUM_TOKENS, "dim": DIM}
    tokens = {"encode_ns_per_value": 50.0, "decode_ns_per_value": 30.0}
    return {
        "machines": {
            "model": dict(size),
            "device": {"name": "box", "table_1": totals(4.0, 1.3), "codec_factor": 2.0},
            "cloud": {"name": "server", "table_1": totals(1.0, 0.1)},
        },
        "tokens": {
            "float32+lzw": {"bytes_per_value": 14.0, **tokens},
            "int8+zstd": {"bytes_per_value": 2.5, "bytes_per_token": 8, **tokens},
        },
        "tasks": {
            "still": {
                "model": "small",
                "size": dict(size),
                "sla_ms": 200,
                "pixels": {
                    "raw32+lzw": {"bytes": 200_000, "encode_ms": 5.0, "decode_ms": 2.0},
                    "png": {"bytes": 90_000, "encode_ms": 2.0, "decode_ms": 1.0},
                    "jpeg:95": {"bytes": 20_000, "encode_ms": 0.5, "decode_ms": 0.5},
                },
                "codecs": {
                    "paper": {"tokens": ["float32+lzw"], "pixels": ["raw32+lzw"]},
                    "encoded": {"tokens": ["float32+lzw"], "pixels": ["jpeg:95"]},
                    "every": {"tokens": ["int8+zstd"], "pixels": ["jpeg:95", "png"]},
                },
            }
        },
        "rtt_ms": {"default": 20, "groups": {"far": 90}},
        "ranges": {
            "throughput": {"device-only": [1.0, 3.0], "cloud-only": [1.0, 2.0]},
            "violations": {"device-only": [0.5, 1.0], "cloud-only": [0.5, 0.9]},
        },
    }


def parsed() -> Setup:
    return parse_setup(small_setup(), "small.yaml")
