import pytest

from pipeline.errors import ConfigError
from pipeline.items import Plan
from scheduling.policies import FixedPolicy
from scheduling.pruning import none
from tests.pipeline.clips import make_clip


def plan(split):
    return Plan(none(12, 197), split, "float32")


def test_every_clip_gets_the_plan_that_was_asked_for_and_the_record_says_so():
    policy = FixedPolicy(plan(4), 12)
    chosen = {policy.choose(make_clip(seq)).split for seq in range(3)}
    assert chosen == {4}
    assert policy.choose(make_clip()).why == "fixed"


@pytest.mark.parametrize(("split", "needs_cloud"), [(0, True), (12, True), (13, False)])
def test_only_the_last_split_needs_no_cloud(split, needs_cloud):
    assert FixedPolicy(plan(split), 12).needs_cloud is needs_cloud


@pytest.mark.parametrize("split", [-1, 14])
def test_a_split_outside_the_model_is_refused(split):
    with pytest.raises(ConfigError, match=r"0 \(all in the cloud\) \.\. 13"):
        FixedPolicy(plan(split), 12)
