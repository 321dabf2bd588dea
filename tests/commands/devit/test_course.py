import json
from pathlib import Path

import pytest

from commands.devit.course import Course, Epoch, course_figure, read_course
from devit.training import StepResult


def course_over(path: Path, per_epoch: int, steps: int, first: int = 0, name: str = "part-1") -> None:
    scores = iter((0.5, 0.6, 0.7, 0.8))
    course = Course(path, name, per_epoch, steps, lambda: next(scores))
    for step in range(first, steps):
        course.add(StepResult(step, loss=float(step), accuracy=step / 10, seconds=2.0))


def test_an_epoch_is_a_line_of_means_and_the_last_may_be_short(tmp_path: Path) -> None:
    course_over(tmp_path / "log", per_epoch=3, steps=5)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["epoch"], line["steps"], line["loss"], line["held_out"]) for line in lines] == [
        (1, 3, 1.0, 0.5),
        (2, 2, 3.5, 0.6),
    ]
    assert [line["seconds"] for line in lines] == [6, 4]
    assert round(lines[0]["accuracy"], 6) == 0.1


def test_of_an_epoch_that_came_twice_the_later_line_counts(tmp_path: Path) -> None:
    course_over(tmp_path / "log", per_epoch=2, steps=4)
    course_over(tmp_path / "log", per_epoch=2, steps=4, first=2)
    found = read_course(tmp_path / "log")
    assert [(one.epoch, one.held_out) for one in found] == [(1, 0.5), (2, 0.5)]
    assert read_course(tmp_path / "none") == []


@pytest.mark.parametrize(("lacking", "epochs"), [(1, [1, 2]), (20, [1])])
def test_a_line_that_was_not_finished_is_skipped_and_the_next_one_stands_by_itself(
    lacking: int, epochs: list[int], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    course_over(log, per_epoch=2, steps=4)
    log.write_bytes(log.read_bytes()[:-lacking])
    assert [one.epoch for one in read_course(log)] == epochs
    course_over(log, per_epoch=2, steps=4, first=2)
    assert [(one.epoch, one.held_out) for one in read_course(log)] == [(1, 0.5), (2, 0.5)]
    assert b"\n\n" not in log.read_bytes()


@pytest.mark.parametrize("line", [b"\xff", b"[]", b"{}", b'{"training": 3}', b"[" * 10_000])
def test_a_line_that_is_no_epoch_is_skipped(line: bytes, tmp_path: Path) -> None:
    course_over(tmp_path / "log", per_epoch=2, steps=4)
    wanted = read_course(tmp_path / "log")
    (tmp_path / "log").write_bytes(line + b"\n" + (tmp_path / "log").read_bytes())
    assert read_course(tmp_path / "log") == wanted


def test_the_figure_shows_loss_and_accuracy_of_every_training(tmp_path: Path) -> None:
    course_over(tmp_path / "log", per_epoch=2, steps=4, name="large")
    course_over(tmp_path / "log", per_epoch=2, steps=4, name="fusion")
    figure = course_figure(read_course(tmp_path / "log"))
    assert [line.name for line in figure.data] == ["large", "large", "fusion", "fusion"]
    assert list(figure.data[0].y) == [0.5, 2.5]
    assert list(figure.data[1].y) == [50, 60]
    assert list(figure.data[3].x) == [1, 2]
    assert figure.data[0].line.color == figure.data[1].line.color != figure.data[2].line.color


def test_epochs_are_drawn_in_their_order() -> None:
    late, early = (Epoch("large", epoch, 1, float(epoch), 0.5, 0.5, 1.0) for epoch in (2, 1))
    assert list(course_figure([late, early]).data[0].x) == [1, 2]
