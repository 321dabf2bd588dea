"""The progress bar of a replay: clips done, clips a second, time left."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.items import Prediction
from sources.clips import ClipSettings
from sources.file import estimate_frames
from sources.folder import VideoFile


class ClipsPerSecond(ProgressColumn):
    """Clips of this run a second, since it began."""

    def render(self, task: Task) -> Text:
        made = task.completed - task.fields["already_done"]
        return Text(f"{made / task.elapsed:.1f} clips/s" if task.elapsed and made > 0 else "-- clips/s")


class ReplayProgress:
    """Counts records against an estimate of all clips, made from the files' headers in a thread.

    Clips that an earlier run did count as done from the start. Without a terminal only the last
    state is printed.
    """

    def __init__(
        self, console: Console, videos: Sequence[VideoFile], settings: ClipSettings, already_done: int
    ) -> None:
        self._videos = videos
        self._settings = settings
        self._stop = threading.Event()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("clips"),
            ClipsPerSecond(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task(
            "replay", total=None, completed=already_done, already_done=already_done
        )
        self._estimator = threading.Thread(target=self._estimate, name="estimate", daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        self._estimator.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if error is None:
            completed = self._progress.tasks[0].completed
            self._progress.update(self._task, total=completed)
        self._progress.stop()

    def advance(self, record: Prediction) -> None:
        """One more clip has its record."""
        self._progress.advance(self._task)

    def _estimate(self) -> None:
        total = 0
        for video in self._videos:
            if self._stop.is_set():
                return
            total += self._clips_of(video)
        self._progress.update(self._task, total=total)

    def _clips_of(self, video: VideoFile) -> int:
        frames = estimate_frames(video.path)
        return 1 if frames is None else self._settings.count(frames)
