"""The end of a clip's way on the device: ledger, share of the energy, then sinks."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio

from pipeline.clock import Clock
from pipeline.energy.shares import EnergyShares
from pipeline.errors import SinkError
from pipeline.items import Prediction
from pipeline.ledger import Ledger
from pipeline.signal import Signal, until
from pipeline.worker import Worker
from sinks.base import Sink

A_MOMENT_S = 0.001


class Delivery:
    """Hands each clip's one record to every sink, on the sinks' own thread, in order per source; where there
    are `shares`, with its share of the machine's energy."""

    def __init__(
        self,
        ledger: Ledger,
        sinks: Sequence[Sink],
        *,
        worker: Worker,
        clock: Clock,
        model_id: str,
        shares: EnergyShares | None = None,
        on_record: Callable[[Prediction], None] = lambda record: None,
    ) -> None:
        self._ledger = ledger
        self._sinks = sinks
        self._worker = worker
        self._clock = clock
        self._model_id = model_id
        self._shares = shares
        self._on_record = on_record
        self._settled = Signal()

    async def __call__(self, prediction: Prediction) -> None:
        await self._deliver(self._ledger.settle(prediction, self._clock.now()))
        self._settled.notify()

    async def overdue(self) -> None:
        """Hand over, for ever, what no longer has to wait for a clip that is late."""
        while True:
            left_s = self._ledger.next_overdue() - self._clock.now()
            if left_s >= 0:
                await until(self._settled, left_s + A_MOMENT_S, self._clock)
            else:
                await self._deliver(self._ledger.overdue(self._clock.now()))

    async def _deliver(self, released: Sequence[Prediction]) -> None:
        if not released:
            return
        records = [replace(record, model=self._model_id) for record in released]
        if self._sinks or self._shares:
            with anyio.CancelScope(shield=True):  # what the ledger has let go is written, whatever ends
                records = await self._worker.run(self._write, records)
        for record in records:
            self._on_record(record)

    def _write(self, records: list[Prediction]) -> list[Prediction]:
        if self._shares:
            records = self._shares.share(records)
        errors = [error for sink in self._sinks if (error := _written(sink, records)) is not None]
        if errors:
            raise errors[0]
        return records


def _written(sink: Sink, records: list[Prediction]) -> SinkError | None:
    """The error that kept `sink` from taking the records, so that it keeps no other sink from it."""
    try:
        for record in records:
            sink.write(record)
    except SinkError as error:
        return error
    return None
