"""Tokens and certificates through real processes: who may come in does, and nobody ever sees a token."""

import json
import secrets
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from sources.writer import write_video
from tests.commands.processes import ENVIRONMENT, cloud, only_line, run, start
from tests.transport.certificates import Authority
from transport.security.tokens import VARIABLE

CLIPS = ("--source", "pattern:motions?clips=2&fps=60", "--split", 11, "-vv")
pytestmark = pytest.mark.timeout(300)


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
                run("device", *CLIPS, "--cloud", url, "--token-file", tmp_path / "wrong"),
                run("device", *CLIPS, "--cloud", url),
            ]
            monkeypatch.setitem(ENVIRONMENT, VARIABLE, right)
            told.append(run("device", *CLIPS, "--cloud", url))
            monkeypatch.delitem(ENVIRONMENT, VARIABLE)
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
            status, _, error = run("device", *CLIPS, *arguments)
            assert status == 2 and line in only_line(error)
        write_video(tmp_path / "clip.mp4", np.zeros((16, 64, 64, 3), np.uint8), 25)
        began = time.monotonic()
        status, _, error = run(
            "replay", tmp_path / "clip.mp4", "--cloud", url, "--output", "-", "--patience", 600
        )
        assert status == 2 and "is of a CA that this device does not know" in only_line(error)
        assert time.monotonic() - began < 60
    status, out, error = run("cloud", "--port", 0, "--tls-cert", old.cert, "--tls-key", old.key)
    assert (status, out) == (2, "") and "old.pem: the certificate has expired" in only_line(error)
    status, out, error = run("cloud", "--port", 0, "--host", "0.0.0.0")
    assert (status, out) == (2, "") and "token_urlsafe(32)" in only_line(error)
