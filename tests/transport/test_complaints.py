import logging

import pytest

from pipeline.clock import ManualClock
from transport.complaints import Complaints

logger = logging.getLogger("strangers")


def test_a_flood_of_complaints_becomes_a_few_lines_and_a_number(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    complaints = Complaints(logger, clock, most=3, within_s=10)
    for number in range(1000):
        complaints.add(f"stranger {number}")
    assert [record.message for record in caplog.records] == ["stranger 0", "stranger 1", "stranger 2"]
    clock.advance(9.9)
    complaints.add("too soon")
    clock.advance(0.1)
    complaints.add("a new stranger")
    assert [record.message for record in caplog.records[3:]] == [
        "998 more strangers were turned away in the meantime",
        "a new stranger",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_few_complaints_are_all_said(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    complaints = Complaints(logger, clock, most=3, within_s=10)
    for number in range(9):
        complaints.add(f"100% {number}")
        clock.advance(5)
    assert [record.message for record in caplog.records] == [f"100% {number}" for number in range(9)]
