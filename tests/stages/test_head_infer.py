import numpy as np
import pytest

from pipeline.items import Features, Planned, Prediction, Pruning, Ran, Status
from pipeline.worker import Worker
from scheduling.pruning import uniform
from stages.head_infer import HeadInfer
from tests.stages.packets import CLOCK, TickingClock, motion, plan_for


@pytest.mark.parametrize("pruning", ["none", "exponential:0.3"])
@pytest.mark.parametrize("split", [1, 6, 12])
def test_what_crosses_the_cut_is_what_the_first_layers_make(model, split, pruning):
    clip, plan = motion(), plan_for(model, split, pruning)
    features = HeadInfer(model, None, CLOCK).infer(clip, plan)
    tokens = model.run_layers(model.embed(model.preprocess(clip.frames[None])), 0, split, plan.pruning)
    assert (features.clip, features.plan) == (clip, plan)
    assert features.array.shape == (plan.pruning.tokens_after(model.num_tokens, split), model.dim)
    np.testing.assert_array_equal(features.array, tokens.x[0].numpy())
    np.testing.assert_array_equal(features.sizes, tokens.size[0].numpy())


@pytest.mark.parametrize("pruning", ["none", "exponential:0.3"])
def test_behind_the_last_split_the_clip_ends_as_the_record_of_the_whole_model(model, pruning):
    clip, plan = motion(), plan_for(model, model.num_layers + 1, pruning)
    record = HeadInfer(model, None, CLOCK, top_k=3).infer(clip, plan)
    logits = model(model.preprocess(clip.frames[None]), plan.pruning)[0].numpy()
    assert isinstance(record, Prediction)
    assert (record.clip_id, record.status, record.ran) == (clip.clip_id, Status.OK, Ran.DEVICE)
    assert (record.plan, record.model) == (plan, model.id)
    assert [score.class_id for score in record.classes] == np.argsort(-logits, kind="stable")[:3].tolist()
    assert record.classes[0].name == model.labels[logits.argmax()]


async def test_split_0_gives_the_pixels_untouched_and_waits_for_no_model(model):
    clip, plan = motion(ready_at=1.0), plan_for(model, 0)
    features = await HeadInfer(model, None, CLOCK)(Planned(clip, plan, 0.0))
    assert isinstance(features, Features)
    assert features.array is clip.frames
    assert features.sizes is None


@pytest.mark.parametrize("split", [4, 13])
async def test_layers_run_on_the_model_thread(model, split):
    clock = TickingClock()
    with Worker("model") as worker:
        outcome = await HeadInfer(model, worker, clock)(Planned(motion(), plan_for(model, split), 0.0))
    assert isinstance(outcome, Features if split == 4 else Prediction)
    assert clock.threads == {"model"}


@pytest.mark.parametrize("split", [0, 4, 13])
def test_waiting_and_working_are_told_apart_in_milliseconds(model, split):
    head = HeadInfer(model, None, TickingClock(start_s=10.0, tick_s=0.25))
    clip, plan = motion(ready_at=9.5), plan_for(model, split)
    outcome = head.infer(clip, plan) if split else head.pixels(clip, plan)
    assert outcome.latency_ms == {"wait": 500.0, "head": 250.0}


@pytest.mark.parametrize("merging", ["none", "exponential:0.3"])
@pytest.mark.parametrize("split", [0, 1, 6, 12])
def test_what_left_can_be_finished_here_after_all(model, split, merging):
    clip, plan = motion(), plan_for(model, split, merging)
    head = HeadInfer(model, None, CLOCK, top_k=8)
    features = head.pixels(clip, plan) if split == 0 else head.infer(clip, plan)
    record = head.finish(features)
    whole = model(model.preprocess(clip.frames[None]), plan.pruning)[0].softmax(0)
    assert (record.ran, record.plan, record.status) == (Ran.RESCUE, plan, Status.OK)
    assert set(record.latency_ms) == {"wait", "head", "rescue"}
    for score in record.classes:
        assert score.confidence == pytest.approx(whole[score.class_id].item(), abs=1e-5)


def test_the_layers_that_are_left_can_merge_harder_than_was_planned(model):
    clip, plan = motion(), plan_for(model, 4)
    head = HeadInfer(model, None, CLOCK, top_k=8)
    harder = uniform(12, 8, model.num_tokens)
    record = head.finish(head.infer(clip, plan), harder)
    whole = Pruning("x", 0.0, (0, 0, 0, 0, *harder.removed))
    expected = model(model.preprocess(clip.frames[None]), whole)[0].softmax(0)
    for score in record.classes:
        assert score.confidence == pytest.approx(expected[score.class_id].item(), abs=1e-5)
