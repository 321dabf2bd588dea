import pytest

from pipeline.energy.source import read_number


def test_a_file_of_the_system_holds_one_whole_number(tmp_path):
    file = tmp_path / "energy_uj"
    file.write_text("262143328850\n")
    assert read_number(file) == 262_143_328_850


@pytest.mark.parametrize("content", ["", "12.5", "<not supported>", "é"])
def test_what_is_no_number_is_not_shown_and_said_with_its_place(tmp_path, content):
    file = tmp_path / "energy_uj"
    file.write_text(content)
    with pytest.raises(OSError, match=r"energy_uj: holds .* not a whole number"):
        read_number(file)
