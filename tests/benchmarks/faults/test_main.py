import typer
from typer.testing import CliRunner

from benchmarks.faults import __main__ as program
from benchmarks.faults.evidence import Evidence
from commands.runtime import INTERRUPTED
from pipeline.errors import JanusError
from tests.benchmarks.faults.runs import WANTED, good_run

FEW = (
    "--minutes",
    "1",
    "--camera-faults",
    "0",
    "--kills",
    "0",
    "--cuts",
    "0",
    "--stalls",
    "0",
    "--outages",
    "0",
)


def invoke(*arguments):
    app = typer.Typer()
    app.command()(program.main)
    return CliRunner().invoke(app, arguments)


def told(monkeypatch, outcome):
    """The run is not made; this is what comes of it."""

    async def run(*_):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(program, "_run", run)


def test_faults_that_do_not_fit_are_one_line_before_anything_starts():
    result = invoke("--minutes", "1")
    assert result.exit_code == 2
    assert "choose fewer faults or more --minutes" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_good_run_is_exit_status_zero_and_leaves_its_figures(monkeypatch, tmp_path):
    monkeypatch.setattr(program, "draw", lambda *_: list(WANTED))
    told(monkeypatch, good_run())
    result = invoke(*FEW, "--output", str(tmp_path / "figures.json"))
    assert result.exit_code == 0, result.output
    assert '"good": true' in (tmp_path / "figures.json").read_text()


def test_a_run_that_is_not_as_wanted_is_exit_status_one(monkeypatch):
    told(monkeypatch, Evidence())
    assert invoke(*FEW).exit_code == 1


def test_a_run_that_was_ended_by_a_signal_says_so_by_its_status(monkeypatch):
    told(monkeypatch, None)
    assert invoke(*FEW).exit_code == INTERRUPTED


def test_an_error_within_tasks_is_one_line(monkeypatch):
    inner = ExceptionGroup("tasks", [OSError("other"), JanusError("the device ended")])
    told(monkeypatch, ExceptionGroup("tasks", [inner]))
    result = invoke(*FEW)
    assert result.exit_code == 2
    assert "the device ended" in result.stderr
