import pytest

from commands.evaluation.answers import Answer, AnswerFile, head_of
from commands.evaluation.cells import Cell
from pipeline.errors import ConfigError
from scheduling.pruning import none, uniform

CELLS = [Cell(none(12, 129)), Cell(uniform(4, 12, 129), "int8", 6)]
FACTS = {
    "model": "motions@1f2e3d4c",
    "dtype": "float32",
    "data": "clips",
    "views": "1x1",
    "items": "3 1f2e",
}
HEAD = head_of(CELLS, **FACTS)
ANSWERS = [
    Answer(name="a", class_id=3, reference=[3, 1], best=[[3, 1], [1, 3]], num_bytes=[0, 100]),
    Answer(name="b", reference=[4], best=[[4], [4]], num_bytes=[0, 300]),
    Answer(name="c", error="c.mp4: broken"),
]


def write(path, answers, **options):
    heard = []
    with AnswerFile(HEAD, path, heard.append, **options) as file:
        for answer in answers:
            file.add(answer)
    return heard


def test_what_was_written_is_there_to_go_on_with(tmp_path):
    path = tmp_path / "new" / "answers.jsonl"
    write(path, ANSWERS[:2])
    assert write(path, ANSWERS[2:], resume=True) == ANSWERS
    assert write(path, [], resume=True) == ANSWERS
    assert path.read_bytes().count(b"\n") == 4


def test_without_a_file_answers_are_kept_all_the_same():
    assert write(None, ANSWERS) == ANSWERS


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_what_a_kill_leaves_of_a_line_is_cut_off(tmp_path, cut):
    path = tmp_path / "answers.jsonl"
    write(path, ANSWERS)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(len(whole) - cut, 5)])
    kept = write(path, [], resume=True)
    assert kept == ANSWERS[: len(kept)]
    assert len(kept) == (2 if cut <= 20 else 0)
    assert path.read_bytes() == whole[: len(path.read_bytes())]
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    "fact",
    [
        {"model": "motions@ffffffff"},
        {"views": "10x1"},
        {"limit": 5},
        {"where": "ws://x"},
        {"items": "3 ffff"},
    ],
)
def test_answers_to_other_questions_are_never_mixed(tmp_path, fact):
    path = tmp_path / "answers.jsonl"
    write(path, ANSWERS)
    with pytest.raises(ConfigError, match=f"with {next(iter(fact))} "):
        AnswerFile(head_of(CELLS, **FACTS | fact), path, list, resume=True).__enter__()
    with pytest.raises(ConfigError, match="with cells "):
        AnswerFile(head_of(CELLS[:1], **FACTS), path, list, resume=True).__enter__()


def test_a_file_that_holds_something_is_left_alone_unless_told(tmp_path):
    path = tmp_path / "answers.jsonl"
    write(path, ANSWERS)
    with pytest.raises(ConfigError, match="--resume"):
        write(path, [])
    assert write(path, ANSWERS[:1], overwrite=True) == ANSWERS[:1]
    assert write(path, [], resume=True) == ANSWERS[:1]
    for precious in ("precious\n", "precious"):
        path.write_text(precious)
        with pytest.raises(ConfigError, match="no answers of an evaluation"):
            write(path, [], resume=True)
        assert path.read_text() == precious


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        '{"name": "x", "best": [[1]], "num_bytes": [0]}',
        '{"name": "x", "best": [[1], [1]], "num_bytes": []}',
        '{"name": "x", "best": [[1], [9999999999]], "num_bytes": [0, 0]}',
        '{"name": "x", "best": [[1], [1]], "num_bytes": [0, 1' + "0" * 400 + "]}",
        "[" * 5000,
    ],
)
def test_a_broken_line_is_named(tmp_path, line):
    path = tmp_path / "answers.jsonl"
    write(path, ANSWERS[:1])
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ConfigError, match="line 3"):
        write(path, [], resume=True)


@pytest.mark.parametrize(
    ("options", "path"), [({"resume": True, "overwrite": True}, "x"), ({"resume": True}, None)]
)
def test_options_that_contradict_are_refused(options, path, tmp_path):
    with pytest.raises(ConfigError):
        write(path and tmp_path / path, [], **options)


def test_a_place_that_takes_no_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path, [])
