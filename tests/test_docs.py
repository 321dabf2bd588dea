"""The documents hold what they promise: every link leads somewhere, nothing is left to fill in."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in ROOT.rglob("*.md") if ".venv" not in path.parts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_left_to_fill_in(page):
    assert not re.findall(r"\b[A-Z]+_LINES\b|@DIGEST|^RECORD$|\bTBD\b", page.read_text(), re.MULTILINE)


def test_the_readme_names_every_verb():
    readme = (ROOT / "README.md").read_text()
    for verb in ("cloud", "replay", "device", "demo", "train-sample"):
        assert f"`{verb}`" in readme
