"""Links over time: measured ones, made-up ones, and when what is sent over them has left."""

from scheduling.traces.making import constant, generate_lte, outages, sampled
from scheduling.traces.parsing import TraceSpec, parse_csv, parse_list, parse_ping_list, parse_trace_spec
from scheduling.traces.trace import Trace

__all__ = [
    "Trace",
    "TraceSpec",
    "constant",
    "generate_lte",
    "outages",
    "parse_csv",
    "parse_list",
    "parse_ping_list",
    "parse_trace_spec",
    "sampled",
]
