"""How long a sink may work on at its end."""

LEAST_S = 0.5


def grace_left_s(grace_s: float, ends: float, now: float) -> float:
    """A sink's own grace, but no longer than until `ends`; `LEAST_S` of it is left in any case, to
    write to disk what is to stay there."""
    return min(grace_s, max(LEAST_S, ends - now))
