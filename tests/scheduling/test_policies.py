import pytest

from pipeline.errors import ConfigError
from pipeline.items import Moment, Plan
from scheduling.levels import Level
from scheduling.policies import ORACLE, POLICIES, Choice, Codecs, FixedPolicy, make_policy
from scheduling.pruning import none, uniform
from tests.scheduling.machines import LAST, NUM_LAYERS, NUM_TOKENS, make_cloud, make_device

NO_PRUNING = none(NUM_LAYERS, NUM_TOKENS)
STRONGEST = uniform(16, NUM_LAYERS, NUM_TOKENS)
CODECS = Codecs(("int8", "float32"), ("jpeg:90", "png"))


def plan(split):
    return Plan(none(12, 197), split, "float32")


def choice(**rest):
    return Choice(make_device(), make_cloud(), CODECS, **rest)


def candidates(name, **rest):
    return make_policy(name, choice(**rest)).scheduler.table.candidates


def splits(name, **rest):
    return {candidate.split for candidate in candidates(name, **rest)}


def test_every_clip_gets_the_plan_that_was_asked_for_and_the_record_says_so():
    policy = FixedPolicy(plan(4), 12)
    moment = Moment(mbps=3.0, connected=False)
    chosen = policy.choose(moment)
    assert (chosen.split, chosen.why, chosen.moment) == (4, "fixed", moment)
    policy.rescale("float32", 3.0)
    assert policy.choose(Moment(budget_ms=1.0)).split == 4


@pytest.mark.parametrize(("split", "needs_cloud"), [(0, True), (12, True), (13, False)])
def test_only_the_last_split_needs_no_cloud(split, needs_cloud):
    assert FixedPolicy(plan(split), 12).needs_cloud is needs_cloud


@pytest.mark.parametrize("split", [-1, 14])
def test_a_split_outside_the_model_is_refused(split):
    with pytest.raises(ConfigError, match=r"0 \(all in the cloud\) \.\. 13"):
        FixedPolicy(plan(split), 12)


def test_the_baselines_run_where_their_names_say_with_the_strongest_even_merging():
    assert splits("device-only") == {LAST}
    assert splits("cloud-only") == {0}
    assert splits("mixed") == {0, LAST}
    for name in ("device-only", "cloud-only", "mixed"):
        assert {candidate.pruning for candidate in candidates(name)} == {STRONGEST}


@pytest.mark.parametrize("name", [*POLICIES, ORACLE])
def test_only_who_may_send_needs_a_cloud(name):
    assert make_policy(name, choice()).needs_cloud is (name != "device-only")


@pytest.mark.parametrize("name", ["janus", "cloud-only", "mixed"])
def test_the_papers_policies_use_one_codec_for_each_kind(name):
    assert {candidate.codec for candidate in candidates(name)} <= {"int8", "jpeg:90", "none"}


def test_only_prunings_set_the_levels_of_the_paper_apart():
    ranks = {candidate.pruning: candidate.rank for candidate in candidates("janus")}
    assert all(ranks[candidate.pruning] == candidate.rank for candidate in candidates("janus"))
    lightest_first = sorted(ranks, key=lambda pruning: pruning.parameter)
    assert [ranks[pruning] for pruning in lightest_first] == sorted(ranks.values())


def test_janus_plus_may_use_every_codec():
    assert {candidate.codec for candidate in candidates("janus+", tolerance=0)} == {"none", *CODECS.every}


@pytest.mark.parametrize("name", ["janus", "janus+", "mixed", ORACLE])
def test_pixels_that_have_to_stay_are_never_sent(name):
    assert 0 in splits(name)
    assert 0 not in splits(name, pixels_stay=True)


def test_cloud_only_without_pixels_is_refused():
    with pytest.raises(ConfigError, match="cloud-only sends pixels, which --pixels-stay forbids"):
        make_policy("cloud-only", choice(pixels_stay=True))


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"policy 'best' is unknown; choose janus\+, janus, device-only"):
        make_policy("best", choice())


def test_measured_levels_take_the_place_of_the_papers_order():
    levels = [Level(STRONGEST, "int8", 0.9), Level(NO_PRUNING, "jpeg:90", 0.8), Level(NO_PRUNING, "png", 0.5)]
    found = candidates("janus+", levels=levels, max_accuracy_loss=0.2)
    ranks = {(candidate.pruning, candidate.codec): candidate.rank for candidate in found}
    # Nothing else is left: without pruning the device alone is slower, and no better.
    assert ranks == {(STRONGEST, "int8"): 0, (STRONGEST, "none"): 0, (NO_PRUNING, "jpeg:90"): 1}


def test_a_limit_on_the_loss_needs_measured_accuracies():
    with pytest.raises(ConfigError, match="needs measured accuracies"):
        make_policy("janus+", choice(max_accuracy_loss=0.02))


def test_only_janus_plus_and_the_oracle_follow_a_family_of_prunings():
    def family(num_layers, num_tokens, most):
        return [NO_PRUNING, STRONGEST][:most]

    for name in ("janus+", ORACLE):
        assert {candidate.pruning for candidate in candidates(name, family=family)} == {NO_PRUNING, STRONGEST}
        assert {candidate.pruning for candidate in candidates(name, family=family, prunings=1)} == {
            NO_PRUNING
        }
    assert candidates("janus", family=family) == candidates("janus")


@pytest.mark.parametrize("name", ["janus", "janus+", ORACLE])
def test_without_a_family_the_prunings_are_the_papers(name):
    assert {candidate.pruning.name for candidate in candidates(name)} == {"none", "exponential"}


def test_only_so_many_prunings_are_tried_as_are_asked_for():
    assert len({candidate.pruning for candidate in candidates("janus+", prunings=4)}) == 4


def test_the_papers_policy_sees_no_waits_and_janus_plus_does():
    moment = Moment(budget_ms=260.0, mbps=50.0, cloud_wait_ms=5000.0)
    assert make_policy("janus", choice()).choose(moment).split == 0
    assert make_policy("janus+", choice()).choose(moment).split == LAST
    seen = make_policy("janus", choice()).seen(Moment(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.7, 0.8, 1.3, False))
    assert seen == Moment(1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.7, 0.8, 1.0, False)


def test_only_janus_plus_keeps_the_time_to_finish_on_the_device():
    careful = choice(rescue_margin_ms=5.0)
    local_ms = make_policy("janus+", careful).scheduler.table.rescue_ms.min()
    hurried = Moment(budget_ms=local_ms + 4.5, mbps=50.0)
    assert make_policy("janus+", choice()).choose(hurried).pruning == NO_PRUNING
    assert make_policy("janus+", careful).choose(hurried).split == LAST
    assert make_policy(ORACLE, careful).choose(hurried).pruning == NO_PRUNING


def test_a_codec_that_is_larger_than_its_profile_says_is_given_up():
    policy = make_policy("janus", choice())
    moment = Moment(budget_ms=150.0, mbps=3.0)
    assert policy.choose(moment).codec == "jpeg:90"
    policy.rescale("jpeg:90", 10.0)
    assert policy.choose(moment).codec != "jpeg:90"
