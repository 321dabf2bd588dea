from collections import Counter

import numpy as np
import pytest
import torch

from commands.evaluation.cells import Cell, grid
from commands.evaluation.sweep import Sweep
from models import SplitViT
from scheduling.pruning import exponential, none, rising, uniform
from sources.motions import motion_sequence
from transport.codecs import get_codec

BATCH = 3
PRUNINGS = [none(12, 129), uniform(6, 12, 129), exponential(0.3, 12, 129)]
CODECS = ["png", "jpeg:60", "float32+zstd", "float16", "int8", "int4+zstd"]


@pytest.fixture(scope="module")
def frames(model):
    return np.stack([motion_sequence(7, i, 16, model.input_size)[1] for i in range(BATCH)])


@torch.inference_mode()
def alone(model, cell, clip):
    """A cell as a device and a cloud run it: logits [classes] and bytes."""
    codec = get_codec(cell.codec) if cell.codec else None
    sent = 0
    if codec and cell.split == 0:
        payload = codec.encode(clip)
        sent, clip = len(payload), codec.decode(payload, clip.shape)
    tokens = model.run_layers(model.embed(model.preprocess(clip[None])), 0, cell.split or 0, cell.pruning)
    if codec and cell.split:
        array, sizes = model.to_features(tokens)
        payload = codec.encode(array)
        sent = len(payload) + (sizes.nbytes if len(sizes) < model.num_tokens else 0)
        tokens = model.from_features([(codec.decode(payload, array.shape), sizes)])
    tokens = model.run_layers(tokens, cell.split or 0, model.num_layers, cell.pruning)
    return model.classify(tokens)[0].numpy(), sent


def test_every_cell_gives_what_it_gives_alone(model, frames):
    cells = grid(PRUNINGS, CODECS, [2, 12], model.num_layers)
    outcomes = Sweep(model, cells).run(frames)
    assert list(outcomes) == cells
    for cell, outcome in outcomes.items():
        for index, clip in enumerate(frames):
            logits, sent = alone(model, cell, clip)
            np.testing.assert_allclose(outcome.logits[index], logits, atol=0.02, rtol=0.02, err_msg=str(cell))
            assert outcome.num_bytes[index] == pytest.approx(sent, rel=0.01), str(cell)


def layers_run(model, monkeypatch, cells, frames):
    """How often each layer ran for a batch."""
    ran = Counter()
    run_layers = SplitViT.run_layers

    def counted(self, tokens, start, stop, pruning=None):
        ran.update(range(start, stop))
        return run_layers(self, tokens, start, stop, pruning)

    monkeypatch.setattr(SplitViT, "run_layers", counted)
    Sweep(model, cells).run(frames)
    return [ran[layer] for layer in range(model.num_layers)]


def test_what_cells_have_in_common_is_computed_once(model, frames, monkeypatch):
    count = lambda cells: layers_run(model, monkeypatch, cells, frames)  # noqa: E731
    lossless = ["png", "raw", "float32", "float32+lz4"]
    assert count(grid([none(12, 129)], lossless, [3, 6], 12)) == [1] * 12
    assert count([Cell(none(12, 129), codec, 6) for codec in ("int8", "int4")]) == [1] * 6 + [2] * 6
    assert count([Cell(none(12, 129), "jpeg:60", 0), Cell(none(12, 129))]) == [2] * 12
    late = [rising(12, 12, 129), none(12, 129)]
    first = next(layer for layer, removed in enumerate(late[0].removed) if removed)
    assert count([Cell(pruning) for pruning in late]) == [1] * first + [2] * (12 - first)
