import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from commands.plan import fixed_policy, load_model, set_up
from configs.settings import DeviceSettings, ModelSettings, PlanSettings
from models.registry import get_architecture
from pipeline.errors import ConfigError, ModelError
from tests.pipeline.clips import make_clip
from transport.codecs import codec_names, get_codec

CLIPS, IMAGES = get_architecture("motions"), get_architecture("vit_tiny_patch16_224")
LAST = CLIPS.num_layers + 1


def plan_of(spec=CLIPS, **settings):
    return fixed_policy(PlanSettings(**settings), spec).choose(make_clip())


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
    assert policy.choose(make_clip()).split == LAST
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


def test_a_setup_fits_its_plan_to_the_model_that_it_loads(model):
    settings = DeviceSettings(
        model=ModelSettings(threads=torch.get_num_threads()), plan=PlanSettings(split=3, codec="float16")
    )
    setup = set_up(settings)
    plan = setup.policy.choose(make_clip())
    assert setup.settings is settings
    assert setup.model.digest == model.digest
    assert (plan.split, plan.codec, len(plan.pruning.removed)) == (3, "float16", model.num_layers)
