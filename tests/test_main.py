import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

from main import app

VERBS = (
    "cloud",
    "replay",
    "device",
    "demo",
    "explain",
    "profile",
    "link",
    "camera",
    "simulate",
    "train-sample",
)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def help_texts(command):
    yield command.help or ""
    yield from (getattr(param, "help", None) or "" for param in command.params)
    for verb in getattr(command, "commands", {}).values():
        yield from help_texts(verb)


def test_help_is_shown_as_written_no_word_taken_for_a_style_or_a_picture():
    texts = list(help_texts(get_command(app)))
    assert any("ramp:" in text for text in texts)
    assert [text for text in texts if Text.from_markup(text).plain != text] == []


def test_help_lists_every_verb_and_needs_no_torch():
    code = (
        "import sys; sys.argv = ['main.py', '--help']; import main\n"
        "try: main.app()\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[1]
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    ).stdout
    assert out.endswith("False\n")
    assert all(verb in out for verb in VERBS)


def test_waiting_threads_are_told_to_sleep_before_torch_is_loaded():
    code = "import main, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    root = Path(__file__).resolve().parents[1]
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    ).stdout
    assert out == "PASSIVE False\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["reply"],
        ["cloud", "--port", "x"],
        ["cloud", "--dtype", "float8"],
        ["demo", "--seconds", "0"],
    ],
)
def test_a_wrong_command_line_is_exit_status_2(arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2
