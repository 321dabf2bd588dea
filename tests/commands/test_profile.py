import pytest

from commands import profile as verb
from commands.profile import ProfileRequest, run
from commands.profiling.cache import load_or_make
from commands.profiling.measure import Effort
from commands.profiling.rounds import Rounds
from configs.settings import ModelSettings
from pipeline.errors import ConfigError

SETTINGS = ModelSettings()
LEAST = Effort(9, Rounds(2, 2, 0.0), Rounds(1, 1, 0.0), 1.0)


@pytest.fixture(autouse=True)
def least_effort(monkeypatch):
    monkeypatch.setattr(verb, "QUICK", LEAST)
    monkeypatch.setattr(verb, "THOROUGH", LEAST)


def test_a_profile_is_written_that_the_model_accepts(model, tmp_path, capsys):
    output = tmp_path / "new" / "profile.json"
    assert run(SETTINGS, output) == 0
    assert load_or_make(model, SETTINGS, output).model == "motions"
    said = capsys.readouterr()
    assert said.out == ""
    for words in ("R²", "line", "quadratic", "chosen", "worst error", "12 layers", "motions@"):
        assert words in said.err


def test_the_range_of_tokens_can_be_asked_for(tmp_path, monkeypatch):
    asked = []
    measure = verb.measure_profile
    monkeypatch.setattr(verb, "measure_profile", lambda *all: asked.append(all[2]) or measure(*all))
    run(SETTINGS, tmp_path / "profile.json", ProfileRequest(fewest_tokens=16, most_tokens=60))
    assert (asked[0].low, asked[0].high) == (16, 60)


def test_a_rough_profile_is_written_with_a_word_of_warning(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(verb, "is_steady", lambda profile: False)
    assert run(SETTINGS, tmp_path / "rough.json", ProfileRequest(most_tokens=20)) == 0
    assert "The machine was busy" in capsys.readouterr().err


def test_a_model_without_weights_is_measured_on_random_ones(tmp_path, capsys):
    settings = ModelSettings(name="vit_tiny_patch16_224")
    assert run(settings, tmp_path / "tiny.json", ProfileRequest(most_tokens=20)) == 0
    assert "random weights" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(verb, "load_model", lambda settings: pytest.fail("loaded the model"))
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file" / "profile.json"):
        with pytest.raises(ConfigError, match=str(output)):
            run(SETTINGS, output)
