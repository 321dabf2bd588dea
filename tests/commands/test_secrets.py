"""Tokens and certificates through real processes: who may come in does, and nobody ever sees a token."""

import base64
import json
import re
import secrets
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from commands.profiling.cache import write_profile
from main import app
from sources.writer import write_video
from tests.commands.machines import profile_for
from tests.commands.operations.pages import Page, fetch
from tests.commands.processes import ENVIRONMENT, Listener, cloud, only_line, run, start
from tests.commands.secrecy import command_line, files_below, hook, seen
from tests.commands.test_runtime import logging_of_a_new_process
from tests.sources.live.cameras import free_port
from tests.transport.certificates import Authority
from transport.security.tokens import VARIABLE

CLIPS = ("--source", "pattern:motions?clips=2&fps=60", "--split", 11, "-vv")
pytestmark = pytest.mark.timeout(300)


def run_here(*arguments):
    """As `run`, in this process."""
    with logging_of_a_new_process():
        result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@contextmanager
def watched_command_lines(*words):
    """Which of `words` stand in any process's command line, looked at all the time."""
    seen, over = set(), threading.Event()

    def watch():
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes()
                except OSError:
                    continue
                seen.update(word for word in words if word.encode() in line)
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@given(before=st.binary(max_size=9), secret=st.text(min_size=6), after=st.binary(max_size=9))
def test_a_secret_is_found_in_every_form(before, secret, after):
    hidden = base64.b64encode(before + secret.encode() + after).decode()
    for text in (f"a{secret}b", quote(secret, safe=""), hidden, hidden.translate({43: "-", 47: "_"})):
        assert seen({"it": secret}, {"here": "nothing", "there": text}) == {("it", "there")}


def test_a_token_lets_in_who_has_it_and_is_seen_nowhere(tmp_path, monkeypatch):
    right, wrong, canary = (secrets.token_urlsafe(32) for _ in range(3))
    for name, token in (("right", right), ("wrong", wrong)):
        (tmp_path / name).write_text(f"{token}\n")
    output = tmp_path / "records.jsonl"
    with watched_command_lines(right, wrong, canary) as seen:
        sleeper = start("camera", "--path", canary, "--port", 0, "pattern:motions")
        with cloud("-vv", "--token-file", tmp_path / "right") as (process, url):
            told = [
                run("device", *CLIPS, "--cloud", url, "--token-file", tmp_path / "right", "--output", output),
                run_here("device", *CLIPS, "--cloud", url, "--token-file", tmp_path / "wrong"),
                run_here("device", *CLIPS, "--cloud", url),
            ]
            monkeypatch.setenv(VARIABLE, right)
            told.append(run_here("device", *CLIPS, "--cloud", url))
            monkeypatch.delenv(VARIABLE)
            process.terminate()
            cloud_said = process.communicate()
        sleeper.kill()
        sleeper.communicate()
    assert seen == {canary}
    assert [status for status, _, _ in told] == [0, 2, 2, 0]
    assert "does not know this device's token" in only_line(told[1][2])
    assert "wants a token; give it by --token-file or JANUS_TOKEN" in only_line(told[2][2])
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(record["status"], record["plan"]["ran"]) for record in records] == [("ok", "split")] * 2
    assert "a wrong token" in cloud_said[1] and "no token" in cloud_said[1]
    said = "".join(
        [*cloud_said, *(text for _, out, error in told for text in (out, error)), output.read_text()]
    )
    assert "DEBUG" in said
    for token in (right, wrong):
        assert token not in said and token[:12] not in said


def test_devices_and_clouds_with_certificates_know_each_other_and_tell_others_why_not(tmp_path):
    authority = Authority(tmp_path)
    site, camera, old = (
        authority.issue(name, days=days) for name, days in (("site", 9), ("cam", 9), ("old", -1))
    )
    shown = ("--tls-ca", authority.cert, "--tls-cert", camera.cert, "--tls-key", camera.key)
    served = ("--tls-cert", site.cert, "--tls-key", site.key, "--tls-client-ca", authority.cert)
    with cloud("--host", "127.0.0.1", *served) as (_, url):
        assert url.startswith("wss://127.0.0.1:")
        status, out, _ = run("device", *CLIPS, "--output", "-", "--cloud", url, *shown)
        assert status == 0
        assert [json.loads(line)["plan"]["ran"] for line in out.splitlines()] == ["split"] * 2
        for arguments, line in (
            (
                ("--cloud", url, *shown[:2]),
                "wants a certificate of this device; give --tls-cert and --tls-key",
            ),
            (("--cloud", url, *shown[2:]), "is of a CA that this device does not know"),
            (("--cloud", url.replace("wss:", "ws:")), f"speaks TLS; dial {url}"),
        ):
            status, _, error = run_here("device", *CLIPS, *arguments)
            assert status == 2 and line in only_line(error)
        write_video(tmp_path / "clip.mp4", np.zeros((16, 64, 64, 3), np.uint8), 25)
        began = time.monotonic()
        status, _, error = run_here(
            "replay", tmp_path / "clip.mp4", "--cloud", url, "--output", "-", "--patience", 600
        )
        assert status == 2 and "is of a CA that this device does not know" in only_line(error)
        assert time.monotonic() - began < 60
    status, out, error = run_here("cloud", "--port", 0, "--tls-cert", old.cert, "--tls-key", old.key)
    assert (status, out) == (2, "") and "old.pem: the certificate has expired" in only_line(error)
    status, out, error = run_here("cloud", "--port", 0, "--host", "0.0.0.0")
    assert (status, out) == (2, "") and "token_urlsafe(32)" in only_line(error)


CLOUD_FILE = """
port: 0
profile: {folder}/profile.json
token_file: {folder}/token
tls_cert: {folder}/site.pem
tls_key: {folder}/site.key
metrics: {{port: 0}}
log: json
"""
DEVICE_FILE = """
sources:
  door: rtsp://${{THE_USER}}:${{THE_CAMERA}}@127.0.0.1:{camera}/cam
sinks:
  file: {out}/records.jsonl
  database: sqlite:{out}/records.db
  hook:
    type: webhook
    url: {hook}/${{THE_PATH}}?t=${{THE_KEY}}
    token: {{env: THE_BEARER}}
    secret: {{file: {folder}/hook-secret}}
    spool: {out}/hook
    grace_s: 0.1
  broker: mqtt://janus:${{THE_BROKER}}@127.0.0.1:{nobody}/site#spool={out}/broker&grace_s=0.1
link:
  url: {url}
  token_file: {folder}/token
  tls_ca: {folder}/ca.pem
plan: {{split: 4}}
clips: {{hop: 8}}
metrics: {{port: 0}}
grace_s: 20
log: json
"""


def until(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def test_no_secret_is_seen_anywhere_on_a_day_when_everything_goes_wrong(tmp_path, monkeypatch, model):
    folder, out, camera_port = tmp_path / "etc", tmp_path / "out", free_port()
    folder.mkdir(), out.mkdir()
    secret = {
        name: f"{name[:2]}/{secrets.token_hex(6)}@{secrets.token_hex(6)}"
        for name in ("user", "camera", "broker", "path", "key", "token", "signature", "bearer")
    }
    site = Authority(folder).issue("site")
    assert site.cert == folder / "site.pem"
    secret["token"] = secrets.token_urlsafe(32)
    (folder / "token").write_text(secret["token"])
    (folder / "hook-secret").write_text(secret["signature"])
    write_profile(profile_for(model), folder / "profile.json")
    for name in ("user", "camera", "broker", "path", "key", "bearer"):
        monkeypatch.setitem(ENVIRONMENT, f"THE_{name.upper()}", secret[name])

    places, said = {}, {}

    def begin(name, *arguments):
        process = stack.enter_context(start(*arguments))
        stack.callback(process.kill)
        said[name] = Listener(process)
        return process

    def camera(name, password):
        (folder / "password").write_text(password)
        login = ("--user", secret["user"], "--password-file", folder / "password")
        playing = begin(
            name,
            *("camera", "pattern:motions?clips=1", "--port", camera_port, "--path", "cam", "-vv"),
            *login,
        )
        places[f"command line of the {name}"] = command_line(playing).replace(secret["user"], "")
        return playing

    def look(when):
        for page in ("metrics", "healthz", "readyz"):
            places[f"/{page} {when}"] = fetch(address.replace("/metrics", f"/{page}"))[1]
        return Page(places[f"/metrics {when}"]), places[f"/readyz {when}"]

    with ExitStack() as stack:
        heard = stack.enter_context(hook())
        first = camera("camera", secret["camera"])
        (folder / "cloud.yaml").write_text(CLOUD_FILE.format(folder=folder))
        far = begin("cloud", "cloud", "--config", folder / "cloud.yaml", "-vv")
        url = re.search(r"wss://[^/ ]+", said["cloud"].wait_for("listening at"))[0]
        text = DEVICE_FILE.format(
            folder=folder, out=out, camera=camera_port, hook=heard.url, url=url, nobody=free_port()
        )
        (folder / "device.yaml").write_text(text)
        (folder / "wrong.yaml").write_text(text.replace("grace_s: 20", "grace: 20"))
        device = begin("device", "device", "--config", folder / "device.yaml", "-vv")
        begin("check", "check", folder / "device.yaml")
        begin("wrong file", "device", "--config", folder / "wrong.yaml")
        address = re.search(r"http://\S+/metrics", said["device"].wait_for("metrics at"))[0]

        until(lambda: look("at first")[0]("janus_clips_total", status="ok", ran="split") > 1)
        for status in (503, 422, 200):
            heard.status, count = status, len(heard.bodies)
            until(lambda count=count: len(heard.bodies) > count + 1)
        page, ready = look("with sinks that failed")
        assert page("janus_sink_given_up_records_total", sink=heard.url) > 0
        assert "sink mqtt://127.0.0.1:" in ready
        first.kill()
        until(lambda: "source door: reconnecting" in look("without a camera")[1])
        camera("other camera", "another password")
        until(lambda: "source door: failed" in look("with another password")[1])
        places |= {f"command line of {each.args[2]}": command_line(each) for each in (device, far)}
        for process in (device, far):
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        assert (device.returncode, far.returncode) == (0, 0)
        stack.close()
        places |= {f"what the {name} said": each.all() for name, each in said.items()}
    places |= files_below(out) | {"what the hook got": "".join(heard.bodies)}
    assert not seen(secret, places)
    assert {"records.jsonl", "records.db"} <= set(places)
    assert any(place.startswith("broker/") and "door/0" in text for place, text in places.items())
    assert "door: reconnecting" in places["what the device said"]
    assert '"level": "debug"' in places["what the device said"]
    assert "grace" in only_line(places["what the wrong file said"])
