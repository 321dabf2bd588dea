"""Real videos, images and weights that tests may read; they live outside the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("JANUS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def shared_data(*parts: str) -> Path:
    """The path of one piece of test data; skips the running test where it is absent."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"test data {'/'.join(parts)} is absent (set JANUS_DATA to its folder)")
    return path
