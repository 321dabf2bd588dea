import pytest

from commands.evaluation.scores import Share
from commands.evaluation.summary import summarise
from tests.commands.evaluation.rows import HEAVY, LIGHT, MS, a_summary, score


def test_a_row_is_the_mean_over_its_splits_and_no_surer_than_one_of_them():
    summary = a_summary()
    assert summary.measure == "top1"
    row = summary.rows[1]
    assert (row.codec, row.by_split, row.kind) == ("int8", {3: 0.94, 9: 0.9}, "tokens")
    assert row.accuracy == pytest.approx(0.92)
    assert (row.top1, row.num_bytes, row.forward_ms) == (Share(92, 100), 40e3, 10.0)
    assert summary.rows[4].num_bytes == 20e3
    assert summary.rows[0].by_split == {0: 0.96}


def test_a_row_is_beaten_only_by_one_of_its_kind_that_is_nowhere_worse():
    beaten = {(str(r.pruning), r.codec) for r in a_summary().rows if r.dominated}
    assert beaten == {("none", "int8")}


def test_without_truth_agreement_is_the_measure():
    unlabelled = [score(LIGHT, labelled=0), score(HEAVY, right=70, labelled=0)]
    summary = summarise(unlabelled, MS, 129)
    assert (summary.measure, [row.accuracy for row in summary.rows]) == ("agreement", [0.9, 0.7])
    partly = summarise([score(LIGHT, labelled=60)], MS, 129)
    assert partly.measure == "agreement"


def test_joules_are_the_prunings_own_where_they_are_known():
    rows = summarise([score(LIGHT), score(LIGHT, "int8", 3), score(HEAVY)], MS, 129, {LIGHT: 1.5}).rows
    assert [row.forward_j for row in rows] == [1.5, 1.5, None]
    assert {row.forward_j for row in a_summary().rows} == {None}


def test_work_and_tokens_are_the_prunings_own():
    heavy = summarise([score(HEAVY)], MS, 129).rows[0]
    assert heavy.tokens == 129 - 72
    assert heavy.work == pytest.approx(1 - 6 * 5.5 / 129)
