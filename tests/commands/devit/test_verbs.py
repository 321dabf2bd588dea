import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.devit import fit as fit_module
from commands.devit.options import FitOptions, PlanFile
from main import app
from pipeline.clock import SystemClock

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("verb", ["fit", "partition", "evaluate"])
def test_every_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(app, ["devit", verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_options_arrive_as_they_were_given_and_else_as_the_plan_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[FitOptions, str, int]] = []

    def run(
        options: FitOptions, plan: PlanFile, folder: Path, *, device: str, threads: int, began: float
    ) -> int:
        assert 0 <= SystemClock().now() - began < 5
        seen.append((options, device, threads))
        return 0

    monkeypatch.setattr(fit_module, "run", run)
    required = ["devit", "fit", "--data", str(tmp_path), "--output", str(tmp_path / "run")]
    assert CliRunner().invoke(app, required).exit_code == 0
    several = [
        "--no-partition",
        "--importance",
        "random",
        "--losses",
        "feat",
        "--features",
        "q",
        "--fusion",
        "se",
    ]
    several += ["--ensemble-losses", "token", "--parts", "6", "--minutes", "7", "--device", "cuda"]
    assert CliRunner().invoke(app, [*required, *several]).exit_code == 0
    assert seen[0] == (FitOptions(data=str(tmp_path)), "cpu", 1)
    assert seen[1][0] == FitOptions(
        data=str(tmp_path),
        partition=False,
        importance="random",
        losses="feat",
        features="q",
        fusion="se",
        ensemble_losses="token",
        parts=6,
        minutes=7,
    )
    assert seen[1][1] == "cuda"


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "run", run)
    result = CliRunner().invoke(app, ["devit", "fit", "--data", str(tmp_path), "--output", str(tmp_path)])
    assert result.exit_code == 130
    assert "holds what is done, --resume goes on" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--data", "nowhere"],
        ["--features", "x"],
        ["--parts", "0"],
        ["--fusion", "sum"],
        ["--drop", "2"],
        ["--seed", "99999999999999999999"],
        ["--epochs-parts", "inf"],
        ["--sigma", "nan"],
    ],
)
def test_bad_input_is_exit_status_2_before_torch_is_loaded(wrong: list[str], tmp_path: Path) -> None:
    given = ["main.py", "devit", "fit", "--data", str(tmp_path), "--output", str(tmp_path / "run"), *wrong]
    code = (
        f"import sys; sys.argv = {given!r}; import main\n"
        "try: main.app()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout == "2 False\n"
    assert "Traceback" not in out.stderr
    assert not (tmp_path / "run").exists()
