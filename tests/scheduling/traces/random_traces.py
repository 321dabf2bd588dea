"""Traces of all kinds, for invariants."""

import numpy as np
from hypothesis import strategies as st

from scheduling.traces import Trace

RATES = st.just(0.0) | st.floats(0.01, 1000)


@st.composite
def traces(draw, looped: bool | None = None) -> Trace:
    mbps = np.array(draw(st.lists(RATES, min_size=1, max_size=8)))
    steps = draw(st.lists(st.floats(0.05, 20), min_size=len(mbps), max_size=len(mbps)))
    edges = np.concatenate(([0.0], np.cumsum(steps)))
    return Trace(
        name="random",
        times_s=edges[:-1],
        mbps=mbps,
        duration_s=float(edges[-1]),
        looped=draw(st.booleans()) if looped is None else looped,
    )
