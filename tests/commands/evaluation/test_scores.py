import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.evaluation.answers import Answer
from commands.evaluation.cells import Cell
from commands.evaluation.scores import Share, Tally
from scheduling.pruning import none

PLAIN, CODED = Cell(none(12, 129)), Cell(none(12, 129), "int8", 6)


ANSWERS = [
    Answer(name="a", class_id=3, reference=[3, 1], best=[[3, 1], [1, 3]], num_bytes=[0, 100]),
    Answer(name="b", class_id=2, reference=[4, 2], best=[[4, 2], [4, 9]], num_bytes=[0, 300]),
    Answer(name="c", reference=[5], best=[[5], [5]], num_bytes=[0, 200]),
    Answer(name="d", error="d.mp4: broken"),
]


def tally_of(answers, cells=(PLAIN, CODED)):
    tally = Tally(cells)
    for answer in answers:
        tally.add(answer)
    return tally


def test_a_cell_is_scored_against_the_truth_and_against_the_reference():
    tally = tally_of(ANSWERS)
    plain, coded = tally.scores()
    assert (plain.top1, plain.top5, plain.agreement) == (Share(1, 2), Share(2, 2), Share(3, 3))
    assert (coded.top1, coded.top5, coded.agreement) == (Share(0, 2), Share(1, 2), Share(2, 3))
    assert (plain.num_bytes, coded.num_bytes) == (0, 200)
    assert (tally.done, tally.failed) == ({"a", "b", "c"}, {"d": "d.mp4: broken"})


def test_what_failed_may_be_answered_later_and_nothing_counts_twice():
    tally = tally_of([ANSWERS[3], ANSWERS[0], ANSWERS[0], ANSWERS[0].model_copy(update={"name": "d"})])
    assert (tally.done, tally.failed) == ({"a", "d"}, {})
    assert tally.scores()[0].top1 == Share(2, 2)


def test_where_nothing_is_known_nothing_is_claimed():
    (score,) = Tally([PLAIN]).scores()
    assert (score.top1.value, score.top1.interval) == (None, (0.0, 1.0))


@given(st.integers(0, 5000).flatmap(lambda shown: st.tuples(st.integers(0, shown), st.just(shown))))
def test_an_interval_holds_its_share_and_shrinks_with_what_was_shown(drawn):
    share = Share(*drawn)
    low, high = share.interval
    assert 0 <= low <= high <= 1
    if share.shown:
        assert low - 1e-9 <= share.value <= high + 1e-9
        wide = Share(10 * share.hits, 10 * share.shown).interval
        assert wide[1] - wide[0] < high - low


@pytest.mark.parametrize(
    ("share", "interval"), [(Share(413, 500), (0.7903, 0.8567)), (Share(0, 10), (0.0, 0.2775))]
)
def test_the_interval_is_wilsons(share, interval):
    assert share.interval == pytest.approx(interval, abs=2e-4)
