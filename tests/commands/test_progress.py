import threading
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from commands import progress
from commands.progress import ClipsPerSecond, ReplayProgress
from sources.clips import ClipSettings
from sources.folder import VideoFile
from tests.pipeline.clips import make_clip, make_ok

WAIT_S = 10


def videos(*names):
    return [VideoFile(Path(name), name) for name in names]


def replay(files, already_done=0):
    """A progress that writes into `text`, without a terminal."""
    text = StringIO()
    console = Console(file=text, width=120)
    return ReplayProgress(console, files, ClipSettings(16), already_done), text


def estimated(bar):
    """What the bar shows once all headers are read."""
    bar._estimator.join(WAIT_S)
    return bar._progress.tasks[0].total


@pytest.fixture
def headers(monkeypatch):
    """Frames of each video, by name, as its header would have them."""
    frames: dict[str, int | None] = {}
    monkeypatch.setattr(progress, "estimate_frames", lambda path: frames[str(path)])
    return frames


def test_all_clips_are_estimated_from_the_headers_a_padded_last_one_included(headers):
    headers |= {"a": 32, "b": 33, "silent": None}
    bar, _ = replay(videos("a", "b", "silent"))
    with bar:
        assert estimated(bar) == 2 + 3 + 1


@pytest.mark.parametrize(
    ("estimate", "already_done", "records"), [(48, 0, 3), (160, 2, 3), (16, 0, 4), (16, 0, 0)]
)
def test_at_the_end_the_bar_is_full_with_what_was_counted(headers, estimate, already_done, records):
    headers["a"] = estimate
    bar, text = replay(videos("a"), already_done)
    with bar:
        estimated(bar)
        for seq in range(records):
            bar.advance(make_ok(make_clip(seq)))
    done = already_done + records
    assert f"{done}/{done} clips" in text.getvalue()


def test_a_replay_that_breaks_does_not_claim_to_be_complete(headers):
    headers["a"] = 16 * 5
    bar, text = replay(videos("a"), already_done=1)
    with pytest.raises(RuntimeError), bar:
        estimated(bar)
        bar.advance(make_ok(make_clip()))
        raise RuntimeError
    assert "2/5 clips" in text.getvalue()


def test_leaving_ends_the_estimate_and_does_not_wait_for_it(monkeypatch):
    entered, release, read = threading.Event(), threading.Event(), []

    def slow(path):
        read.append(str(path))
        entered.set()
        release.wait(WAIT_S)
        return 160

    monkeypatch.setattr(progress, "estimate_frames", slow)
    bar, text = replay(videos("a", "b"))
    with bar:
        assert entered.wait(WAIT_S)
        bar.advance(make_ok(make_clip()))
    assert "1/1 clips" in text.getvalue()
    release.set()
    bar._estimator.join(WAIT_S)
    assert read == ["a"]


def test_the_speed_counts_the_clips_of_this_run_and_outlives_a_new_total():
    now = 0.0
    shown = Progress(ClipsPerSecond(), get_time=lambda: now, console=Console(file=StringIO()))
    task = shown.add_task("replay", total=None, completed=40, already_done=40)
    assert str(ClipsPerSecond().render(shown.tasks[0])) == "-- clips/s"
    for now in (1.0, 2.0, 3.0):  # noqa: B007 - the clock
        shown.advance(task, 5)
    shown.update(task, total=55)
    assert str(ClipsPerSecond().render(shown.tasks[0])) == "5.0 clips/s"
