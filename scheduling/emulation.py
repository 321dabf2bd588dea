"""A slower machine than the one at hand, for trying things out."""

from scheduling.profile import Curve, LayerProfile, Line, Profile, Quadratic, Table


def slowed(profile: Profile, factor: float) -> Profile:
    """The profile of a machine whose model takes `factor` times as long; its codecs take what they take."""
    if factor == 1:
        return profile
    layer = LayerProfile(
        curve=_scaled(profile.layer.curve, factor),
        merge_ms=_line(profile.layer.merge_ms, factor),
        mlp_ms_per_token=profile.layer.mlp_ms_per_token * factor,
    )
    processor = f"{profile.machine.processor[:200]}, emulated {factor:g} times slower"
    return profile.model_copy(
        update={
            "machine": profile.machine.model_copy(update={"processor": processor}),
            "layer": layer,
            "embed_ms": profile.embed_ms * factor,
            "classify_ms": profile.classify_ms * factor,
            "overhead_ms": profile.overhead_ms * factor,
        }
    )


def _scaled(curve: Curve, factor: float) -> Curve:
    match curve:
        case Line():
            return _line(curve, factor)
        case Quadratic():
            return Quadratic(
                base=curve.base * factor, slope=curve.slope * factor, square=curve.square * factor
            )
        case Table():
            return Table(tokens=curve.tokens, values=tuple(value * factor for value in curve.values))


def _line(line: Line, factor: float) -> Line:
    return Line(base=line.base * factor, slope=line.slope * factor)
