"""The units for systemd: what they start exists, and they end no sooner than the program does."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from configs.settings import CloudSettings, DeviceSettings
from main import app
from sinks.runner import ABANDON_S
from sinks.settings import SinkSettings
from sinks.spooled import HANG_S

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "operations"
ENDS_WITHIN_S = {
    "device": DeviceSettings().grace_s + SinkSettings().grace_s + HANG_S + ABANDON_S,
    "cloud": CloudSettings().grace_s,
}
both = pytest.mark.parametrize("verb", ENDS_WITHIN_S)


def unit(verb):
    return FOLDER / f"janus-{verb}.service"


def service(verb):
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read(unit(verb))
    return parser["Service"]


@both
def test_its_options_are_those_of_the_program(verb):
    command = service(verb)["ExecStart"].split()
    assert command[1:3] == ["/opt/janus/main.py", verb]
    result = CliRunner().invoke(app, command[2:])
    assert result.exit_code == 2
    assert f"/etc/janus/{verb}.yaml: " in result.stderr and "cannot be read" in result.stderr


@both
def test_nothing_is_killed_that_still_has_grace(verb):
    assert int(service(verb)["TimeoutStopSec"]) > ENDS_WITHIN_S[verb]


@both
def test_it_writes_only_where_it_may_and_gets_no_secret_by_its_command(verb):
    found = service(verb)
    assert found["ProtectSystem"] == "strict" and found["DynamicUser"] == found["NoNewPrivileges"] == "yes"
    assert found["WorkingDirectory"] == f"%S/{found['StateDirectory']}"
    assert found["EnvironmentFile"] == f"-/etc/janus/{verb}.env"
    for home in re.findall(r"=(%C\S*)", found["Environment"]):
        assert home in {"%C", f"%C/{found['CacheDirectory']}", f"%C/{found['CacheDirectory']}/hub"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@both
def test_systemd_understands_every_line(verb, tmp_path):
    here = tmp_path / unit(verb).name
    here.write_text(unit(verb).read_text().replace("/opt/janus/.venv/bin/python", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
