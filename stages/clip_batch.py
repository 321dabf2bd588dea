"""Clip batch: frames of many sources become clips, each admitted to the ledger."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.errors import ConfigError
from pipeline.items import Clip, Frame, Prediction, SourceBreak, SourceEnd, SourceStart, Status
from pipeline.ledger import Ledger
from sources.clips import ClipAssembler, ClipSettings
from stages.capture import Captured

SAME_TIME_S = 0.002


@dataclass(slots=True)
class _Batch:
    assembler: ClipAssembler
    next_seq: int


class ClipBatch:
    """Assembles each source's frames into clips by presentation time.

    Clips that `done` names (clip id -> start_s, from an earlier run) are not made again; a source in
    `first_seq` counts from there on. The error that ends a source becomes one failed record with the
    sequence number after its last clip. A break ends the clip that has begun; frames that no clip shows
    then are counted in `discarded`, by source, and owe no record.
    """

    def __init__(
        self,
        settings: ClipSettings,
        ledger: Ledger,
        clock: Clock,
        sla_ms: float | None = None,
        done: Mapping[str, float] | None = None,
        *,
        first_seq: Mapping[str, int] | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._sla_ms = sla_ms
        self._done = done or {}
        self._first_seq = first_seq or {}
        self._batches: dict[str, _Batch] = {}
        self.discarded: Counter[str] = Counter()

    async def run(self, items: Channel[Captured]) -> AsyncGenerator[Clip | Prediction, None]:
        """Turn captured items into clips and failed records."""
        async for item in items:
            for outcome in self.add(item):
                yield outcome

    def add(self, item: Captured) -> list[Clip | Prediction]:
        """Take in one captured item; returns what became ready by it."""
        match item:
            case SourceStart():
                first = self._first_seq.get(item.source, 0)
                assembler = ClipAssembler(item.source, self._settings, item.rate, self._sla_ms, first)
                self._batches[item.source] = _Batch(assembler, first)
                return []
            case Frame():
                batch = self._batches[item.source]
                return [*self._admit(batch, batch.assembler.add(item))]
            case SourceBreak():
                return [*self._cut(item, self._batches[item.source])]
            case SourceEnd():
                return self._end(item)

    def _cut(self, item: SourceBreak, batch: _Batch) -> list[Clip]:
        assembler = batch.assembler
        clips, lost = ([], assembler.discard()) if item.closed else assembler.cut(self._clock.now())
        self.discarded[item.source] += lost
        return self._admit(batch, clips)

    def _end(self, end: SourceEnd) -> list[Clip | Prediction]:
        batch = self._batches.pop(end.source, None)
        clips = self._admit(batch, batch.assembler.finish()) if batch else []
        if end.error is None:
            return [*clips]
        seq = batch.next_seq if batch else self._first_seq.get(end.source, 0)
        return [*clips, *self._fail(end.source, end.error, seq)]

    def _admit(self, batch: _Batch, clips: list[Clip]) -> list[Clip]:
        admitted = []
        for clip in clips:
            batch.next_seq = clip.seq + 1
            if not self._is_done(clip):
                self._ledger.admit(clip)
                admitted.append(clip)
        return admitted

    def _is_done(self, clip: Clip) -> bool:
        start_s = self._done.get(clip.clip_id)
        if start_s is None:
            return False
        if abs(start_s - clip.start_s) > SAME_TIME_S:
            raise ConfigError(
                f"clip {clip.clip_id} begins at {clip.start_s:.3f} s, but in the results to resume at "
                f"{start_s:.3f} s: resume with the same videos and the same frames, stride and hop"
            )
        return True

    def _fail(self, source: str, error: str, seq: int) -> list[Prediction]:
        clip_id = f"{source}/{seq:06d}"
        if clip_id in self._done:
            return []
        record = Prediction(clip_id, source, seq, Status.FAILED, reason=error)
        self._ledger.admit_record(record, self._clock.now())
        return [record]
