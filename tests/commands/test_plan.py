from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from commands import plan as planning
from commands.plan import MOST_LEVELS_BYTES, Setup, fixed_policy, load_model, read_levels, set_up
from configs.settings import DeviceSettings, ModelSettings, PlanSettings
from models.registry import get_architecture
from pipeline.errors import ConfigError, ModelError
from pipeline.items import Moment
from scheduling.families import default_prunings
from scheduling.policies import POLICIES
from tests.commands.machines import profile_for
from transport.codecs import codec_names, get_codec

CLIPS, IMAGES = get_architecture("motions"), get_architecture("vit_tiny_patch16_224")
LAST = CLIPS.num_layers + 1


def plan_of(spec=CLIPS, **settings):
    return fixed_policy(PlanSettings(**settings), spec).choose(Moment())


@given(
    split=st.integers(0, LAST),
    codec=st.none() | st.sampled_from(codec_names()),
    pruning=st.sampled_from(["none", "uniform:8", "exponential:0.2"]),
)
@example(split=LAST, codec="jpeg", pruning="none")
def test_a_plan_is_what_was_asked_for_or_refused_where_its_codec_cannot_carry_it(split, codec, pruning):
    kind = "pixels" if split == 0 else "tokens"
    fits = codec is None or split == LAST or get_codec(codec).kind == kind
    if not fits:
        with pytest.raises(ConfigError, match=f"codec .* cannot encode {kind}"):
            plan_of(split=split, codec=codec, pruning=pruning)
        return
    plan = plan_of(split=split, codec=codec, pruning=pruning)
    assert (plan.split, str(plan.pruning)) == (split, pruning)
    assert plan.codec == codec or codec is None
    assert split == LAST or get_codec(plan.codec).kind == kind
    assert len(plan.pruning.removed) == CLIPS.num_layers


@pytest.mark.parametrize(
    ("spec", "split", "codec"),
    [(CLIPS, 0, "h264:23"), (IMAGES, 0, "jpeg:90"), (CLIPS, 4, "int8+zstd"), (IMAGES, 4, "int8+zstd")],
)
def test_without_a_codec_pixels_of_clips_and_of_images_and_tokens_each_get_their_own(spec, split, codec):
    assert plan_of(spec, split=split).codec == codec


def test_without_a_split_the_model_is_cut_in_the_middle():
    assert plan_of().split == CLIPS.num_layers // 2


@pytest.mark.parametrize("split", [None, LAST])
def test_device_only_means_the_last_split_and_needs_no_cloud(split):
    policy = fixed_policy(PlanSettings(device_only=True, split=split), CLIPS)
    assert policy.choose(Moment()).split == LAST
    assert not policy.needs_cloud
    assert fixed_policy(PlanSettings(split=LAST - 1), CLIPS).needs_cloud


@pytest.mark.parametrize("split", [0, 4, LAST - 1, LAST + 1])
def test_device_only_contradicts_any_other_split(split):
    with pytest.raises(ConfigError, match=f"split {LAST}; it contradicts --split {split}"):
        plan_of(device_only=True, split=split)


def test_a_split_beyond_the_model_and_an_unknown_pruning_are_refused():
    with pytest.raises(ConfigError, match=rf"split {LAST + 1} is outside 0 .* {LAST} "):
        plan_of(split=LAST + 1)
    with pytest.raises(ConfigError, match="pruning 'top:3' is unknown"):
        plan_of(pruning="top:3")


def test_no_model_runs_on_random_weights_by_accident():
    with pytest.raises(ConfigError, match=r"vit_tiny_patch16_224 comes without weights; add --weights"):
        load_model(ModelSettings(name="vit_tiny_patch16_224"))


@pytest.mark.parametrize("weights", [None, "random"])
def test_a_model_that_does_not_exist_is_called_unknown_and_the_others_are_listed(weights):
    with pytest.raises(ModelError, match=r"'resnet' is unknown; choose one of .*motions"):
        load_model(ModelSettings(name="resnet", weights=weights))


def test_a_model_is_loaded_as_the_settings_say(model):
    before = torch.get_num_threads()
    try:
        loaded = load_model(ModelSettings(weights="random", dtype="bfloat16", threads=before + 1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert (loaded.name, loaded.dtype, loaded.training) == ("motions", "bfloat16", False)
    assert loaded.digest != model.digest


@pytest.fixture
def unmeasured(monkeypatch):
    """No machine is measured; which files were asked for."""
    asked = []
    monkeypatch.setattr(
        planning, "load_or_make", lambda model, settings, path: asked.append(path) or profile_for(model)
    )
    return asked


def settings_for(**plan):
    return DeviceSettings(model=ModelSettings(threads=torch.get_num_threads()), plan=PlanSettings(**plan))


def policy_of(model, cloud_ms=0.1, levels=None, **plan):
    """The policy of a device of 1 ms a layer, with a cloud of `cloud_ms` a layer (None: no profile)."""
    cloud = None if cloud_ms is None else profile_for(model, cloud_ms).model_dump(mode="json")
    return Setup(settings_for(**plan), model, profile_for(model), levels).policy(cloud)


def splits_of(policy):
    return {candidate.split for candidate in policy.scheduler.table.candidates}


def codecs_of(policy):
    return {candidate.codec for candidate in policy.scheduler.table.candidates} - {"none"}


def test_a_plan_by_hand_fits_the_model_that_is_loaded_and_needs_no_profile(model, unmeasured):
    settings = settings_for(split=3, codec="float16")
    setup = set_up(settings)
    plan = setup.policy(None).choose(Moment())
    assert setup.settings is settings
    assert setup.model.digest == model.digest
    assert (plan.split, plan.codec, len(plan.pruning.removed), plan.why) == (3, "float16", 12, "fixed")
    assert setup.needs_cloud
    assert unmeasured == []


def test_without_a_plan_by_hand_there_is_a_profile_from_the_file_that_was_named(unmeasured, tmp_path):
    settings = settings_for().model_copy(update={"profile": tmp_path / "profile.json", "slowdown": 3.0})
    setup = set_up(settings)
    assert unmeasured == [tmp_path / "profile.json"]
    assert setup.profile.embed_ms == 3 * profile_for(setup.model).embed_ms
    assert setup.needs_cloud


@pytest.mark.parametrize(
    ("name", "splits", "needs_cloud"),
    [("device-only", {LAST}, False), ("cloud-only", {0}, True), ("mixed", {0, LAST}, True)],
)
def test_a_baseline_has_no_other_splits_than_its_name_says(model, name, splits, needs_cloud):
    policy = policy_of(model, policy=name)
    assert splits_of(policy) == splits
    assert policy.needs_cloud == needs_cloud
    assert Setup(settings_for(policy=name), model, profile_for(model)).needs_cloud == needs_cloud


@pytest.mark.parametrize("name", [None, *POLICIES])
def test_every_policy_has_a_plan_that_fits_the_model_and_says_who_chose_it(model, name):
    policy = policy_of(model, None if name == "device-only" else 0.1, policy=name)
    for mbps in (0.01, 1.0, 1000.0):
        plan = policy.choose(Moment(budget_ms=20.0, mbps=mbps))
        assert 0 <= plan.split <= LAST
        assert len(plan.pruning.removed) == model.num_layers
        assert plan.why.startswith(f"{name or 'janus+'}: ")
        assert plan.expected_ms["total"] > 0


def test_the_paper_has_one_codec_for_tokens_and_one_for_pixels_and_ours_what_both_ends_know(model):
    assert codecs_of(policy_of(model, policy="janus")) <= {"float32+lzw", "raw+lzw"}
    ours = codecs_of(policy_of(model, accuracy_tolerance=0))
    assert {"int4+zstd", "h264:23"} <= ours
    assert not any("lzw" in codec for codec in ours)
    known = {name: each for name, each in profile_for(model).codecs.items() if name in ("int8+zstd", "png")}
    cloud = profile_for(model).model_copy(update={"codecs": known}).model_dump(mode="json")
    assert codecs_of(Setup(settings_for(), model, profile_for(model)).policy(cloud)) <= {"int8+zstd", "png"}


def test_codecs_that_were_asked_for_are_the_only_ones(model):
    assert codecs_of(policy_of(model, codecs=("jpeg", "int8"), accuracy_tolerance=0)) == {"jpeg:90", "int8"}
    assert codecs_of(policy_of(model, policy="janus", codecs=("int4", "int8", "png"))) <= {"int4", "png"}
    with pytest.raises(ConfigError, match=r"codec int8\+lz4 is not in the profile of box"):
        policy_of(model, codecs=("int8+lz4",))


@pytest.mark.parametrize("name", ["janus+", "janus", "mixed"])
def test_pixels_that_stay_are_never_sent(model, name):
    policy = policy_of(model, policy=name, pixels_stay=True)
    assert 0 not in splits_of(policy)
    assert LAST in splits_of(policy)
    with pytest.raises(ConfigError, match="cloud-only sends pixels"):
        policy_of(model, policy="cloud-only", pixels_stay=True)


def test_a_cloud_without_a_profile_is_no_use_to_a_policy_that_may_send(model):
    with pytest.raises(ConfigError, match=r"sent no profile of itself; .*--split"):
        policy_of(model, None)


def prunings_of(policy):
    return {candidate.pruning for candidate in policy.scheduler.table.candidates}


def test_janus_plus_merges_along_the_measured_front_and_the_papers_policy_by_its_own_rule(model):
    front = default_prunings(model.num_layers, model.num_tokens)
    assert prunings_of(policy_of(model)) == set(front)
    assert {pruning.name for pruning in prunings_of(policy_of(model, policy="janus"))} == {
        "none",
        "exponential",
    }


LEVELS = """
schema: 1
model: motions
measure: top1
levels:
  - {pruning: none, codec: int8+zstd, accuracy: 0.95, top5: 1.0}
  - {pruning: "uniform:8", codec: int8+zstd, accuracy: 0.90}
  - {pruning: "uniform:8", codec: "h264:23", accuracy: 0.60, dominated: true}
"""


def test_a_level_whose_codec_has_no_price_is_left_out_and_said(model, unmeasured, tmp_path, caplog):
    path = tmp_path / "levels.yaml"
    text = LEVELS.replace("h264:23", "h264:30").replace('8", codec: int8+zstd', '8", codec: png')
    path.write_text(text)
    setup = set_up(settings_for(levels=path))
    assert [level.codec for level in setup.levels] == ["int8+zstd", "png"]
    assert caplog.text.count("levels of h264:30 are left out: the profile of box has") == 1
    cloud = profile_for(model, 0.1).model_dump(mode="json")
    del cloud["codecs"]["int8+zstd"]
    candidates = setup.policy(cloud).scheduler.table.candidates
    assert {candidate.codec for candidate in candidates} <= {"png", "none"}
    assert caplog.text.count("are left out") == 2
    del cloud["codecs"]["png"]
    with pytest.raises(ConfigError, match="every level is of a codec without a price"):
        setup.policy(cloud)


def test_measured_levels_are_all_there_is_to_choose_from(model, unmeasured, tmp_path):
    path = tmp_path / "levels.yaml"
    path.write_text(LEVELS)
    setup = set_up(settings_for(levels=path))
    assert [level.accuracy for level in setup.levels] == [0.95, 0.9, 0.6]
    cloud = profile_for(model, 0.1).model_dump(mode="json")
    policy = setup.policy(cloud)
    assert {str(c.pruning) for c in policy.scheduler.table.candidates} == {"none", "uniform:8"}
    assert codecs_of(policy) == {"int8+zstd", "h264:23"}
    strict = set_up(settings_for(levels=path, max_accuracy_loss=0.1)).policy(cloud)
    assert codecs_of(strict) == {"int8+zstd"}
    with pytest.raises(ConfigError, match="--levels"):
        policy_of(model, max_accuracy_loss=0.1)


BROKEN_LEVELS = {
    "no YAML": ("levels: [", "cannot be read as a level file"),
    "not a map": ("- none", "is a map with the keys model and levels"),
    "nothing": ("", "is a map with the keys model and levels"),
    "no text": (b"\xff\xfe\xff", "cannot be read as a level file"),
    "a date that is none": (LEVELS + "made: 2001-99-99", "month must be in 1..12"),
    "a time that is none": (LEVELS + "made: !!timestamp x", "cannot be read as a level file"),
    "a truth that is none": (LEVELS + "made: !!bool x", "cannot be read as a level file"),
    "an object": (LEVELS + "made: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    "another model": (LEVELS.replace("motions", "vit"), "measured for model vit, not for motions"),
    "an unknown key": (LEVELS + "colour: red", "colour: Extra inputs"),
    "an unknown codec": (LEVELS.replace("h264:23", "gif"), "levels.2: codec 'gif' is unknown"),
    "a codec out of range": (LEVELS.replace("h264:23", "h264:99"), "levels.2: codec 'h264:99'"),
    "an unknown pruning": (LEVELS.replace("none", "top:3"), "levels.0: pruning 'top:3' is unknown"),
    "an impossible accuracy": (LEVELS.replace("0.95", "1.5"), "levels.0.accuracy: "),
    "no accuracy": (LEVELS.replace("0.95", ".nan"), "levels.0.accuracy: "),
    "too much": ("#" * (MOST_LEVELS_BYTES + 1), "is a map with the keys model and levels"),
    "nested too deep": ("[" * 10_000, "cannot be read as a level file"),
}


@pytest.mark.parametrize(("content", "named"), BROKEN_LEVELS.values(), ids=BROKEN_LEVELS.keys())
def test_a_level_file_that_is_wrong_is_named_with_what_is_wrong(model, tmp_path, content, named):
    path = tmp_path / "levels.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_levels(path, model)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert named in line
    assert "\n" not in line
    assert len(line) < 1000


def test_a_level_file_that_is_not_there_or_never_ends_is_one_line(model, tmp_path):
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(ConfigError, match=rf"{path}: cannot be read as a level file \("):
            read_levels(path, model)
    with pytest.raises(ConfigError, match="/dev/zero: "):
        read_levels(Path("/dev/zero"), model)


@pytest.mark.parametrize(
    "named", [{"split": 4}, {"codec": "int8"}, {"pruning": "none"}, {"device_only": True}]
)
@pytest.mark.parametrize(
    "chosen", [{"policy": "janus"}, {"levels": "x.yaml"}, {"pixels_stay": True}, {"codecs": ("png",)}]
)
def test_a_plan_by_hand_leaves_nothing_to_choose(unmeasured, named, chosen):
    with pytest.raises(ConfigError, match=r"leaves nothing to choose: .*--pixels-stay"):
        set_up(settings_for(**named, **chosen))


def test_an_unknown_codec_is_found_before_anything_is_measured(unmeasured):
    with pytest.raises(ConfigError, match="codec 'gif' is unknown"):
        set_up(settings_for(codecs=("png", "gif")))
    assert unmeasured == []
