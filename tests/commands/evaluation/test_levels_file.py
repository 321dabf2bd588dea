import yaml

from commands.evaluation.levels_file import levels_of, write_levels
from scheduling.levels import parse_levels
from tests.commands.evaluation.rows import HEAVY, LIGHT, a_summary


def test_the_scheduler_reads_what_is_written_best_first(tmp_path):
    path = tmp_path / "levels.yaml"
    write_levels(levels_of(a_summary(), "motions", "clips.zip"), path)
    content = yaml.safe_load(path.read_text())
    levels = parse_levels(content, "levels.yaml", "motions", 12, 129)
    assert [(level.pruning, level.codec, level.accuracy) for level in levels][:3] == [
        (LIGHT, None, 0.96),
        (HEAVY, None, 0.92),
        (HEAVY, "int8", 0.92),
    ]
    assert [level.accuracy for level in levels] == sorted((level.accuracy for level in levels), reverse=True)
    assert [row["dominated"] for row in content["levels"] if "dominated" in row] == [True]
