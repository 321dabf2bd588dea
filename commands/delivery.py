"""The end of a clip's way on the device: ledger, then sinks."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio

from pipeline.clock import Clock
from pipeline.errors import SinkError
from pipeline.items import Prediction
from pipeline.ledger import Ledger
from pipeline.worker import Worker
from sinks.base import Sink


class Delivery:
    """Hands each clip's one record to every sink, on the sinks' own thread, in order per source."""

    def __init__(
        self,
        ledger: Ledger,
        sinks: Sequence[Sink],
        *,
        worker: Worker,
        clock: Clock,
        model_id: str,
        on_record: Callable[[Prediction], None] = lambda record: None,
    ) -> None:
        self._ledger = ledger
        self._sinks = sinks
        self._worker = worker
        self._clock = clock
        self._model_id = model_id
        self._on_record = on_record

    async def __call__(self, prediction: Prediction) -> None:
        released = self._ledger.settle(prediction, self._clock.now())
        if not released:
            return
        records = [replace(record, model=self._model_id) for record in released]
        if self._sinks:
            with anyio.CancelScope(shield=True):  # what the ledger has let go is written, whatever ends
                await self._worker.run(self._write, records)
        for record in records:
            self._on_record(record)

    def _write(self, records: list[Prediction]) -> None:
        errors = [error for sink in self._sinks if (error := _written(sink, records)) is not None]
        if errors:
            raise errors[0]


def _written(sink: Sink, records: list[Prediction]) -> SinkError | None:
    """The error that kept `sink` from taking the records, so that it keeps no other sink from it."""
    try:
        for record in records:
            sink.write(record)
    except SinkError as error:
        return error
    return None
