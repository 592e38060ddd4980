"""How long each hop took, from occurrence in the plant to the answer of the ERP (M38).

Of the hops that many records take at once, a sample is looked at: a few of a batch or commit, evenly spaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from canonical.columns import IntColumn
from dataflows.metrics.bounded import Bounded
from dataflows.metrics.declared import Declared
from sinks.commit_log import Record

SAMPLED_MAX: Final = 32
"""Of a batch, and of the records of a commit."""
INGESTED: Final = "occurred-ingested"
CONFIRMED: Final = "occurred-confirmed"
ENQUEUED: Final = "occurred-enqueued"
SENT: Final = "enqueued-sent"
ANSWERED: Final = "sent-answered"
ALL: Final = "occurred-answered"
HOPS: Final = (INGESTED, CONFIRMED, ENQUEUED, SENT, ANSWERED, ALL)

_OCCURRED: Final = "ce_time"


class Hops:
    """Observes hops of one flow."""

    def __init__(self, flow: str, declared: Declared) -> None:
        self._flow, self._histogram, self._plant = flow, declared.hop, Bounded()

    def sampled(self, plant: str, hop: str, occurred_us: IntColumn, now_us: int) -> None:
        """Observe how long ago some of these instants were."""
        if not len(occurred_us):
            return
        series = self._histogram.labels(self._flow, self._plant(plant), hop)
        for passed_us in (now_us - evenly(occurred_us)).tolist():
            series.observe(max(passed_us, 0) / 1e6)

    def records(self, plant: str, hop: str, records: Sequence[Record], now_us: int) -> None:
        """Observe how long ago what some of these records are about has occurred, as their envelopes say."""
        found = [us for us in map(occurred_us, evenly(records)) if us is not None]
        self.sampled(plant, hop, np.array(found, np.int64), now_us)

    def receipt(self, receipt: Any) -> None:
        """Observe the hops of a posting that the ERP has accepted."""
        plant = self._plant(receipt["plant"])
        for hop, seconds in hops_of(receipt):
            self._histogram.labels(self._flow, plant, hop).observe(seconds)


def hops_of(receipt: Any) -> Iterator[tuple[str, float]]:
    """Yield each hop of an accepted posting, and how many seconds it took."""
    yield SENT, max(receipt["first_sent_us"] - receipt["enqueued_us"], 0) / 1e6
    yield ANSWERED, max(receipt["answered_us"] - receipt["first_sent_us"], 0) / 1e6
    yield ALL, max(receipt["answered_us"] - receipt["occurred_us"], 0) / 1e6


def occurred_us(record: Record) -> int | None:
    """Return when that occurred which a record with an envelope is about."""
    for name, value in record.headers:
        if name == _OCCURRED:
            return round(datetime.fromisoformat(value.decode()).timestamp() * 1e6)
    return None


def evenly(rows: Any) -> Any:
    """Return up to ``SAMPLED_MAX`` rows of an array or a sequence, evenly spaced."""
    return rows[:: -(-len(rows) // SAMPLED_MAX) or 1]
