from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from pipeline.errors import ConfigError
from sinks.settings import MqttSettings, SqliteSettings, WebhookSettings, sink_settings, spool_folder

HOOK = {"type": "webhook", "url": "https://example.org/hook/pa55"}
MQTT = {"type": "mqtt", "host": "broker"}


def secret_of(value: object) -> str:
    settings = sink_settings({**HOOK, "token": value}, "sinks.hook")
    assert isinstance(settings, WebhookSettings)
    assert settings.token is not None
    return settings.token.get_secret_value()


def test_a_secret_comes_by_value_from_a_file_or_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("w0rd\n")
    monkeypatch.setenv("HOOK_TOKEN", "w0rd")
    assert secret_of("w0rd") == "w0rd"
    assert secret_of({"file": str(tmp_path / "token")}) == "w0rd"
    assert secret_of({"env": "HOOK_TOKEN"}) == "w0rd"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"env": "NOT_THERE"}, "token: Value error, the environment variable NOT_THERE is not set"),
        ({"file": "/not/there"}, "/not/there cannot be read (No such file"),
        ({"file": "/"}, "cannot be read (Is a directory"),
        ({"env": "A", "file": "/not/there"}, "token: Input should be a valid string"),
        ({"vault": "x"}, "token: Input should be a valid string"),
    ],
)
def test_a_secret_that_is_not_there_is_one_line(value, said):
    with pytest.raises(ConfigError) as raised:
        secret_of(value)
    assert str(raised.value).startswith("sinks.hook: ")
    assert said in str(raised.value)


def test_a_file_that_holds_no_text_is_no_secret(tmp_path):
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not text"):
        secret_of({"file": str(tmp_path / "token")})


def test_no_secret_shows_in_settings_or_in_an_error_about_them():
    hook = sink_settings({**HOOK, "token": "t0ken", "secret": "s3cret"}, "sinks.hook")
    broker = sink_settings({**MQTT, "user": "camera", "password": "w0rd"}, "sinks.broker")
    said = f"{hook!r} {hook} {broker!r} {hook.label} {broker.label} {hook.model_dump()}"
    with pytest.raises(ConfigError) as raised:
        sink_settings({**MQTT, "password": "w0rd", "port": "s3cret", "pasword": "t0ken"}, "sinks.broker")
    said += str(raised.value)
    with pytest.raises(ValidationError) as unwrapped:
        WebhookSettings(url="https://me:pa55@host/")
    said += str(unwrapped.value)
    assert not [word for word in ("pa55", "t0ken", "s3cret", "w0rd") if word in said]
    assert "sinks.broker: port:" in said
    assert "pasword: Extra inputs are not permitted" in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"type": "kafka"}, "kafka"),
        ({}, "type"),
        ({**HOOK, "url": "ftp://host/x"}, "url: Value error, write https://host/path"),
        ({**HOOK, "url": "https://"}, "write https://host/path"),
        ({**HOOK, "url": "https://host:99999/"}, "write https://host/path"),
        ({**HOOK, "url": "https://[::1/"}, "write https://host/path"),
        ({**HOOK, "url": "https://user:pw@host/"}, "credentials in token"),
        ({**HOOK, "batch": 0}, "batch:"),
        ({**HOOK, "spool_mb": 1}, "spool_mb:"),
        ({**MQTT, "host": ""}, "host:"),
        ({**MQTT, "topic": "a/+/b"}, "topic: Value error, write a prefix"),
        ({**MQTT, "topic": ""}, "write a prefix"),
        ({**MQTT, "topic": "/a"}, "write a prefix"),
        ({**MQTT, "topic": "$SYS"}, "write a prefix"),
        ({**MQTT, "password": "x"}, "a password needs a user"),
        ({**MQTT, "ca": "ca.pem"}, "ca, cert and key need tls"),
        ({"type": "sqlite"}, "path: Field required"),
    ],
)
def test_what_is_wrong_is_one_line(values, said):
    with pytest.raises(ConfigError) as raised:
        sink_settings(values, "sinks.mine")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_settings_do_not_change():
    settings = SqliteSettings(path=Path("a.db"))
    with pytest.raises(ValueError, match="frozen"):
        settings.path = Path("b.db")


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({}, "mqtt://broker:1883/janus"),
        ({"tls": True}, "mqtts://broker:8883/janus"),
        ({"port": 7}, "mqtt://broker:7/janus"),
    ],
)
def test_a_broker_is_at_the_usual_port_unless_told_otherwise(given, label):
    assert MqttSettings(host="broker", **given).label == label


def test_a_spool_has_one_folder_for_each_sink_unless_one_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    ends = [
        MqttSettings(host="a"),
        MqttSettings(host="b"),
        MqttSettings(host="a", topic="other"),
        WebhookSettings(url="https://a/1"),
        WebhookSettings(url="https://a/2"),
    ]
    folders = [spool_folder(end) for end in ends]
    assert len(set(folders)) == len(ends)
    assert {folder.parent for folder in folders} == {tmp_path / "janus" / "spool"}
    assert spool_folder(MqttSettings(host="a", user="u", password=SecretStr("x"))) == folders[0]
    assert spool_folder(MqttSettings(host="a", spool=tmp_path)) == tmp_path
    assert spool_folder(SqliteSettings(path="runs/a.db")) == Path("runs/a.db.spool")
    assert spool_folder(SqliteSettings(path="runs/a.db", spool=tmp_path)) == tmp_path
    monkeypatch.delenv("XDG_STATE_HOME")
    assert ".local/state/janus/spool/mqtt-" in str(spool_folder(ends[0]))


@pytest.mark.parametrize("name", ["ca", "cert"])
def test_certificates_that_cannot_be_used_are_one_line(tmp_path, name):
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(ConfigError, match=r"mqtts://broker:8883/janus: ca, cert or key cannot be used"):
            MqttSettings(host="broker", tls=True, **{name: path}).tls_context()


def test_without_tls_there_is_no_context():
    assert MqttSettings(host="broker").tls_context() is None
    assert WebhookSettings(url="http://a/").tls_context() is None
    assert WebhookSettings(url="https://a/").tls_context() is not None
