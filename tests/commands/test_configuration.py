import inspect
import json

import pytest
import typer
import yaml
from typer.testing import CliRunner

from commands import configuration
from commands.configuration import OPTIONS, given
from configs.files import CloudFile, DeviceFile, ReplayFile
from main import app
from pipeline.errors import ConfigError
from sources.writer import write_video
from tests.commands.processes import only_line
from tests.commands.test_replay import records_in, sample_frames


@pytest.fixture
def written(tmp_path):
    def write(**values):
        path = tmp_path / "a.yaml"
        path.write_text(yaml.safe_dump(values))
        return str(path)

    return write


@pytest.fixture
def settled(monkeypatch):
    """Runs a verb up to its settings, which it returns."""
    found = []

    def caught(kind, context, config, **options):
        found.append(wanted(kind, context, config, **options))
        raise ConfigError("far enough")

    wanted = configuration.configured
    monkeypatch.setattr(configuration, "configured", caught)

    def run(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 2, result.output
        assert "far enough" in result.output, result.output
        return found[-1]

    return run


FILE = {"sources": {"a": "pattern:motions"}, "plan": {"split": 13}}


def test_a_file_counts_where_the_command_line_is_silent(written, settled):
    path = written(
        **FILE, clips={"stride": 3, "hop": 5}, model={"threads": 2}, sla_ms=700, metrics={"port": 9}
    )
    found = settled("device", "--config", path, "--stride", 1, "--sla-ms", 600, "--metrics-host", "::1")
    assert (found.clips.stride, found.clips.hop, found.model.threads) == (1, 5, 2)
    assert (found.sla_ms, found.plan.split) == (600, 13)
    assert (found.metrics.port, found.metrics.host) == (9, "::1")


def test_without_a_file_all_options_count_and_defaults_are_those_of_the_settings(settled):
    found = settled("device", "--source", "pattern:motions", "--threads", 3)
    assert found == DeviceFile(model={"threads": 3})
    assert settled("cloud") == CloudFile()
    assert settled("replay", "a.mp4", "-o", "b") == ReplayFile(videos=("a.mp4",), output="b")


CHANGED = {
    "model": "vit_tiny_patch16_224",
    "dtype": "int8",
    "policy": "janus",
    "codecs": "png",
    "cloud": "ws://x:1",
    "videos": "v.mp4",
    "weights": "random",
    "device": "cuda",
    "pattern": "*.mkv",
}
OWN = {"context", "config", "verbose", "source", "sink"}


@pytest.mark.parametrize(
    ("verb", "kind"), [("device", DeviceFile), ("cloud", CloudFile), ("replay", ReplayFile)]
)
def test_every_option_can_be_given_beside_a_file(verb, kind, settled, written, monkeypatch):
    monkeypatch.setattr(configuration, "verify", lambda settings, where: [])
    path = written()
    command = typer.main.get_command(app).commands[verb]
    own = OWN | ({"output"} if verb == "device" else set())
    for option in command.params:
        if option.name in own or option.name in ("help", "log"):
            continue
        value = [] if getattr(option, "is_flag", False) else [CHANGED.get(option.name, "7")]
        name = [] if option.param_type_name == "argument" else [option.opts[-1]]
        if option.name == "accuracy_tolerance" or option.name == "max_accuracy_loss":
            value = ["0.5"]
        found = settled(verb, "--config", path, *name, *value)
        assert found != kind(), f"--{option.name} changes nothing"


def test_an_option_that_nobody_knows_is_a_bug_that_shows():
    context = typer.Context(typer.main.get_command(app).commands["cloud"])
    with pytest.raises(KeyError, match="OPTIONS"):
        given(context, {"weather": 1})
    assert set(OPTIONS) >= {"model.name", "link.url"}
    assert inspect.signature(given).parameters["before"].default == ""


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_device_runs_by_its_file(written, tmp_path):
    output = tmp_path / "out.jsonl"
    path = written(
        sources={
            "left": "pattern:motions?fps=200&clips=2",
            "right": {"url": "pattern:motions?fps=200&clips=1"},
        },
        sinks={"file": {"type": "jsonl", "path": str(output)}, "base": f"sqlite:{tmp_path / 'x.db'}"},
        plan={"device_only": True},
        strict=True,
    )
    result = run("device", "--config", path)
    assert result.exit_code == 0, result.output
    assert sorted(record["clip_id"] for record in records_in(output)) == [
        "left/000000",
        "left/000001",
        "right/000000",
    ]
    other = tmp_path / "other.jsonl"
    result = run(
        "device", "--config", path, "--source", "mid=pattern:motions?fps=200&clips=1", "--sink", other
    )
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["clip_id"] for line in other.read_text().splitlines()] == ["mid/000000"]


def test_a_replay_runs_by_its_file(written, tmp_path):
    frames = sample_frames(0)
    write_video(tmp_path / "a.mp4", [next(frames) for _ in range(32)], 25)
    output = tmp_path / "out.jsonl"
    path = written(
        videos=[str(tmp_path / "a.mp4")], output=str(output), resume=True, plan={"device_only": True}
    )
    assert run("replay", "--config", path).exit_code == 0
    assert [record["seq"] for record in records_in(output)] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["device", "--device-only"], "no source is named: add --source"),
        (["replay", "--device-only", "-o", "x.jsonl"], "no video is named"),
        (["replay", "--device-only", "a.mp4"], "no output is named: add --output"),
        (["device", "--config", "missing.yaml"], "missing.yaml: cannot be read"),
        (["cloud", "--config", "missing.yaml"], "missing.yaml: cannot be read"),
    ],
)
def test_what_is_lacking_is_one_line(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in only_line(result.stderr)


def test_a_wrong_file_starts_nothing(written):
    result = run("cloud", "--config", written(prot=3))
    assert result.exit_code == 2
    assert "prot: unknown key; did you mean port?" in only_line(result.stderr)
    assert "listening" not in result.stdout
