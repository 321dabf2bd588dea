"""Addresses of cameras and streams, with their secrets kept out of sight."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from pipeline.errors import ConfigError
from pipeline.redact import redacted_address

RTSP, HTTP, WEBCAM = ("rtsp", "rtsps"), ("http", "https"), "webcam"
SCHEMES = (*RTSP, *HTTP, WEBCAM)
TRANSPORTS = ("tcp", "udp")
LONGEST_NAME = 48
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?!\\)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a live source is. `url` holds user and password, percent-encoded; `shown` hides them;
    `stem` is what to call the source; `options` are those that are ours, taken out of the URL."""

    scheme: str
    url: str = field(repr=False)
    shown: str
    stem: str
    options: Mapping[str, str] = field(default_factory=dict)


def scheme_of(spec: str) -> str | None:
    """The scheme that `spec` begins with, in small letters; None for a path."""
    found = _SCHEME.match(spec)
    return found[1].lower() if found else None


def parse_address(
    spec: str, user: str | None = None, password: str | None = None, environ: Mapping[str, str] | None = None
) -> Address:
    """The address that a user wrote; ConfigError, without its secrets, for what is none.

    User and password stand in the URL, as ${NAME} of the environment there, or beside it.
    """
    if scheme_of(spec) == WEBCAM:
        return _webcam(spec)
    parts = _split(spec)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    place = f"{host}:{parts.port}" if parts.port else f"{host}"
    info = _user_info(parts, spec, user, password, os.environ if environ is None else environ)
    query, options = _own_options(parts, spec)
    url = parts._replace(netloc=f"{info}@{place}" if info else place, query=query, fragment="").geturl()
    return Address(parts.scheme, url, redacted_address(url), _stem(place), options)


def _split(spec: str) -> SplitResult:
    shown = redacted_address(spec)
    if not spec.isprintable() or " " in spec:
        raise ConfigError(f"source {shown!r}: an address holds no blanks; write %20 for one")
    try:
        parts = urlsplit(spec)
        known = parts.scheme in (*RTSP, *HTTP) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            f"source {shown!r}: no address of a camera; write rtsp://USER:PASSWORD@HOST:PORT/PATH, with "
            "%40 for an @ and %2F for a / in the password"
        )
    return parts


def _user_info(
    parts: SplitResult, spec: str, user: str | None, password: str | None, environ: Mapping[str, str]
) -> str:
    def told(written: str | None) -> str | None:
        return None if written is None else _VARIABLE.sub(look_up, unquote(written))

    def look_up(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise ConfigError(f"source {redacted_address(spec)!r}: the variable {found[1]} is not set")
        return environ[found[1]]

    user = told(parts.username) if user is None else user
    password = told(parts.password) if password is None else password
    return ":".join(quote(each, safe="") for each in (user, password) if each is not None)


def _own_options(parts: SplitResult, spec: str) -> tuple[str, dict[str, str]]:
    """The camera's query, as written, and the transport that is ours."""
    if parts.scheme not in RTSP:
        return parts.query, {}
    fields = parts.query.split("&") if parts.query else []
    ours = [each for each in fields if each.lower().startswith("transport=")]
    transport = ours[-1].partition("=")[2].lower() if ours else TRANSPORTS[0]
    if transport not in TRANSPORTS:
        raise ConfigError(f"source {redacted_address(spec)!r}: transport must be {' or '.join(TRANSPORTS)}")
    return "&".join(each for each in fields if each not in ours), {"transport": transport}


def _webcam(spec: str) -> Address:
    path, _, query = spec.partition(":")[2].partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not path or set(options) - {"size", "fps"}:
        raise ConfigError(f"source {spec!r}: write webcam:/dev/video0, and ?size=640x480&fps=30 if you like")
    if not re.fullmatch(r"(\d{2,4}x\d{2,4})?", options.get("size", "")):
        raise ConfigError(f"source {spec!r}: size must be WIDTHxHEIGHT, such as 640x480")
    if not re.fullmatch(r"([1-9]\d{0,2})?", options.get("fps", "")):
        raise ConfigError(f"source {spec!r}: fps must be a whole number, 1 to 999")
    shown = f"{WEBCAM}:{path}" + (f"?{urlencode(options)}" if options else "")
    return Address(WEBCAM, path, shown, _stem(path.removeprefix("/dev/")), options)


def _stem(place: str) -> str:
    """A name out of host and port, or out of a device file; never of a path, which may be the secret."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", place).strip("-.")
    return name[:LONGEST_NAME].strip("-.") or "camera"
