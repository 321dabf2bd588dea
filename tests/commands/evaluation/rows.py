"""Scores of two prunings with two codecs, for tests of what is made of them."""

from commands.evaluation.cells import Cell
from commands.evaluation.scores import Score, Share
from commands.evaluation.summary import Summary, summarise
from scheduling.pruning import none, uniform

LIGHT, HEAVY = none(12, 129), uniform(6, 12, 129)
MS = {LIGHT: 10.0, HEAVY: 6.0}


def score(pruning, codec=None, split=None, right=90, num_bytes=0.0, labelled=100):
    return Score(
        Cell(pruning, codec, split),
        Share(right, 100),
        Share(right, labelled),
        Share(100, labelled),
        num_bytes,
    )


SCORES = [
    score(LIGHT, right=96),
    score(LIGHT, "int8", 3, right=94, num_bytes=40e3),
    score(LIGHT, "int8", 9, right=90, num_bytes=40e3),
    score(LIGHT, "jpeg:90", 0, right=88, num_bytes=20e3),
    score(HEAVY, right=92),
    score(HEAVY, "int8", 3, right=93, num_bytes=30e3),
    score(HEAVY, "int8", 9, right=91, num_bytes=10e3),
    score(HEAVY, "jpeg:90", 0, right=80, num_bytes=20e3),
]


def a_summary() -> Summary:
    return summarise(SCORES, MS, 129)
