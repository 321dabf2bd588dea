"""Explain: the decision behind one record, told from the record alone."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from commands.runtime import OK
from pipeline.errors import ConfigError
from transport.untrusted import one_line, printable

PARTS = ("wait", "head", "encode", "link", "uplink", "queue", "decode", "tail", "downlink", "gather", "fuse")
VERDICTS = {
    "better": "in time, but too late to be rescued",
    "same": "in time and as accurate, but slower",
    "worse": "in time, but less accurate",
}
MOST_LINE_BYTES = 1 << 20


def run(results: Path, clip_id: str) -> int:
    """Print the decision for one clip; ConfigError where the file has no such record."""
    record = find_record(results, clip_id)
    console = Console(highlight=False, markup=False, emoji=False)
    try:
        console.print("\n".join(told(record)))
        if record.get("expected_ms") is not None:
            console.print(candidates(record))
            console.print(parts(record))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        wrong = one_line(repr(error), 200)
        raise ConfigError(f"{results}: the record of {clip_id} is not one of Janus: {wrong}") from None
    return OK


def find_record(results: Path, clip_id: str) -> dict[str, Any]:
    """The record of `clip_id`; ConfigError where there is none, or the file cannot be read."""
    if results.exists() and not results.is_file():
        raise ConfigError(f"{results}: cannot be read (no regular file)")
    wanted = {
        json.dumps(clip_id).encode(),
        json.dumps(clip_id, ensure_ascii=False).encode("utf-8", "replace"),
    }
    seen = 0
    try:
        with results.open("rb") as file:
            for line in iter(lambda: file.readline(MOST_LINE_BYTES), b""):
                seen += 1
                if (
                    any(name in line for name in wanted)
                    and (record := _record(line)).get("clip_id") == clip_id
                ):
                    return record
    except OSError as error:
        raise ConfigError(f"{results}: cannot be read ({error.strerror})") from None
    raise ConfigError(f"{results}: none of its {seen} records is of clip {clip_id}")


def told(record: dict[str, Any]) -> list[str]:
    """What was known and what was done, in a few lines."""
    plan, link = record["plan"], record.get("link")
    total_ms = record["latency_ms"].get("total")
    lines = [
        printable(
            f"{record['clip_id']}: {record['status']}, {_ms(total_ms)} of {_ms(record['sla_ms'])} promised"
        )
    ]
    if record.get("reason"):
        lines.append(printable(f"reason: {record['reason']}"))
    if plan is None:
        return [*lines, "It never had a plan."]
    lines.append(printable(f"plan: {_plan(plan)}, ran: {plan['ran']}"))
    lines.append(printable(f"chosen by {plan['why']}"))
    if link is not None:
        lines.append(f"known then: {link['mbps']:g} Mbit/s, round trip {_ms(link['rtt_ms'])}{_load(record)}")
    if record.get("caution", 1.0) > 1:
        lines.append(f"margin: clips had lately taken up to {record['caution']:g} times what was expected")
    if record.get("energy_j") is not None:
        lines.append(f"energy: {record['energy_j']:g} J, its share of what the machine took")
    return lines


def candidates(record: dict[str, Any]) -> Table:
    """The chosen plan and those that were near, with what each would have cost."""
    budget_ms, caution = record.get("budget_ms"), record.get("caution", 1.0)
    table = Table("candidate", Column("pruning", no_wrap=True), "split", "codec", "expected ms", "verdict")
    _add(
        table, {"what": "chosen", **record["plan"], "expected_ms": record["expected_ms"]}, budget_ms, caution
    )
    for other in record.get("near", []):
        _add(table, other, budget_ms, caution)
    return table


def parts(record: dict[str, Any]) -> Table:
    """Expected against measured latency, part by part."""
    expected, measured = record.get("expected_parts_ms", {}), record["latency_ms"]
    table = Table("part", "expected ms", "measured ms")
    for part in PARTS:
        if part in expected or part in measured:
            table.add_row(part, _number(expected.get(part)), _number(measured.get(part)))
    table.add_row("total", _number(record["expected_ms"]), _number(measured.get("total")))
    return table


def _add(table: Table, plan: dict[str, Any], budget_ms: float | None, caution: float) -> None:
    expected_ms = plan["expected_ms"]
    if plan["what"] == "chosen":
        verdict = "taken"
    elif expected_ms is None:
        verdict = "no link"
    elif budget_ms is not None and expected_ms > budget_ms:
        verdict = f"late by {expected_ms - budget_ms:.1f} ms"
    elif budget_ms is not None and expected_ms * caution > budget_ms:
        verdict = "in time, but with less than the margin"
    else:
        verdict = VERDICTS[plan["level"]]
    cells = (plan["what"], plan["pruning"], str(plan["split"]), plan["codec"])
    table.add_row(*map(printable, cells), _number(expected_ms), verdict)


def _plan(plan: dict[str, Any]) -> str:
    return f"pruning {plan['pruning']}, split {plan['split']}, codec {plan['codec']}"


def _load(record: dict[str, Any]) -> str:
    load = record.get("load")
    if load is None:
        return ""
    return f"; device {load['device']:g} and cloud {load['cloud']:g} times their profiles"


def _ms(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.1f} ms"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
