"""Where a model may be cut."""

from math import ceil


def split_points(num_layers: int, k: int = 5) -> tuple[int, ...]:
    """Candidate splits, dense in front and sparse behind: 0 (all in the cloud), N + 1 (all on the
    device), and s_1 = 1, s_{i+1} = s_i + ceil(i * k / N) up to N; a smaller `k` is denser.

    Janus, eq. 3; the printed formula has lost its exact step, this is our reading of its text.
    """
    points = [0]
    point = 1
    i = 1
    while point <= num_layers:
        points.append(point)
        point += ceil(i * k / num_layers)
        i += 1
    return (*points, num_layers + 1)
