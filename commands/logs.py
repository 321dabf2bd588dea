"""How log lines look: text for people, or one JSON object a line for machines; neither shows a secret."""

import json
import logging
import sys
import threading
import warnings
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

from pipeline.redact import redacted

Style = Literal["text", "json"]

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
FIELDS = ("source", "state", "clip", "sink", "peer")
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
PROGRAM = "janus"
MOST_CHARS = 16_384


class TextFormatter(logging.Formatter):
    """One line, and behind it the exception, if there is one."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        return _safe(super().format(record))


class JsonFormatter(logging.Formatter):
    """One object, whatever happened: `exception` holds the whole traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: _safe(str(getattr(record, name))) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            fields["exception"] = _safe(self.formatException(record.exc_info))
        if record.stack_info:
            fields["stack"] = _safe(self.formatStack(record.stack_info))
        return json_line(record.levelname, record.name, record.getMessage(), record.created, **fields)


class Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Where the program's log goes; there is one at most."""


def json_line(level: str, logger: str, message: str, unix_s: float | None = None, **fields: str) -> str:
    """A log line as JSON, all in ASCII, at a time in Unix seconds."""
    now = datetime.now(UTC) if unix_s is None else datetime.fromtimestamp(unix_s, UTC)
    time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": time, "level": level.lower(), "logger": logger, "message": _safe(message)}
    return json.dumps(line | fields)


def set_up(verbose: int, style: Style) -> None:
    """Log to stderr in this style, unless somebody has set up the log already; exceptions that nobody catches
    and warnings of Python become log lines too. A later call changes level and style."""
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each, Stderr)), None)
    if handler is None:
        if root.handlers:
            return
        handler = Stderr()
        root.addHandler(handler)
        _catch_all()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root.setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])


def _catch_all() -> None:
    log = logging.getLogger(PROGRAM)

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("ended by %s", kind.__name__, exc_info=(kind, error, trace))

    def thread_crashed(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            name = args.thread.name if args.thread else "?"
            info = (args.exc_type, args.exc_value, args.exc_traceback)
            log.error("thread %s ended by %s", name, args.exc_type.__name__, exc_info=info)

    def lost(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            info = (args.exc_type, args.exc_value, args.exc_traceback)
            log.error("%s", args.err_msg or "an exception that nobody could catch", exc_info=info)

    def warn(  # noqa: PLR0917 (as Python calls it)
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        log.warning("%s:%d: %s: %s", filename, lineno, category.__name__, message)

    sys.excepthook = crashed
    threading.excepthook = thread_crashed
    sys.unraisablehook = lost
    warnings.showwarning = warn


def _safe(text: str) -> str:
    if len(text) > MOST_CHARS:
        text = f"{text[: MOST_CHARS // 2]} ... {text[-MOST_CHARS // 2 :]}"
    return redacted(text)
