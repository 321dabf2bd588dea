import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.camera.faults import Fault, parse_fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("freeze:10:5", Fault("freeze", 10, 5)),
        ("fin:20", Fault("fin", 20)),
        ("rst:0.5", Fault("rst", 0.5)),
        ("refuse:1:2", Fault("refuse", 1, 2)),
        ("down:3:4", Fault("down", 3, 4)),
        ("late-describe:3", Fault("late-describe", 0, 3)),
    ],
)
def test_a_fault_has_a_kind_a_time_and_a_length(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize("text", ["freeze:1", "fin", "fin:1:2", "fin:-1", "rst:x", "down:1:inf", "fin:nan"])
def test_wrong_numbers_are_one_line_that_shows_the_form(text):
    with pytest.raises(ConfigError, match=f"write {text.partition(':')[0]}:AT.*, in seconds"):
        parse_fault(text)


def test_an_unknown_kind_is_told_the_known_ones():
    with pytest.raises(ConfigError, match="there is no 'melt', only freeze, fin, rst"):
        parse_fault("melt:1")


@given(st.text())
def test_any_text_is_a_fault_or_a_short_refusal(text):
    try:
        parse_fault(text)
    except ConfigError as error:
        assert len(str(error)) < 600
