import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.settings import (
    ClipSettings,
    CloudSettings,
    DeviceSettings,
    LinkSettings,
    ModelSettings,
    PlanSettings,
    Settings,
    checked,
)
from models.vit import DType
from pipeline.errors import ConfigError
from scheduling.policies import POLICIES
from transport.messages import PROTOCOL, Result, Welcome

ALL = (ModelSettings, ClipSettings, PlanSettings, LinkSettings, DeviceSettings, CloudSettings)


def bounds(kind: type[Settings], name: str) -> list[int]:
    """The least and the greatest value that a setting may have."""
    rules = kind.model_fields[name].metadata
    return [getattr(rule, end) for end in ("ge", "le") for rule in rules if hasattr(rule, end)]


@pytest.mark.parametrize("kind", ALL)
def test_settings_work_untouched_never_change_and_know_their_keys(kind):
    settings = checked(kind)
    assert settings == kind()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, next(iter(kind.model_fields)), None)
    with pytest.raises(ConfigError, match="brightness: Extra inputs"):
        checked(kind, brightness=3)


def test_a_key_that_a_group_does_not_have_is_named_with_its_group():
    with pytest.raises(ConfigError, match=re.escape("plan.bitrate: Extra inputs")):
        checked(DeviceSettings, plan={"bitrate": 3})


def test_groups_may_come_as_settings_or_as_plain_values():
    plain = checked(DeviceSettings, plan={"split": 4}, link={"url": "ws://x:1"}, sla_ms=300)
    made = checked(DeviceSettings, plan=PlanSettings(split=4), link=LinkSettings(url="ws://x:1"), sla_ms=300)
    assert plain == made
    assert (plain.plan.split, plain.link.url, plain.sla_ms) == (4, "ws://x:1", 300)


WRONG = {
    "model.dtype": "float8",
    "model.threads": 0,
    "clips.frames": 0,
    "clips.stride": 0,
    "clips.hop": 0,
    "clips.rate": 0,
    "plan.split": -1,
    "plan.policy": "oracle",
    "plan.codecs": "int8",
    "plan.accuracy_tolerance": 1.5,
    "plan.max_accuracy_loss": -0.1,
    "link.prior_mbps": 0,
    "slowdown": 0.5,
    "in_flight": 0,
    "link.connect_s": 0,
    "link.patience_s": -1,
    "sla_ms": 0,
    "top_k": 0,
}


@pytest.mark.parametrize(("key", "value"), WRONG.items())
def test_a_wrong_value_is_named_with_its_key(key, value):
    group, _, name = key.rpartition(".")
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)}: [^\n;]+$"):
        checked(DeviceSettings, **({group: {name: value}} if group else {name: value}))


@given(keys=st.sets(st.sampled_from(sorted(WRONG)), min_size=1))
def test_one_line_names_all_that_is_wrong_and_nothing_else(keys):
    values: dict[str, object] = {}
    for key in keys:
        group, _, name = key.rpartition(".")
        (values.setdefault(group, {}) if group else values)[name] = WRONG[key]
    with pytest.raises(ConfigError) as caught:
        checked(DeviceSettings, **values)
    assert {problem.partition(":")[0] for problem in str(caught.value).split("; ")} == keys
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("plan", "fixed"),
    [
        ({}, False),
        ({"policy": "device-only"}, False),
        ({"codecs": ("png",), "pixels_stay": True, "accuracy_tolerance": 0.0}, False),
        ({"split": 0}, True),
        ({"pruning": "none"}, True),
        ({"codec": "png"}, True),
        ({"device_only": True}, True),
    ],
)
def test_a_plan_is_fixed_as_soon_as_one_part_of_it_is_named(plan, fixed):
    assert checked(PlanSettings, **plan).fixed == fixed


def test_the_policies_are_those_that_there_are():
    (names, _) = get_args(PlanSettings.model_fields["policy"].annotation)
    assert set(get_args(names)) == set(POLICIES)


@given(port=st.integers(-1000, 70000))
def test_ports_are_those_of_tcp(port):
    if 0 <= port <= 65535:
        assert checked(CloudSettings, port=port).port == port
    else:
        with pytest.raises(ConfigError, match="port"):
            checked(CloudSettings, port=port)


def test_number_formats_are_those_of_the_models():
    assert get_args(ModelSettings.model_fields["dtype"].annotation) == get_args(DType)


@pytest.mark.parametrize("name", ["max_message_bytes", "max_in_flight"])
def test_a_welcome_can_say_every_limit_that_a_cloud_may_have(name):
    welcome = {"protocol": PROTOCOL, "model": "vit", "digest": "1f2e", "codecs": ("int8",)}
    defaults = CloudSettings()
    limits = {limit: getattr(defaults, limit) for limit in ("max_message_bytes", "max_in_flight")}
    for value in bounds(CloudSettings, name):
        assert getattr(Welcome(**welcome, **(limits | {name: value})), name) == value


def test_an_answer_can_list_as_many_classes_as_a_cloud_may_be_asked_for():
    most = bounds(CloudSettings, "top_k")[-1]
    assert len(Result(clip_id="a", classes=(("up", 0, 0.5),) * most).classes) == most
