import io
import json
import resource
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.errors import ConfigError, JanusError, SinkError
from sinks.outage import Outage
from sinks.record import to_line
from sinks.registry import LOCAL_RETRY_S, make_sink, parse_sink
from sinks.runner import Bounds
from sinks.settings import (
    ConsoleSettings,
    JsonlSettings,
    MqttSettings,
    SqliteSettings,
    WebhookSettings,
)
from sinks.spool import Spool
from tests.sinks.samples import numbered


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        ("out.jsonl", JsonlSettings(path="out.jsonl")),
        ("-", JsonlSettings(path="-")),
        ("a#b.jsonl", JsonlSettings(path="a#b.jsonl")),
        ("console", ConsoleSettings()),
        ("sqlite:results.db", SqliteSettings(path="results.db")),
        ("sqlite:/var/results.db", SqliteSettings(path="/var/results.db")),
        ("sqlite:a#b.db", SqliteSettings(path="a#b.db")),
        (
            "sqlite:results.db#spool=a%20folder&spool_mb=64&grace_s=1",
            SqliteSettings(path="results.db", spool="a folder", spool_mb=64, grace_s=1),
        ),
        ("mqtt://host", MqttSettings(host="host", tls=False)),
        ("mqtt://host:1884/site/cams/", MqttSettings(host="host", port=1884, topic="site/cams")),
        (
            "mqtts://me:p%23ss@host/t",
            MqttSettings(host="host", topic="t", user="me", password="p#ss", tls=True),
        ),
        ("mqtt://[::1]:7/t", MqttSettings(host="::1", port=7, topic="t")),
        (
            "mqtt://host/t#timeout_s=5&spool=dir",
            MqttSettings(host="host", topic="t", timeout_s=5, spool="dir"),
        ),
        ("https://host/hook?key=1", WebhookSettings(url="https://host/hook?key=1")),
        ("http://host/h#batch=7&secret=x", WebhookSettings(url="http://host/h", batch=7, secret="x")),
    ],
)
def test_a_sink_is_spelled_as_one_word(spec, settings):
    assert parse_sink(spec) == settings


def test_a_secret_may_be_named_instead_of_spelled(monkeypatch, tmp_path):
    monkeypatch.setenv("BROKER_PASSWORD", "from env")
    (tmp_path / "token").write_text("from file\n")
    broker = parse_sink("mqtt://camera@host/t#password_env=BROKER_PASSWORD")
    hook = parse_sink(f"https://host/hook#token_file={tmp_path / 'token'}")
    assert broker.password.get_secret_value() == "from env"
    assert hook.token.get_secret_value() == "from file"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "write a file, sqlite:FILE"),
        ("sqlite:", "write a file, sqlite:FILE"),
        ("sqlite:#spool=dir", "write a file, sqlite:FILE"),
        ("sqlite:a.db#spool=dir&x", "sink sqlite:a.db: write options such as #spool=FOLDER"),
        ("sqlite:a.db#spool_mb=1", "sink sqlite:a.db: spool_mb: Input should be greater"),
        ("sqlite:a.db#timeout_s=1", "sink sqlite:a.db: timeout_s: Extra"),
        ("kafka://host/topic", "sink kafka://...: unknown; write a file"),
        ("mqtt://", "host:"),
        ("mqtt://user:pa55#w0rd@host/t", "sink mqtt://...: write"),
        ("mqtt://host:pa55/t", "sink mqtt://...: write"),
        ("mqtt://host/t?qos=pa55", "sink mqtt://...: write"),
        ("mqtt://host/t#qos=pa55", "sink mqtt://...: qos: Extra"),
        ("mqtt://:pa55@host/+", "topic:"),
        ("https://host/pa55#retries", "sink https://...: write"),
        ("https://me:pa55@host/", "credentials in token"),
        ("https://host/#secret_env=MISSING", "secret: Value error, the environment variable MISSING"),
    ],
)
def test_a_spelling_that_is_wrong_is_one_line_without_secrets(spec, said):
    with pytest.raises(ConfigError) as raised:
        parse_sink(spec)
    assert said in str(raised.value)
    assert "pa55" not in str(raised.value)


@given(st.text(max_size=30), st.sampled_from(["mqtt://", "https://", "sqlite:", "sqlite:a#b=", "", "x://"]))
def test_any_spelling_is_settings_or_one_error(rest, start):
    with suppress(JanusError):
        assert parse_sink(start + rest).grace_s > 0


def test_a_file_is_gone_on_with(tmp_path):
    path = tmp_path / "out.jsonl"
    for seq in range(2):
        sink = make_sink(JsonlSettings(path=path))
        sink.open()
        sink.write(numbered(seq))
        sink.close()
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1]
    assert sink.name == str(path)


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("sinks.registry.Outage", lambda longest_s: Outage(0.001, 0.001))
    path = tmp_path / "out.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = make_sink(JsonlSettings(path=path, grace_s=30))
    sink.open()
    limit = sum(len(to_line(numbered(seq))) for seq in range(3)) + 10
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        for seq in range(20):
            sink.write(numbered(seq))
        while (now := sink.statistics()).last_error is None:
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (now.written, now.waiting) == (3, 17)
    assert "File too large" in now.last_error
    sink.close()
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == list(range(20))


def test_standard_output_and_the_console_are_sinks_too(capfd):
    out = io.StringIO()
    for sink in (
        make_sink(JsonlSettings(path="-")),
        make_sink(ConsoleSettings(), console=Console(file=out, width=120)),
    ):
        sink.open()
        sink.write(numbered(4))
        sink.close()
    assert json.loads(capfd.readouterr().out)["seq"] == 4
    assert "1 clips: 1 ok" in out.getvalue()


def test_a_database_is_a_sink(tmp_path):
    sink = make_sink(SqliteSettings(path=tmp_path / "results.db"))
    sink.open()
    sink.write(numbered(0))
    sink.close()
    assert sink.statistics().written == 1
    assert {each.name for each in tmp_path.iterdir()} == {"results.db", "results.db.spool"}


def test_a_database_gets_its_settings_and_is_tried_again_as_often_as_a_file(tmp_path):
    sink = make_sink(SqliteSettings(path="a.db", spool=tmp_path, spool_mb=16, grace_s=2))._sink
    assert (sink._spool.folder, sink._spool._max_bytes) == (tmp_path, 16_000_000)
    assert (sink._grace_s, sink._outage._longest_s) == (2, LOCAL_RETRY_S)


@pytest.mark.parametrize("name", ["host", "url"])
def test_a_far_end_that_is_not_there_is_no_reason_not_to_start(tmp_path: Path, name, unused_tcp_port):
    settings = (
        MqttSettings(host="127.0.0.1", port=unused_tcp_port, spool=tmp_path, grace_s=0)
        if name == "host"
        else WebhookSettings(url=f"http://127.0.0.1:{unused_tcp_port}", spool=tmp_path, grace_s=0)
    )
    sink = make_sink(settings)
    sink.open()
    sink.write(numbered(0))
    sink.close()
    assert sink.statistics().spooled == 1


@pytest.fixture
def no_room(monkeypatch):
    def full(self: Spool, line: bytes) -> None:
        raise SinkError("spool: records cannot be spooled (No space left on device)")

    monkeypatch.setattr(Spool, "append", full)
    monkeypatch.setattr("sinks.registry.Bounds", partial(Bounds, most_records=2))


def test_a_database_whose_spool_has_no_room_ends_the_run_before_it_loses_a_record(tmp_path, no_room):
    sink = make_sink(SqliteSettings(path=tmp_path / "results.db", grace_s=0))
    sink._grace_s = 0.01
    sink.open()
    sink.write(numbered(0))
    while sink.statistics().last_error is None:
        pass
    sink.write(numbered(1))
    with pytest.raises(SinkError, match=r"left on device\); 2 records wait in memory and no more can"):
        sink.write(numbered(2))
    assert (sink.statistics().waiting, sink.statistics().given_up) == (2, 0)
    with pytest.raises(SinkError, match=r"left on device\); 2 records were not written"):
        sink.close()


def test_a_far_end_whose_spool_has_no_room_gives_up_the_oldest_and_never_ends_the_run(tmp_path, no_room):
    sink = make_sink(WebhookSettings(url="http://127.0.0.1:9/", spool=tmp_path, grace_s=0))
    sink._grace_s = 0.01
    sink.open()
    for seq in range(6):
        sink.write(numbered(seq))
    assert sink.statistics().given_up >= 3
    with pytest.raises(SinkError, match=r"left on device\); 6 records were not written"):
        sink.close()
