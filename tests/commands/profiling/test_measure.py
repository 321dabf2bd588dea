import pytest

from commands.profiling.measure import Effort, is_steady, measure_profile, token_range
from commands.profiling.rounds import Rounds
from pipeline.clock import SystemClock
from pipeline.errors import ConfigError
from scheduling.profile import FitError, Profile, parse_profile
from tests.scheduling.test_profile import PROFILE
from transport.messages import PROTOCOL, REPLY_LIMIT_BYTES, Welcome, decode, encode

LEAST = Effort(9, Rounds(2, 2, 0.0), Rounds(1, 1, 0.0), 1.0)


@pytest.fixture(scope="module")
def profile(model) -> Profile:
    return measure_profile(model, LEAST, token_range(model), SystemClock())


def test_a_profile_is_of_its_model_and_every_part_takes_time(profile, model):
    assert (profile.model, profile.num_layers) == (model.name, model.num_layers)
    assert (profile.num_tokens, profile.dim) == (model.num_tokens, model.dim)
    assert profile.embed_ms > 0 and profile.classify_ms > 0 and profile.overhead_ms > 0
    assert profile.layer.ms(model.num_tokens, 0) > 0
    assert sum(fit.chosen for fit in profile.fits.values()) == 1


def test_it_fits_into_a_welcome(profile, model):
    welcome = Welcome(
        protocol=PROTOCOL,
        model=model.name,
        digest=model.digest,
        max_message_bytes=10**6,
        max_in_flight=8,
        codecs=("int8",),
        profile=profile.model_dump(),
    )
    received = decode(encode(welcome), REPLY_LIMIT_BYTES)
    assert parse_profile(received.profile, "cloud") == profile


def test_the_share_that_is_done_rises_to_one(model):
    heard = []
    measure_profile(model, LEAST, token_range(model), SystemClock(), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1


def test_without_an_asked_range_it_is_what_the_model_can_meet(model):
    tokens = token_range(model)
    assert (tokens.low, tokens.high) == (3, model.num_tokens)
    assert token_range(model, 16, 1568).high == 1568


@pytest.mark.parametrize(("low", "high"), [(2, 100), (50, 57), (100, 20)])
def test_a_range_that_makes_no_curve_is_refused(model, low, high):
    with pytest.raises(ConfigError, match=f"tokens {low} to {high}"):
        token_range(model, low, high)


@pytest.mark.parametrize(("mean_error", "steady"), [(0.03, True), (0.5, False)])
def test_only_the_chosen_curve_says_whether_the_machine_was_steady(mean_error, steady):
    other = FitError(r2=0.0, mean_error=0.9, worst_error=1.0)
    chosen = FitError(r2=0.9, mean_error=mean_error, worst_error=1.0, chosen=True)
    profile = PROFILE.model_copy(update={"fits": {"line": other, "table": chosen}})
    assert is_steady(profile) is steady
