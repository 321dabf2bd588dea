"""Sinks by their settings, and by what a user writes on the command line."""

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rich.console import Console

from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigError
from sinks.base import Sink
from sinks.console import ConsoleSink
from sinks.courier import Remote
from sinks.jsonl import JsonlSink
from sinks.mqtt import MqttRemote
from sinks.outage import Outage
from sinks.runner import Bounds, SinkRunner
from sinks.settings import (
    AnySink,
    ConsoleSettings,
    JsonlSettings,
    MqttSettings,
    SqliteSettings,
    WebhookSettings,
    sink_settings,
    spool_folder,
)
from sinks.spool import Spool
from sinks.spooled import SpooledSink
from sinks.sqlite import SqliteSink
from sinks.webhook import WebhookRemote

MEGABYTE = 1_000_000
LOCAL_RETRY_S = 5.0
SQLITE = "sqlite:"
CONSOLE = "console"
SECRETS = ("password", "token", "secret")
SPELLINGS = "a file, sqlite:FILE, mqtt[s]://HOST[:PORT]/TOPIC, http[s]://HOST/PATH or console"


def make_sink(settings: AnySink, clock: Clock | None = None, console: Console | None = None) -> SinkRunner:
    """A sink on its own thread, not yet open; ConfigError where files that settings name are unusable."""
    clock = clock or SystemClock()
    match settings:
        case ConsoleSettings():
            sink: Sink = ConsoleSink(console or Console())
            return _local(CONSOLE, sink, settings, clock, Bounds(give_up=True, forgiven=True))
        case JsonlSettings(path=path):
            sink = JsonlSink(path, resume=str(path) != "-")
            return _local(str(path), sink, settings, clock, Bounds())
        case SqliteSettings(path=path, grace_s=grace_s):
            retries = Outage(longest_s=LOCAL_RETRY_S)
            database = SqliteSink(path, _spool(settings, clock), clock, grace_s, retries)
            return _spooled(str(path), database, clock, Bounds())
        case MqttSettings():
            return _far(MqttRemote(settings), settings, clock)
        case WebhookSettings():
            return _far(WebhookRemote(settings), settings, clock)


def parse_sink(spec: str) -> AnySink:
    """The settings that a user spells as one word, options behind a #; ConfigError, without secrets.

    `out.jsonl`, `-`, `console`, `sqlite:results.db#spool=FOLDER`, `mqtt://user@host:1883/topic#password_env=NAME`,
    `https://host/hook#secret_file=PATH&batch=10`.
    """
    if spec == CONSOLE:
        return ConsoleSettings()
    if spec.startswith(SQLITE):
        return _of_sqlite(spec)
    if "://" not in spec:
        return JsonlSettings(path=_path(spec, spec))
    scheme = spec.partition("://")[0]
    where = f"sink {scheme}://..."
    try:
        address = urlsplit(spec)
        options = _options(address.fragment)
        values = _of_mqtt(address) if scheme in {"mqtt", "mqtts"} else {"url": spec.partition("#")[0]}
    except ValueError:  # its text may hold what is secret
        raise ConfigError(
            f"{where}: write {SPELLINGS}, with options such as #spool=FOLDER&timeout_s=5 behind"
        ) from None
    kind = {"mqtt": "mqtt", "mqtts": "mqtt", "http": "webhook", "https": "webhook"}.get(scheme)
    if kind is None:
        raise ConfigError(f"{where}: unknown; write {SPELLINGS}")
    return sink_settings({"type": kind, **values, **options}, where)


def _local(name: str, sink: Sink, settings: AnySink, clock: Clock, bounds: Bounds) -> SinkRunner:
    return SinkRunner(
        "standard output" if name == "-" else name,
        sink,
        bounds=bounds,
        grace_s=settings.grace_s,
        clock=clock,
        outage=Outage(longest_s=LOCAL_RETRY_S),
    )


def _far(remote: Remote, settings: MqttSettings | WebhookSettings, clock: Clock) -> SinkRunner:
    sink = SpooledSink(_spool(settings, clock), remote, clock, settings.grace_s)
    return _spooled(remote.name, sink, clock, Bounds(give_up=True))


def _spool(settings: MqttSettings | WebhookSettings | SqliteSettings, clock: Clock) -> Spool:
    return Spool(spool_folder(settings), settings.spool_mb * MEGABYTE, clock)


def _spooled(name: str, sink: SpooledSink, clock: Clock, bounds: Bounds) -> SinkRunner:
    return SinkRunner(
        name,
        sink,
        bounds=bounds,
        clock=clock,
        outage=Outage(longest_s=LOCAL_RETRY_S),
        behind=sink.statistics,
    )


def _path(text: str, spec: str) -> Path:
    if not text:
        raise ConfigError(f"sink {spec!r}: write {SPELLINGS}")
    return Path(text)


def _of_sqlite(spec: str) -> AnySink:
    """A # belongs to the file's name unless KEY=VALUE follows it."""
    name, _, fragment = spec.removeprefix(SQLITE).partition("#")
    if "=" not in fragment:
        return SqliteSettings(path=_path(spec.removeprefix(SQLITE), spec))
    where = f"sink {SQLITE}{name}"
    try:
        options = _options(fragment)
    except ValueError:
        raise ConfigError(f"{where}: write options such as #spool=FOLDER&spool_mb=64 behind") from None
    return sink_settings({**options, "type": "sqlite", "path": _path(name, spec)}, where)


def _of_mqtt(address: SplitResult) -> dict[str, object]:
    values: dict[str, object] = {"host": address.hostname or "", "port": address.port}
    if topic := unquote(address.path.strip("/")):
        values["topic"] = topic
    if address.username is not None:
        values["user"] = unquote(address.username)
    if address.password is not None:
        values["password"] = unquote(address.password)
    if address.query:
        raise ValueError("no query")
    return {**values, "tls": address.scheme == "mqtts"}


def _options(fragment: str) -> dict[str, object]:
    """Settings behind a #; `password_env` and the like say where a secret is."""
    options: dict[str, object] = {}
    for key, value in parse_qsl(fragment, strict_parsing=bool(fragment)):
        name, _, place = key.rpartition("_")
        if name in SECRETS and place in {"env", "file"}:
            options[name] = {place: value}
        else:
            options[key] = value
    return options
