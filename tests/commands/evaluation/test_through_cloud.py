import pytest

from commands.evaluation.cells import Cell, grid
from commands.evaluation.here import Judge, answers_here
from commands.evaluation.through_cloud import answers_through, plan_of
from pipeline.clock import SystemClock
from pipeline.errors import ConfigError, LinkLost
from scheduling.pruning import none, uniform
from tests.commands.evaluation.items import motions, of_several_views, unreadable
from tests.commands.link import setup_for, wire_to_cloud

NONE, SOME = none(12, 129), uniform(6, 12, 129)
CELLS = grid([NONE, SOME], ["raw", "jpeg:60", "float32", "int8"], [6], 12)


async def through(model, wire, items, cells=CELLS, **options):
    answers = []
    setup = setup_for(model, **options)
    await answers_through(
        setup, items, cells, connect=wire.dial, clock=SystemClock(), on_answer=answers.append
    )
    return answers


async def test_the_pipeline_answers_as_the_sweep_does(model):
    items = motions(model, 7)
    mixed = [items[0], of_several_views(items[1:4]), unreadable(), *items[4:]]
    async with wire_to_cloud(model, top_k=8) as wire:
        answers = await through(model, wire, mixed)
    assert sorted(answer.name for answer in answers) == sorted(item.name for item in mixed)
    here = {answer.name: answer for answer in answers_here(mixed, Judge(model, model, CELLS), 4)}
    for answer in answers:
        assert (answer.class_id, answer.error) == (here[answer.name].class_id, here[answer.name].error)
        assert [ids[:1] for ids in answer.best] == [ids[:1] for ids in here[answer.name].best]
        assert answer.reference[:1] == here[answer.name].reference[:1]
        assert answer.num_bytes == pytest.approx(here[answer.name].num_bytes, rel=0.02)


async def test_a_link_that_is_cut_costs_no_answer(model):
    items = motions(model, 6)
    async with wire_to_cloud(model) as wire:
        answers = []

        def cut(answer):
            answers.append(answer)
            wire.cut()

        setup = setup_for(model)
        await answers_through(setup, items, CELLS, connect=wire.dial, clock=SystemClock(), on_answer=cut)
    assert [answer.name for answer in answers] == [item.name for item in items]
    assert all(answer.error is None and len(answer.best) == len(CELLS) for answer in answers)
    assert wire.dialled > 2


async def test_a_cell_that_the_pipeline_cannot_run_fails_its_items_alone(model):
    async with wire_to_cloud(model) as wire:
        (answer,) = await through(model, wire, motions(model, 1), [Cell(NONE, "int8", 0)])
    assert "int8" in answer.error


async def test_a_cloud_that_stays_away_ends_it(model):
    async with wire_to_cloud(model) as wire:
        with pytest.raises(LinkLost):

            async def refuse():
                raise LinkLost("cloud: refused")

            wire.dial = refuse
            await through(model, wire, motions(model, 1))


async def test_several_views_need_a_cloud_that_lists_all_their_classes(model):
    items = motions(model, 3)
    told = r"mean of 3 views needs more than 5 classes of each; start the cloud with --top-k 8"
    async with wire_to_cloud(model, top_k=5) as wire:
        with pytest.raises(ConfigError, match=told):
            await through(model, wire, [of_several_views(items)])


def test_a_cell_is_a_plan():
    plan = plan_of(Cell(SOME), 12)
    assert (plan.pruning, plan.split) == (SOME, 13)
    assert (plan_of(Cell(SOME, "jpeg:60", 0), 12).split, plan_of(Cell(SOME, "int8", 4), 12).codec) == (
        0,
        "int8",
    )
