"""Traces from disk: one run of a file, or all there are below a folder."""

from dataclasses import replace
from pathlib import Path

from pipeline.errors import ConfigError
from scheduling.traces import Trace, parse_csv, parse_list, parse_trace_spec

SUFFIXES = (".list", ".csv")
CAMPAIGN = "throughput"
PINGS = "ping"
MOST_BYTES = 64 << 20


def read_trace(spec: str) -> Trace:
    """The trace that `FILE[:RUN[:5g|lte]]` names, the file's first where no run is given."""
    wanted = parse_trace_spec(spec)
    if not wanted.path.is_file():
        raise ConfigError(f"{wanted.path}: is no file; give a trace as FILE[:RUN[:5g|lte]]")
    return wanted.choose(read_traces(wanted.path))


def read_traces(path: Path) -> list[Trace]:
    """All traces of a file, or of every .list and .csv below a folder, in the order of their names.

    Names and groups come from the path below the folder `throughput`, where there is one:
    "static/5g/away_p1 run 3" of the group "static 5g". Folders `ping` hold no throughput and are
    skipped. Raises ConfigError in one line that names the file.
    """
    files = _files_below(path) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"{path}: holds no trace; traces are files that end in .list or .csv")
    return [trace for file in files for trace in _read(file, _anchor(file, path))]


def _files_below(folder: Path) -> list[Path]:
    base = folder / CAMPAIGN if (folder / CAMPAIGN).is_dir() else folder
    found = (file for file in sorted(base.rglob("*")) if file.suffix in SUFFIXES and file.is_file())
    return [file for file in found if PINGS not in file.relative_to(base).parent.parts]


def _anchor(file: Path, given: Path) -> Path:
    """The folder that names begin below."""
    for folder in file.parents:
        if folder.name == CAMPAIGN:
            return folder
    return given if given.is_dir() else file.parent


def _read(file: Path, anchor: Path) -> list[Trace]:
    text = _text(file)
    traces = parse_list(text, str(file)) if file.suffix == ".list" else [parse_csv(text, str(file))]
    short = file.relative_to(anchor).with_suffix("")
    group = " ".join(short.parent.parts) or short.name
    return [
        replace(trace, name=f"{short}{trace.name.removeprefix(str(file))}", group=_group(group, trace))
        for trace in traces
    ]


def _group(folders: str, trace: Trace) -> str:
    """The folders' words, and the technology where it is another than theirs."""
    if trace.technology is None or trace.technology in folders.split():
        return folders
    return f"{folders} ({trace.technology})"


def _text(file: Path) -> str:
    if file.suffix not in SUFFIXES:
        raise ConfigError(f"{file}: is no trace; traces are files that end in .list or .csv")
    if PINGS in file.absolute().parts[-4:-1]:
        raise ConfigError(f"{file}: lies in a folder {PINGS!r}, which holds round trips, not throughput")
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file}: is no regular file")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{file}: is over {MOST_BYTES >> 20} MiB, the most that a trace may have")
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is no text; a trace is a text file in UTF-8") from None
