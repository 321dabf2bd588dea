import numpy as np
import pytest
import torch

from commands.profiling.workload import Workload
from models import create_model


@pytest.fixture(scope="module")
def workload(model):
    return Workload(model)


class Spy:
    """Notes the layers that a model runs, what enters them and what leaves."""

    def __init__(self, model, monkeypatch):
        self.calls = []
        run = model.run_layers

        def spied(tokens, start, stop, pruning=None):
            out = run(tokens, start, stop, pruning)
            self.calls.append((start, stop, tokens.x.shape[1], out.x.shape[1]))
            return out

        monkeypatch.setattr(model, "run_layers", spied)


def test_frames_are_a_clip_as_sources_give_it(model, workload):
    size = model.input_size
    assert workload.frames.shape == (model.clip_frames, size, size, 3)
    assert workload.frames.dtype == np.uint8
    assert workload.frames.std() > 10


def test_features_are_what_crosses_a_cut(model, workload):
    with torch.inference_mode():
        tokens = model.embed(model.preprocess(workload.frames[None]))
        expected = model.to_features(model.run_layers(tokens, 0, 5))
    np.testing.assert_array_equal(workload.features(5)[0], expected[0])


@torch.inference_mode()
def test_every_piece_of_work_goes_on_at_the_layer_where_the_last_one_stopped(model, monkeypatch):
    workload, spy = Workload(model), Spy(model, monkeypatch)
    workload.layers(20, 0, 5)()
    workload.layers(40, 8, 9)()
    assert [start for start, *_ in spy.calls] == [index % model.num_layers for index in range(14)]
    assert {(entering, leaving) for _, _, entering, leaving in spy.calls} == {(20, 20), (40, 32)}


@torch.inference_mode()
def test_more_tokens_than_the_model_has_can_be_measured(model, monkeypatch):
    workload, spy = Workload(model), Spy(model, monkeypatch)
    workload.layers(model.num_tokens + 50, 0, 1)()
    assert spy.calls[0][2] == model.num_tokens + 50


@torch.inference_mode()
def test_running_leaves_the_clip_as_it_was(model):
    workload = Workload(model)
    before = workload.features()[0]
    workload.layers(model.num_tokens, 10, model.num_layers)()
    workload.classify()
    workload.cross()
    np.testing.assert_array_equal(workload.features()[0], before)
    assert torch.equal(workload.embed().x[0], torch.from_numpy(before))


def test_an_image_model_gets_one_frame():
    assert Workload(create_model("vit_tiny_patch16_224", "random")).frames.shape == (1, 224, 224, 3)
