"""What may go wrong with a camera, and when."""

import math
from dataclasses import dataclass

from pipeline.errors import ConfigError

# What the numbers after each kind are, in seconds.
KINDS = {
    "freeze": ("AT", "FOR"),
    "fin": ("AT",),
    "rst": ("AT",),
    "refuse": ("AT", "FOR"),
    "down": ("AT", "FOR"),
    "late-describe": ("FOR",),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `at_s` after the camera's start, lasting `for_s` where it lasts."""

    kind: str
    at_s: float = 0.0
    for_s: float = 0.0


def parse_fault(text: str) -> Fault:
    """A fault as it is written, such as freeze:10:5; ConfigError for any other text."""
    kind, *numbers = text.split(":")
    if kind not in KINDS:
        raise ConfigError(f"fault {text[:80]!r}: there is no {kind[:40]!r}, only {', '.join(KINDS)}")
    named = KINDS[kind]
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    if len(values) != len(named) or not all(math.isfinite(value) and value >= 0 for value in values):
        raise ConfigError(f"fault {text[:80]!r}: write {':'.join((kind, *named))}, in seconds")
    stated = dict(zip(named, values, strict=True))
    return Fault(kind, stated.get("AT", 0.0), stated.get("FOR", 0.0))
