"""Which fault happens when: drawn before anything starts, from a seed."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from pipeline.errors import ConfigError

CLOUD, LINK, SINK = "cloud", "link", "sink"
CAMERA_KINDS = ("freeze", "fin", "rst", "refuse", "down", "late-describe", "password", "gone")
SINK_KINDS = ("gone", "error", "silent")
PASSWORD = "password"
KILL, CUT, STALL = "kill", "cut", "stall"

LASTS_S = {"fin": (0.0, 0.0), "rst": (0.0, 0.0), KILL: (0.5, 4.0), CUT: (0.5, 5.0), STALL: (1.0, 20.0)}
ELSE_LASTS_S = (3.0, 10.0)
OUTAGE_LASTS_S = (5.0, 30.0)
# From the end of a fault to the next one of the same part: time to come back and to be seen at work.
CAMERA_REST_S, REFUSED_REST_S, CLOUD_REST_S, LINK_REST_S, SINK_REST_S = 12.0, 36.0, 10.0, 3.0, 5.0

WARM_UP_S, WARM_UP_SHARE = 90.0, 0.15
QUIET_S, LEAST_QUIET_S, QUIET_SHARE = 60.0, 25.0, 0.1


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one part, from `at_s` for `for_s`; 0 s where it is over as soon as it happens."""

    part: str
    kind: str
    at_s: float
    for_s: float

    @property
    def end_s(self) -> float:
        return self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a run is, how many cameras it has, and how many faults of each sort."""

    minutes: float = 30.0
    cameras: int = 4
    camera_faults: int = 100
    kills: int = 50
    cuts: int = 50
    stalls: int = 50
    outages: int = 20

    @property
    def total_s(self) -> float:
        return self.minutes * 60

    @property
    def warm_up_s(self) -> float:
        """Nothing happens before."""
        return min(WARM_UP_S, WARM_UP_SHARE * self.total_s)

    @property
    def quiet_from_s(self) -> float:
        """Nothing happens after."""
        return self.total_s - min(QUIET_S, max(LEAST_QUIET_S, QUIET_SHARE * self.total_s))


def camera_name(index: int) -> str:
    """The part, and the source, that a camera is."""
    return f"camera-{index + 1}"


def draw(wish: Wish, seed: int) -> list[Fault]:
    """All faults in their order, the same for the same seed; ConfigError where they do not fit the time.

    Faults of one part never overlap, and leave it time to come back; those of different parts do.
    """
    rng = random.Random(seed)
    link = _shuffled(rng, [CUT] * wish.cuts + [STALL] * wish.stalls)
    sink = _shuffled(rng, islice(cycle(SINK_KINDS), wish.outages))
    of_cameras = _shuffled(rng, islice(cycle(CAMERA_KINDS), wish.camera_faults))
    parts = {camera_name(index): of_cameras[index :: wish.cameras] for index in range(wish.cameras)}
    parts |= {CLOUD: [KILL] * wish.kills, LINK: link, SINK: sink}
    faults = [fault for part, kinds in parts.items() for fault in _spread(rng, part, kinds, wish)]
    return sorted(faults, key=lambda fault: (fault.at_s, fault.part))


def _shuffled(rng: random.Random, kinds: Iterable[str]) -> list[str]:
    return rng.sample(known := list(kinds), len(known))


def _spread(rng: random.Random, part: str, kinds: Sequence[str], wish: Wish) -> list[Fault]:
    """The faults of one part, anywhere in the time that is theirs."""
    lasting = [rng.uniform(*_lasts_s(part, kind)) for kind in kinds]
    taken = [for_s + _rest_s(part, kind) for kind, for_s in zip(kinds, lasting, strict=True)]
    room_s = wish.quiet_from_s - wish.warm_up_s
    spare_s = room_s - sum(taken)
    if spare_s < 0:
        raise ConfigError(
            f"{part}: {len(kinds)} faults take {sum(taken):.0f} s, and there are {room_s:.0f}: "
            "choose fewer faults or more --minutes"
        )
    shifts = sorted(rng.uniform(0, spare_s) for _ in kinds)
    return [
        Fault(part, kind, wish.warm_up_s + shift + sum(taken[:place]), lasting[place])
        for place, (kind, shift) in enumerate(zip(kinds, shifts, strict=True))
    ]


def _lasts_s(part: str, kind: str) -> tuple[float, float]:
    return OUTAGE_LASTS_S if part == SINK else LASTS_S.get(kind, ELSE_LASTS_S)


def _rest_s(part: str, kind: str) -> float:
    if part in (CLOUD, LINK, SINK):
        return {CLOUD: CLOUD_REST_S, LINK: LINK_REST_S, SINK: SINK_REST_S}[part]
    return REFUSED_REST_S if kind == PASSWORD else CAMERA_REST_S
