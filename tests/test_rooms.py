"""The rules of the house: a room imports only from the rooms below it."""

import ast
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
FLOORS = (
    ("pipeline",),
    ("models", "scheduling", "transport"),
    ("sources", "sinks", "devit"),
    ("stages",),
    ("configs",),
    ("commands",),
    ("main",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FORBIDDEN = {
    "pipeline": {"torch", "cv2", "av", "aiohttp"},
    "models": {"asyncio", "anyio"},
    "scheduling": {"torch", "asyncio", "anyio"},
    "transport": {"torch"},
    "sources": {"torch"},
    "sinks": {"torch"},
}


def source_files() -> list[Path]:
    return [
        path
        for room in FLOOR
        for path in [PROJECT / f"{room}.py", *sorted((PROJECT / room).rglob("*.py"))]
        if path.exists()
    ]


def room_of(path: Path) -> str:
    return path.relative_to(PROJECT).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_room_imports_only_from_below(path):
    room = room_of(path)
    imports = imported_rooms(ast.parse(path.read_text()))
    above = {name for name in imports if name in FLOOR and name != room and FLOOR[name] >= FLOOR[room]}
    assert not above, f"{path.name} of {room} imports from {above}"
    assert not imports & FORBIDDEN.get(room, set())


def test_every_folder_with_code_is_a_known_room():
    rooms = {path.parent.name for path in PROJECT.glob("*/__init__.py")}
    assert rooms - {"tests", "benchmarks"} <= set(FLOOR)


def test_no_room_hides_a_standard_or_installed_module():
    assert not set(FLOOR) & set(sys.stdlib_module_names)
