import io

import pytest
from rich.console import Console

from benchmarks import overload


def record(**rest):
    base = {"status": "ok", "reason": None, "end_s": 1.0, "latency_ms": {"total": 20.0, "wait": 1.0}}
    return base | {"plan": {"ran": "device"}, "expected_parts_ms": {}} | rest


@pytest.mark.parametrize(("shares", "shown"), [([1.0, 2.0], True), ([None, None], False)])
def test_energy_is_a_row_where_records_have_it(monkeypatch, shares, shown):
    console = Console(file=io.StringIO(), width=110)
    monkeypatch.setattr(overload, "console", console)
    records = [record() if share is None else record(energy_j=share) for share in shares]
    overload.show(2.0, overload.Offered(4.0, 60.0, records, [900.0] * 3, 0), 600.0)
    assert ("3.0 J, 1.500 a clip" in console.file.getvalue()) == shown
