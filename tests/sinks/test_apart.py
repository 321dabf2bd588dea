from itertools import permutations

import pytest

from pipeline.errors import ConfigError
from sinks.apart import label, require_apart
from sinks.registry import parse_sink

APART = [
    "console",
    "-",
    "x.jsonl",
    "sqlite:x.db",
    "sqlite:y.db",
    "mqtt://broker/a",
    "mqtt://broker/b",
    "mqtts://broker/a",
    "https://host/1#batch=10",
    "https://host/2#batch=10",
    "https://host/2#spool=again",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to("x.db")
    (tmp_path / "linked").symlink_to("s")


def require(*specs: str) -> None:
    require_apart(zip("abcdefghijklm", map(parse_sink, specs), strict=False))


def test_sinks_that_share_nothing_may_run_together():
    require(*APART)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (("console", "console"), "both write to the terminal; drop one"),
        (("-", "./-"), "both write to standard output; drop one"),
        (("x.jsonl", "{here}/x.jsonl"), "both write to .*x.jsonl; drop one or name another file"),
        (("sqlite:x.db", "sqlite:{here}/x.db"), "both write to .*x.db; drop one or name another file"),
        (("sqlite:x.db#spool=s", "sqlite:link.db#spool=t"), "both write to"),
        (("sqlite:x.db", "./x.db"), "both write to"),
        (("sqlite:x.db#spool=s", "sqlite:y.db#spool=linked"), "both use the spool"),
        (("sqlite:x.db", "mqtt://broker#spool={here}/x.db.spool"), "both use the spool"),
        (
            ("https://host/1", "https://host/1#batch=10"),
            "both use the spool .*; give one another folder with",
        ),
        (("mqtt://broker/a", "mqtt://me@broker/a"), "both use the spool"),
    ],
    ids=str,
)
def test_two_that_share_a_place_are_named_in_one_line_in_either_order(tmp_path, specs, said):
    for first, second in permutations(spec.format(here=tmp_path) for spec in specs):
        with pytest.raises(ConfigError, match=rf"^sinks b and c: {said}") as refused:
            require("sqlite:other.db", first, second)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("console", "console"),
        ("-", "-"),
        ("sqlite:x.db", "x.db"),
        ("https://host/hidden#token=hidden", "https://host"),
        ("mqtt://me:hidden@broker/a", "mqtt://broker:1883/a"),
    ],
)
def test_a_sink_without_a_name_is_called_by_its_place_and_never_by_a_secret(spec, name):
    assert label(parse_sink(spec)) == name
