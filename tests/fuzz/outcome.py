"""What became of each record of a batch, in a form in which two outcomes can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from canonical.columns import DEFAULTS, TEXT_COLUMNS, Column, Vocabulary
from canonical.contracts.fault import Fault
from canonical.decoders import decode
from canonical.mapping import PlantMapping
from canonical.records import Headers, RawRecords, RowFault
from tests.fuzz.violation import Violation, require

NOW_US = 1_772_625_600_000_000  # 2026-03-04T12:00:00Z
COMPARED = tuple(name for name in DEFAULTS if name not in {"row", "offset", "sid", "gaps"})
Tally = Counter[str]
"""What became of the messages: events, skipped, and faults by code."""
Told = tuple[str, str, str, str, int]
"""A fault without its place."""


@dataclass
class Outcome:
    """The events of a batch as columns, in row order, and its faults by row."""

    rows: NDArray[np.int64]
    columns: dict[str, Column]
    faults: dict[int, Told]
    vocabulary: Vocabulary
    raw_faults: list[RowFault] = field(default_factory=list)
    records: int = 0

    def tally(self) -> Tally:
        """Return how many are events, no records, and faults by code."""
        events, faults = len(self.rows), len(self.raw_faults)
        tally = Counter(fault.code.value for fault in self.raw_faults)
        return tally + Counter({"events": events, "skipped": self.records - events - faults})

    def of(self, row: int) -> tuple[object, ...] | None:
        """Return what became of one record, in texts and numbers; None where it is no record."""
        at = int(np.searchsorted(self.rows, row))
        if at < len(self.rows) and self.rows[at] == row:
            texts = self.vocabulary.texts
            return tuple(
                texts[column[at]] if name in TEXT_COLUMNS else column[at].item()
                for name, column in self.columns.items()
            )
        return self.faults.get(row)


def outcome(
    mapping: PlantMapping, values: Sequence[bytes], vocabulary: Vocabulary, headers: Sequence[Headers] | None = None
) -> Outcome:
    """Decode a batch, and check what holds of any: each record in exactly one class, within the contracts' bounds."""
    offsets = np.arange(len(values), dtype=np.int64) * 3 + 11
    return outcome_of(mapping, RawRecords.from_values(values, offsets, "fuzz", 0, None, headers), vocabulary)


def outcome_of(mapping: PlantMapping, records: RawRecords, vocabulary: Vocabulary) -> Outcome:
    """As ``outcome``, of records that are one batch already."""
    n, offsets = len(records), records.offsets
    done = decode(mapping, records, vocabulary, NOW_US)
    events, faults = done.events, done.faults
    require(
        len(events) + len(faults) + done.skipped == n,
        "events + faults + skipped = records",
        n,
        len(events),
        len(faults),
    )
    rows = events["row"].astype(np.int64)
    require((np.diff(rows) > 0).all(), "events are in row order, each row once", rows.tolist())
    require((events["offset"] == offsets[rows]).all(), "an event keeps the position of its record")
    at = [fault.row for fault in faults]
    require(at == sorted(set(at)) and set(at) <= set(range(n)), "faults are in row order, each row once", at)
    require(not set(at) & set(rows.tolist()), "no record is an event and a fault")
    for fault in faults:
        _within_contract(fault, records.value(fault.row))
    _bounded(events, vocabulary)
    told = {f.row: (str(f.code), f.detail, f.source, f.session, f.seq) for f in faults}
    return Outcome(rows, {name: events[name] for name in COMPARED}, told, vocabulary, faults, n)


def differing_row(one: Outcome, other: Outcome, rows: NDArray[np.int64]) -> int | None:
    """Return the first record of which ``one`` says something else than ``other``, or None.

    Args: other: rows of a batch that holds ``rows[i]`` of the first in its row i; both use one vocabulary.
    """
    theirs = rows[other.rows]
    order = np.argsort(theirs)
    theirs = theirs[order]
    mine = np.flatnonzero(np.isin(one.rows, rows))
    if not np.array_equal(one.rows[mine], theirs):
        return int(np.setxor1d(one.rows[mine], theirs)[0])
    for name in COMPARED:
        different = one.columns[name][mine] != other.columns[name][order]
        if different.any():
            return int(theirs[np.flatnonzero(different)[0]])
    ours = {row: one.faults[row] for row in rows.tolist() if row in one.faults}
    found = {int(rows[row]): fault for row, fault in other.faults.items()}
    if ours != found:
        return next(row for row in sorted(ours.keys() | found.keys()) if ours.get(row) != found.get(row))
    return None


def _within_contract(fault: RowFault, value: bytes) -> None:
    try:
        Fault(code=fault.code, detail=fault.detail, source=fault.source, session=fault.session, seq=fault.seq, offset=0)
    except ValueError as error:
        raise Violation(f"a fault is within its contract: {error}: {value[:200]!r}") from error
    require(len(fault.detail) <= 1024 and fault.detail, "a fault says in few words what is wrong", fault)


_BOUNDS = {
    "seq": (-1, 2**53 - 1),
    "type": (0, 13),
    **dict.fromkeys(("good", "scrap", "rework", "quantity"), (0, 10**15)),
    **dict.fromkeys(("good_counter", "scrap_counter"), (-1, 10**15)),
    **dict.fromkeys(("setup_us", "machine_us", "labour_us", "energy_mwh"), (0, 2**53)),
    "occurred_us": (-(2**62), 2**62),
    "recorded_us": (-(2**62), 2**62),
}


def _bounded(events: object, vocabulary: Vocabulary) -> None:
    """Numbers and texts of events are within the contract."""
    if not len(events):  # type: ignore[arg-type]
        return
    for name, (low, high) in _BOUNDS.items():
        column = events[name]  # type: ignore[index]
        require(
            low <= column.min() and column.max() <= high, f"{name} is within its bounds", column.min(), column.max()
        )
    for name in TEXT_COLUMNS:
        column = events[name]  # type: ignore[index]
        require(column.min() >= 0 and column.max() < len(vocabulary), f"{name} is in the vocabulary")
    longest = max(map(len, vocabulary.texts))
    require(longest <= 256, "no text is longer than its contract allows", longest)
    for name in ("source", "plant"):
        require((events[name] > 0).all(), f"every event has a {name}")  # type: ignore[index]
