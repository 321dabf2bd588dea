import threading

import numpy as np
import pytest

from commands.evaluation.cells import Cell, grid
from commands.evaluation.here import Judge, answers_here, best_classes, read_ahead
from models import create_model
from pipeline.errors import ModelError
from scheduling.pruning import none, uniform
from tests.commands.evaluation.items import motions, of_several_views, unreadable

NONE, SOME = none(12, 129), uniform(6, 12, 129)
CELLS = grid([NONE, SOME], ["jpeg:60", "int8"], [6], 12)


@pytest.fixture(scope="module")
def items(model):
    return motions(model, 10)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_answers_do_not_depend_on_the_batch(model, items, batch):
    mixed = [items[0], of_several_views(items[1:4]), *items[4:]]
    answers = list(answers_here(mixed, Judge(model, model, CELLS), batch))
    assert [answer.name for answer in answers] == [item.name for item in mixed]
    for answer, item in zip(answers, mixed, strict=True):
        alone = next(iter(answers_here([item], Judge(model, model, CELLS), 100)))
        assert [ids[0] for ids in answer.best] == [ids[0] for ids in alone.best]
        assert answer.num_bytes == pytest.approx(alone.num_bytes, rel=0.02)
    assert all(len(ids) == 5 for answer in answers for ids in [answer.reference, *answer.best])


def test_the_model_that_ships_is_right_and_agrees_with_itself(model, items):
    for answer in answers_here(items, Judge(model, model, [Cell(SOME), Cell(NONE)]), 4):
        assert answer.reference[0] == answer.class_id
        assert answer.best[1] == answer.reference
        assert answer.num_bytes == [0, 0]


def test_agreement_of_another_number_format_is_with_float32(model, items):
    other = create_model("motions", weights="random", dtype="bfloat16")
    answers = list(answers_here(items, Judge(other, model, [Cell(NONE)]), 4))
    assert [answer.reference[0] for answer in answers] == [answer.class_id for answer in answers]
    assert any(answer.best[0] != answer.reference for answer in answers)
    assert any(
        answer.best[0] != answer.reference
        for answer in answers_here(items, Judge(other, model, [Cell(NONE)]), 4)
    )


def test_what_cannot_be_read_is_an_answer_too(model, items):
    answers = list(answers_here([items[0], unreadable(), items[1]], Judge(model, model, CELLS), 8))
    assert sorted((answer.name, answer.error) for answer in answers if answer.error) == [
        ("broken.mp4", "broken.mp4: holds no frame that can be decoded")
    ]
    assert len(answers) == 3


def test_the_mean_of_the_views_decides():
    sure, torn = [4.0, 0.0, 0.0], [0.0, 1.0, 1.1]
    assert best_classes("x", np.array([sure, torn, torn], np.float32)) == [0, 2, 1]
    with pytest.raises(ModelError, match="x: the model's logits are not finite"):
        best_classes("x", np.array([[np.nan, 0.0]], np.float32))


def test_items_are_read_in_another_thread_and_only_so_many_too_early(items):
    read, here = [], threading.current_thread()
    most = 0

    def watched(item):
        def read_it():
            assert threading.current_thread() is not here
            read.append(item.name)
            return item.read()

        return type(item)(item.name, item.class_id, read_it)

    for taken, (item, frames) in enumerate(read_ahead(map(watched, items), 2), start=1):
        most = max(most, len(read) - taken)
        assert item.name == items[taken - 1].name
        assert len(frames) == 1
    assert most <= 2
    assert len(read) == 10
