import pytest

from commands.traces import read_trace, read_traces
from pipeline.errors import ConfigError
from tests.data import shared_data

ONE_LINE = "Run 1\n1,2\nRun 2\n3\n"
FOUR_LINES = "Run 1\n1,1.1\n9,9\n2,2.1\n4,4\n"


@pytest.fixture
def campaign(tmp_path):
    """A folder laid out as measurement campaigns are."""
    files = {
        "throughput/static/5g/away_p1.list": ONE_LINE,
        "throughput/driving/5g/throughput.list": FOUR_LINES,
        "throughput/mine.csv": "t_s,mbps\n0,7\n",
        "throughput/notes.txt": "no trace",
        "ping/static/5g/away_p1.list": "Run 1\n30,31\n",
        "README.md": "no trace",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def summary(traces):
    return [(trace.name, trace.group) for trace in traces]


def test_a_folder_gives_every_trace_of_throughput_with_its_group_and_no_pings(campaign):
    expected = [
        ("driving/5g/throughput run 1 5g", "driving 5g"),
        ("driving/5g/throughput run 1 lte", "driving 5g (lte)"),
        ("mine", "mine"),
        ("static/5g/away_p1 run 1", "static 5g"),
        ("static/5g/away_p1 run 2", "static 5g"),
    ]
    assert summary(read_traces(campaign)) == expected
    assert summary(read_traces(campaign / "throughput")) == expected


def test_names_and_groups_do_not_hang_on_which_folder_was_given(campaign):
    folder = campaign / "throughput" / "static"
    assert summary(read_traces(folder)) == summary(read_traces(folder / "5g" / "away_p1.list"))
    assert summary(read_traces(folder))[0] == ("static/5g/away_p1 run 1", "static 5g")


def test_pings_beside_traces_are_skipped_where_no_throughput_folder_is(campaign):
    (campaign / "throughput").rename(campaign / "up")
    names = [trace.name for trace in read_traces(campaign)]
    assert len(names) == 5 and all(name.startswith("up/") for name in names)


def test_one_run_of_a_file_is_chosen_and_the_first_by_default(campaign):
    path = campaign / "throughput/static/5g/away_p1.list"
    assert read_trace(f"{path}:2").mbps.tolist() == [3]
    assert read_trace(str(path)).mbps.tolist() == [1, 2]
    both = campaign / "throughput/driving/5g/throughput.list"
    assert read_trace(f"{both}:1:lte").mbps.tolist() == [4, 4]
    assert read_trace(str(campaign / "throughput/mine.csv")).mbps_at(5) == 7


def test_what_is_no_trace_is_refused_with_its_path(campaign):
    path = campaign / "throughput/static/5g/away_p1.list"
    for spec, problem in (
        (f"{path}:3", "has no run 3; there is 1, 2"),
        (f"{path}:1:lte", "has no run 1:lte"),
        (f"{path}:x", "is no file; give a trace as FILE"),
        (str(campaign), "is no file"),
        (str(campaign / "README.md"), "is no trace; traces are files that end in"),
        (str(campaign / "ping/static/5g/away_p1.list"), "lies in a folder 'ping'"),
    ):
        with pytest.raises(ConfigError, match=problem) as caught:
            read_trace(spec)
        assert str(campaign) in str(caught.value)


def test_errors_inside_a_file_name_the_file_and_the_run(campaign):
    path = campaign / "throughput/static/5g/away_p1.list"
    path.write_text("Run 1\n1\nRun 2\n1,x\n")
    with pytest.raises(ConfigError, match=r"away_p1.list run 2: value 2 is 'x'"):
        read_traces(campaign)


def test_a_file_that_is_too_large_or_no_text_is_refused(campaign, monkeypatch):
    path = campaign / "throughput/mine.csv"
    path.write_bytes(b"t_s,mbps\n\xff\xfe,1\n")
    with pytest.raises(ConfigError, match=r"mine.csv: is no text"):
        read_traces(path)
    monkeypatch.setattr("commands.traces.MOST_BYTES", 3)
    with pytest.raises(ConfigError, match=r"mine.csv: is over"):
        read_traces(path)


def test_a_folder_without_traces_and_a_path_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no trace"):
        read_traces(tmp_path)
    with pytest.raises(ConfigError, match=r"gone.csv: cannot be read: No such file"):
        read_traces(tmp_path / "gone.csv")


def test_the_measured_campaign_falls_into_its_groups():
    traces = read_traces(shared_data("traces"))
    assert len(traces) == 157
    assert {trace.group for trace in traces} == {
        f"{scenario} {technology}"
        for scenario in ("static", "walking", "driving")
        for technology in ("5g", "lte")
    } | {"walking 5g (lte)", "driving 5g (lte)"}
