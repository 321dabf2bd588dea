import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.labelled.table import LABELS, PATHS, Row, read_table
from tests.data import shared_data

words = st.text(st.characters(categories=["L", "N", "P"], include_characters=" "), min_size=1, max_size=12)
fields = words.map(str.strip).filter(lambda word: word and "." not in word)
rows = st.lists(st.builds(Row, fields.map(lambda stem: f"{stem}.mp4"), fields), min_size=1, max_size=8)


def read(text: str) -> list[tuple[str, str]]:
    return [tuple(row) for row in read_table(text.encode(), "t.csv")]


def written(table: list[list[str]], delimiter: str) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
    return stream.getvalue().encode()


@given(
    rows, st.sampled_from(PATHS), st.sampled_from(LABELS), st.sampled_from([",", "\t", ";"]), st.booleans()
)
def test_rows_written_with_a_header_are_read_back(
    table: list[Row], path: str, label: str, delimiter: str, turned: bool
) -> None:
    step = -1 if turned else 1
    lines = [["Note", path.upper(), label.title()], *(["x", *row] for row in table)]
    assert read_table(written([line[::step] for line in lines], delimiter), "t.csv") == table


@given(st.text(max_size=80))
def test_any_text_gives_rows_or_one_error_of_ours(text: str) -> None:
    try:
        assert all(row.path and row.label for row in read(text))
    except ConfigError as error:
        assert str(error).startswith("t.csv")


@pytest.mark.parametrize(
    "text",
    [
        "a/1.mp4,jump\nb 2.MKV,run",
        "jump,a/1.mp4\nrun,b 2.MKV",
        "a/1.mp4 jump\n\nb 2.MKV run\n",
        "a/1.mp4\tjump\r\nb 2.MKV\trun\r\n",
        "\ufeffpath label\na/1.mp4 jump\nb 2.MKV run",
        "index,File Name,class_index,label\n0,a/1.mp4,7,jump\n1,b 2.MKV,8,run",
        "name,wnid,index\na/1.mp4,jump,7\nb 2.MKV,run,8",
        "index,image_path\njump,a/1.mp4\nrun,b 2.MKV",
        'split, video, label\nval, "a/1.mp4", jump\nval, "b 2.MKV", run',
    ],
)
def test_headers_order_and_separators_hardly_matter(text: str) -> None:
    assert read(text) == [("a/1.mp4", "jump"), ("b 2.MKV", "run")]


def test_a_list_keeps_blanks_in_paths_and_labels() -> None:
    assert read("my dir.jpg/a b.jpg air drumming") == [("my dir.jpg/a b.jpg", "air drumming")]


def test_a_real_table_gives_paths_and_indices() -> None:
    table = read_table(shared_data("images", "imagenet-sample", "labels.csv").read_bytes(), "labels.csv")
    assert len(table) == 500
    assert table[1] == ("n01484850_great_white_shark.JPEG", "2")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "t.csv: the table is empty"),
        ("\n \n", "t.csv: the table is empty"),
        ("file,lable\na.jpg,1", "no column label .or class, class_index. among 'file, lable'"),
        ("where,label\na.jpg,1", "no column path .or file, video, image. among 'where, label'"),
        ("a.jpg", "line 1: needs a path and a label"),
        ("a.jpg,3,tench", "3 columns without a header"),
        ("file,label\na.jpg,", "line 2: needs a path and a label"),
        (
            "file,label\n\na.jpg,great white shark, white shark",
            "line 3: 3 columns where the first line has 2",
        ),
        ("a.jpg 1\nb.jpg", "line 2: "),
    ],
)
def test_a_table_that_lacks_something_is_refused_with_the_line(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(text)


def test_what_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"UTF-8 text \(byte 4\)"):
        read_table(b"path\xff,label", "t.csv")
    with pytest.raises(ConfigError, match="not a table that can be read"):
        read("path,label\na.jpg," + "x" * 200_000)
