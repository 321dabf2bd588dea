import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from commands.check import run
from main import app
from pipeline.errors import ConfigError
from tests.commands.processes import only_line

ROOT = Path(__file__).resolve().parents[2]
READY_MADE = sorted(path for path in (ROOT / "configs").glob("*.yaml") if path.name != "paper.yaml")


@pytest.fixture
def written(tmp_path):
    def write(**values):
        path = tmp_path / "a.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def refused(path):
    with pytest.raises(ConfigError) as caught:
        run(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


PATTERN = {"a": "pattern:motions"}
HERE = {"device_only": True}


def test_what_would_run_is_printed_without_a_secret(written, monkeypatch, capsys):
    monkeypatch.setenv("PW", "hid/den")
    path = written(
        sources={
            "door": "rtsp://me:${PW}@host/1",
            "yard": {"url": "http://host/2", "user": "me", "password": "hidden"},
        },
        sinks={
            "broker": {"type": "mqtt", "host": "broker", "user": "me", "password": "hidden"},
            "hook": "https://example.org/hidden#token=hidden&secret=hidden",
        },
        link={"url": "ws://cloud:8765"},
        sla_ms=600,
    )
    assert run(path) == 0
    out, error = capsys.readouterr()
    assert "hid" not in out + error
    shown = yaml.safe_load(out)
    assert shown["sla_ms"] == 600
    assert shown["sources"]["door"]["url"] == "rtsp://***@host/1"
    assert shown["sinks"]["hook"]["batch"] == 50
    assert out.startswith(f"# {path}: main.py device --config {path} would run with\n")


def test_what_is_printed_would_do_again(written, tmp_path, capsys):
    sinks = {"file": "out.jsonl", "base": "sqlite:x.db", "broker": "mqtt://broker/topic"}
    assert (
        run(written(sources={"door": "rtsp://host/1", "test": "pattern:motions"}, sinks=sinks, plan=HERE))
        == 0
    )
    shown, again = capsys.readouterr().out, tmp_path / "again.yaml"
    again.write_text(shown)
    assert run(again) == 0
    assert capsys.readouterr().out.splitlines()[1:] == shown.splitlines()[1:]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"sources": PATTERN},
            "link.url: no cloud is named; write ws://HOST:PORT, or plan.device_only: true",
        ),
        (
            {"sources": PATTERN, "link": {"url": "http://x:1"}},
            "link.url: cloud URL 'http://x:1' is not of the form",
        ),
        ({"sources": PATTERN, "plan": HERE | {"split": 3}}, "plan.split: --device-only means split 13"),
        ({"sources": PATTERN, "plan": HERE | {"policy": "janus"}}, "plan: a plan that is named"),
        ({"sources": PATTERN, "plan": {"split": 14}}, "plan.split: motions takes 0 (all in the cloud) to 13"),
        (
            {"sources": PATTERN, "plan": {"pruning": "hard"}},
            "plan.pruning: pruning 'hard' is unknown; choose none",
        ),
        ({"sources": PATTERN, "plan": {"codec": "png"}}, "plan.codec: codec png cannot encode tokens"),
        ({"sources": PATTERN, "plan": {"codecs": ["png", "gif"]}}, "plan.codecs.1: "),
        ({"sources": PATTERN, "plan": HERE, "clips": {"frames": 8}}, "clips.frames: motions takes 16"),
        (
            {"sources": PATTERN, "plan": HERE, "model": {"name": "motion"}},
            "model.name: unknown; did you mean motions?",
        ),
        (
            {"model": {"name": "videomae_base_patch16_16x224"}},
            "model.weights: videomae_base_patch16_16x224 comes",
        ),
        ({"sources": {"a": "rtsp://me:hidden@"}, "plan": HERE}, "sources.a: source 'rtsp://***@'"),
        ({"plan": HERE}, "sources: none is named"),
        (
            {
                "sources": PATTERN,
                "plan": HERE,
                "sinks": {"a": "x.jsonl", "b": {"type": "jsonl", "path": "x.jsonl"}},
            },
            "sinks a and b: both write to x.jsonl; drop one or name another file",
        ),
        (
            {
                "sources": PATTERN,
                "plan": HERE,
                "sinks": {"a": "https://h/x#spool=s", "b": "https://h/x#batch=9&spool=x/../s"},
            },
            "sinks a and b: both use the spool x/../s; give one another folder with spool",
        ),
        ({"host": "0.0.0.0"}, "anybody who reaches 0.0.0.0 could use this server: add token_file: FILE"),
        ({"model": {"device": "quantum"}}, "model.device: device 'quantum' is unknown; choose cpu"),
        ({"part": "x", "device": "quantum"}, "device: device 'quantum' is unknown; choose cpu"),
        ({"prot": 3}, "prot: unknown key; did you mean port?"),
    ],
)
def test_what_cannot_run_is_one_line_with_the_key_and_what_would_be_right(written, values, said):
    assert refused(written(**values)).startswith(said)


@pytest.mark.parametrize("plan", [{"policy": "device-only"}, {"split": 13}, HERE])
def test_who_stays_on_the_device_needs_no_cloud(written, plan):
    assert run(written(sources=PATTERN, plan=plan)) == 0


def test_files_that_are_not_there_are_notes(written, capsys):
    assert (
        run(written(sources={"a": "no.mp4"}, plan=HERE, profile="no.json", model={"weights": "no.pth"})) == 0
    )
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("janus: note: ")]
    assert [note.split()[2] for note in notes] == ["model.weights:", "profile:", "sources.a.url:"]


def test_the_verb_is_told_by_the_keys_or_by_the_user(written):
    cloud = written(model={"threads": 2})
    assert CliRunner().invoke(app, ["check", str(cloud)]).stdout.startswith(f"# {cloud}: main.py cloud ")
    result = CliRunner().invoke(app, ["check", str(cloud), "--for", "replay"])
    assert result.exit_code == 2
    assert "link.url: no cloud is named" in only_line(result.stderr)


@pytest.mark.parametrize("path", READY_MADE, ids=lambda path: path.name)
def test_the_ready_made_files_would_do(path, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("a-token-of-these-peers-0")
    monkeypatch.setenv("CAMERA_PASSWORD", "hid@den")
    assert run(path) == 0
    verb = {"rtsp.yaml": "device", "peers.yaml": "device", "cloud.yaml": "cloud"}.get(path.name, "replay")
    out = capsys.readouterr().out
    assert f"main.py {verb} --config" in out
    assert "hid" not in out
    assert f"configs/{path.name}" in path.read_text()


def test_the_file_for_peers_says_first_how_its_token_is_made(monkeypatch, tmp_path):
    path = next(path for path in READY_MADE if path.name == "peers.yaml")
    first, *later = [line.lstrip("# ") for line in path.read_text().splitlines() if "python" in line]
    monkeypatch.chdir(tmp_path)
    subprocess.run(first.split("  ")[0].replace("python", sys.executable, 1), shell=True, check=True)
    assert run(path) == 0
    assert later[0].startswith("python main.py check configs/peers.yaml")


def test_there_are_as_many_ready_made_files_as_promised():
    assert [path.stem for path in READY_MADE] == ["cloud", "kinetics400", "peers", "replay", "rtsp"]


def test_it_loads_no_torch(written):
    path = written(sources=PATTERN, plan=HERE)
    code = (
        f"import sys; sys.argv = ['main.py', 'check', {str(path)!r}]; import main\n"
        "try: main.app()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    assert out.endswith("0 False\n")


def test_a_device_with_peers_needs_no_model_and_no_cloud_but_its_files(written, tmp_path, capsys):
    peers = {"urls": ["ws://a:8766", "wss://b:8766"], "fusion": str(tmp_path / "fusion.safetensors")}
    assert run(written(sources=PATTERN, peers=peers, plan={"codec": "jpeg:80"})) == 0
    out, error = capsys.readouterr()
    assert yaml.safe_load(out)["peers"] == peers
    assert f"peers.fusion: there is no {tmp_path}" in error
    both = written(sources=PATTERN, peers=peers, link={"url": "ws://cloud:1"})
    assert refused(both) == "peers: --cloud and --peers: either a cloud answers or peers do; drop one"
    assert "add --fusion FILE" in refused(written(videos=["a"], output="b", peers={"urls": ["ws://a:1"]}))


def test_a_peers_file_is_known_by_its_part(written, tmp_path, capsys):
    part = tmp_path / "part-1.safetensors"
    assert run(written(part=str(part), threads=2, port=9000)) == 0
    out, error = capsys.readouterr()
    shown = yaml.safe_load(out)
    assert "main.py peer --config" in out
    assert (shown["part"], shown["threads"], shown["port"]) == (str(part), 2, 9000)
    assert f"part: there is no {part} yet" in error
    with pytest.raises(ConfigError, match="part: none is named"):
        run(written(port=9000), "peer")
