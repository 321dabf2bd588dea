import json
import logging

import pytest

from commands.profiling import cache
from commands.profiling.cache import cache_folder, cache_key, load_or_make, read_profile, write_profile
from configs.settings import ModelSettings
from models import create_model
from pipeline.errors import ConfigError
from scheduling.profile import FitError
from tests.scheduling.test_profile import PROFILE

SETTINGS = ModelSettings()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A cache folder of its own, and a list of the profiles that were measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = []

    def measure(model, *rest):
        measured.append(model.name)
        return PROFILE

    monkeypatch.setattr(cache, "measure_profile", measure)
    return measured


def only_file():
    (file,) = cache_folder().iterdir()
    return file


def test_a_profile_is_made_once_and_kept(model, made, tmp_path):
    assert load_or_make(model, SETTINGS, None) == PROFILE
    assert load_or_make(model, SETTINGS, None) == PROFILE
    assert made == ["motions"]
    assert only_file().parent == tmp_path / "janus" / "profiles"
    assert only_file().stem == cache_key(model, SETTINGS)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "[" * 100_000, "\udcff", "x" * (2 << 20)])
def test_an_unreadable_cache_is_made_anew(model, made, content):
    load_or_make(model, SETTINGS, None)
    only_file().write_text(content, errors="surrogateescape")
    assert load_or_make(model, SETTINGS, None) == PROFILE
    assert made == ["motions"] * 2
    assert read_profile(only_file()) == PROFILE


def test_a_cache_that_cannot_be_written_is_a_warning(model, made, tmp_path, caplog):
    (tmp_path / "janus").write_text("a file where the folder belongs")
    with caplog.at_level(logging.WARNING):
        assert load_or_make(model, SETTINGS, None) == PROFILE
    assert "cannot be kept" in caplog.text


def test_what_a_busy_machine_gave_is_used_but_not_kept(model, made, monkeypatch, caplog):
    fits = {"line": FitError(r2=0.1, mean_error=0.5, worst_error=2.0, chosen=True)}
    rough = PROFILE.model_copy(update={"fits": fits})
    monkeypatch.setattr(cache, "measure_profile", lambda *rest: rough)
    assert load_or_make(model, SETTINGS, None) == rough
    assert not cache_folder().exists()
    assert "busy" in caplog.text


def test_the_key_changes_with_whatever_speed_depends_on(model, monkeypatch):
    keys = {cache_key(model, SETTINGS), cache_key(model, ModelSettings(threads=2))}
    keys.add(cache_key(create_model("motions", dtype="bfloat16"), SETTINGS))
    keys.add(cache_key(create_model("motions", weights="random"), SETTINGS))
    monkeypatch.setattr(cache, "processor_name", lambda device: "another")
    keys.add(cache_key(model, SETTINGS))
    assert len(keys) == 5


def test_a_given_profile_is_read_and_nothing_measured(model, made, tmp_path):
    write_profile(PROFILE, tmp_path / "mine.json")
    assert load_or_make(model, SETTINGS, tmp_path / "mine.json") == PROFILE
    assert made == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": "vit"}, "model vit, not motions"),
        ({"num_layers": 24}, "layers 24, not 12"),
        ({"num_tokens": 197}, "tokens 197, not 129"),
        ({"dim": 192}, "dim 192, not 128"),
        ({"machine": PROFILE.machine.model_copy(update={"dtype": "int8"})}, "dtype int8, not float32"),
        ({"machine": PROFILE.machine.model_copy(update={"threads": 4})}, "threads 4, not 1"),
    ],
)
def test_a_given_profile_of_another_setting_is_refused(model, made, tmp_path, change, complaint):
    path = tmp_path / "other.json"
    write_profile(PROFILE.model_copy(update=change), path)
    with pytest.raises(ConfigError, match=complaint) as refusal:
        load_or_make(model, SETTINGS, path)
    assert str(refusal.value).startswith(str(path))
    assert "main.py profile --model motions" in str(refusal.value)


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"schema_version": 1}'])
def test_a_given_file_that_is_no_profile_is_one_clear_line(model, made, tmp_path, content):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"bad\.json: "):
        load_or_make(model, SETTINGS, path)
    assert made == []


def test_writing_leaves_the_old_profile_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "profile.json"
    write_profile(PROFILE, path)
    monkeypatch.setattr("pathlib.Path.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_profile(PROFILE.model_copy(update={"embed_ms": 99.0}), path)
    assert json.loads(path.read_text())["embed_ms"] == PROFILE.embed_ms
    assert list(tmp_path.iterdir()) == [path]
