import re

import pytest
from pydantic import SecretStr

from configs.files import CloudFile, DeviceFile, ReplayFile, kind_of, merged, settings_of
from configs.settings import CloudSettings, DeviceSettings
from pipeline.errors import ConfigError
from sinks.settings import JsonlSettings, MqttSettings, WebhookSettings


def device(**values):
    return settings_of(DeviceFile, values, "a.yaml: ")


def wrong(kind=DeviceFile, **values):
    with pytest.raises(ConfigError) as caught:
        settings_of(kind, values, "a.yaml: ")
    line = str(caught.value)
    assert line.startswith("a.yaml: ")
    assert line.isprintable()
    return line.removeprefix("a.yaml: ")


def test_files_have_all_settings_of_their_verbs():
    assert DeviceFile.model_fields.keys() > DeviceSettings.model_fields.keys()
    assert ReplayFile.model_fields.keys() > DeviceSettings.model_fields.keys()
    assert CloudFile.model_fields.keys() >= CloudSettings.model_fields.keys()
    assert settings_of(CloudFile, {}).port == CloudSettings().port


def test_a_source_is_an_address_or_a_map():
    found = device(
        sources={
            "door": "rtsp://me:hidden@host/1",
            "yard": {"url": "rtsp://host/2?x=1", "user": "me", "password": "hid/den", "transport": "udp"},
            "test": "pattern:motions?fps=8",
            "film": {"url": "not-there-yet.mp4"},
        }
    )
    door, yard, test, film = found.wanted
    assert (door.name, door.address.url) == ("door", "rtsp://me:hidden@host/1")
    assert (yard.address.url, yard.address.options) == (
        "rtsp://me:hid%2Fden@host/2?x=1",
        {"transport": "udp"},
    )
    assert (test.address, test.where) == (None, "pattern:motions?fps=8")
    assert (film.name, film.where) == ("film", "not-there-yet.mp4")
    assert "hid" not in repr(found) + repr(found.wanted)


def test_a_sink_is_a_word_or_a_map(monkeypatch):
    monkeypatch.setenv("PW", "hidden")
    found = device(
        sinks={
            "file": "out.jsonl",
            "broker": {"type": "mqtt", "host": "broker", "user": "me", "password": {"env": "PW"}},
            "hook": "https://example.org/hook#batch=10",
        }
    ).sinks
    assert [type(each) for each in found.values()] == [JsonlSettings, MqttSettings, WebhookSettings]
    assert found["broker"].password == SecretStr("hidden")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sorces": {}}, "sorces: unknown key; did you mean sources?"),
        ({"policy": "janus"}, "policy: unknown key; did you mean plan.policy?"),
        ({"patience": 3}, "patience: unknown key; did you mean link.patience_s?"),
        ({"plan": {"polcy": "janus"}}, "plan.polcy: unknown key; did you mean policy?"),
        (
            {"plan": {"accuracy-tolerance": 0}},
            "plan.accuracy-tolerance: unknown key; did you mean accuracy_tolerance?",
        ),
        ({"metrics": {"weather": 1}}, "metrics.weather: unknown key; there are host, port"),
        ({"plan": {"policy": "jan"}}, "plan.policy: should be 'janus+', 'janus', "),
        ({"plan": [1]}, "plan: should be a map of keys and values"),
        ({"sources": ["a"]}, "sources: should be a map of keys and values"),
        ({"sla_ms": "soon"}, "sla_ms: should be a valid number, "),
        ({"sources": {"a": {"user": "me"}}}, "sources.a.url: is missing"),
        (
            {"sources": {"a": {"url": "x", "pasword": "hidden"}}},
            "sources.a.pasword: unknown key; did you mean password?",
        ),
        ({"sources": {"a b": "x"}}, "sources.a b: a name is of letters, digits"),
        (
            {"sources": {"a": {"url": "x", "transport": "quic"}}},
            "sources.a.transport: should be 'tcp' or 'udp'",
        ),
        (
            {"sinks": {"b": {"type": "mqtt", "hots": "x", "host": "y"}}},
            "sinks.b.hots: unknown key; did you mean host?",
        ),
        (
            {"sinks": {"b": {"type": "mqtt", "host": "x", "port": 0}}},
            "sinks.b.port: should be greater than or equal to 1",
        ),
        ({"sinks": {"b": {"type": "mqqt"}}}, "sinks.b.type: unknown; did you mean mqtt?"),
        (
            {"sinks": {"b": {"type": "fax"}}},
            "sinks.b.type: unknown; there are console, jsonl, mqtt, sqlite, webhook",
        ),
        (
            {"sinks": {"b": {"host": "x"}}},
            "sinks.b.type: is missing; one of mqtt, webhook, sqlite, jsonl, console",
        ),
        ({"sinks": {"b": "ftp://me:hidden@x"}}, "sinks.b: sink ftp://...: unknown; write "),
        (
            {"sinks": {"b": {"type": "mqtt", "host": "x", "password": {"env": "NOPE"}}}},
            "sinks.b.password: the environment",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path_and_what_would_be_right(values, said):
    line = wrong(**values)
    assert line.startswith(said)
    assert "hidden" not in line


def test_all_that_is_wrong_is_in_one_line():
    assert re.fullmatch(
        r"sla_ms: [^;]+; top_k: [^;]+; weather: unknown key; there are .*",
        wrong(sla_ms=0, top_k=0, weather=1),
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rtps://me:hidden@host", "unknown scheme 'rtps'"),
        ("rtsp://me:hidden@", "write rtsp://USER"),
        ("pattern:waves", "only motions"),
        ({"url": "pattern:motions", "user": "me"}, "user and password are of rtsp:// and http:// alone"),
        ({"url": "http://host/x", "transport": "udp"}, "transport is of rtsp:// alone"),
    ],
)
def test_a_source_that_cannot_be_is_named_with_its_key(source, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        _ = device(sources={"door": source}).wanted
    assert str(caught.value).startswith("sources.door: ")
    assert "hidden" not in str(caught.value)


def test_a_replay_has_videos_and_no_metrics():
    found = settings_of(ReplayFile, {"videos": "a.mp4", "output": "out.jsonl"})
    assert [str(each) for each in found.videos] == ["a.mp4"]
    assert wrong(ReplayFile, metrics={"port": 1}).startswith("metrics: a replay serves no metrics")


@pytest.mark.parametrize(
    ("keys", "verb"),
    [
        (["sources", "sla_ms"], "device"),
        (["sorces"], "device"),
        (["plan"], "device"),
        (["videos", "plan"], "replay"),
        (["output", "plan"], "replay"),
        (["host", "model"], "cloud"),
        (["max_btch"], "cloud"),
        (["model"], "cloud"),
        ([], "cloud"),
    ],
)
def test_the_keys_of_a_file_tell_its_verb(keys, verb):
    assert kind_of(dict.fromkeys(keys, 1)) == verb


def test_maps_are_merged_and_all_else_is_replaced():
    below = {"a": {"b": 1, "c": 2}, "d": [1, 2], "e": {"f": 1}}
    assert merged(below, {"a": {"c": 3}, "d": [4], "e": None}) == {"a": {"b": 1, "c": 3}, "d": [4], "e": None}
    assert below["a"] == {"b": 1, "c": 2}
