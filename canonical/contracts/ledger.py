"""The ledger: at each commit, what became of every record read, per source and session.

Laws (DESIGN 1, 2, 5), for the entries, ranges and gaps of a session, in which everything is a running
total except ``held`` and ``open``:

- read = released + late + duplicates + faults + held;
- released + late = accounted + analytics_only + operational;
- next_seq - start_seq = released + events of refused ranges + numbers in gaps;
- missing = numbers in gaps - events of late ranges from start_seq on;
- accounted = events of confirmed and supplementary ranges + open, and good, scrap and rework are
  theirs: counted row by row as events come in, so that a run that sums up wrongly is seen.

Each range that tells of a confirmation has it under its ``posting_id``, and each confirmation its range.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canonical.contracts.event import INT64_MAX, Count, Micros, Sequence, Text, Thousandths

Expected = Annotated[int, Field(ge=-1, le=2**53 + 1)]
"""A sequence number that is expected, one above the largest at most; -1 where there is none."""


class Gap(BaseModel):
    """A declared hole: numbers that had not arrived when the wait for them ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plant: Text = Field(description="Canonical key of the plant.")
    source: Text = Field(description="The source whose numbers are missing.")
    session: Text = Field("", description="Session of the source; sequence numbers count within it.")
    first_seq: Sequence = Field(description="First number missing.")
    last_seq: Sequence = Field(description="Last number missing.")
    declared_us: Micros = Field(description="Instant at which the wait ended, UTC, in microseconds since 1970-01-01.")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        """Refuse a range that ends before it starts: nothing would be missing."""
        if self.last_seq < self.first_seq:
            msg = f"last_seq {self.last_seq} is below first_seq {self.first_seq}"
            raise ValueError(msg)
        return self


class LedgerEntry(BaseModel):
    """Running totals of one session of one source; the newest entry tells the whole story."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shard: str = Field(description="Input partition the records were read from.")
    plant: Text = Field("", description="Canonical key of the plant.")
    source: Text = Field("", description="Empty for records whose source could not be read.")
    session: Text = Field("", description="Session of the source.")
    start_seq: Expected = Field(-1, description="First number expected of the session; -1 where there is none.")
    next_seq: Expected = Field(-1, description="Numbers below it are accounted for or declared gaps.")
    read: Count = Field(0, description="Records read.")
    released: Count = Field(0, description="Events released in order.")
    late: Count = Field(0, description="Events that filled a declared gap.")
    duplicates: Count = Field(0, description="Records that repeat one read before.")
    faults: Count = Field(0, description="Records set aside, with a code, as dead letters.")
    held: Count = Field(0, description="Events waiting for smaller numbers; a level, not a total.")
    accounted: Count = Field(0, description="Events accounted for in confirmations, open ones included.")
    analytics_only: Count = Field(0, description="Events counted here and never posted.")
    operational: Count = Field(0, description="Passed on one by one: holds, releases, moves, consumption.")
    gaps: Count = Field(0, description="Declared gaps.")
    missing: Count = Field(0, description="Numbers inside declared gaps that have not arrived since.")
    skipped: Count = Field(
        0, description="Lines that are no records: headers, blank or continuation lines; not in read."
    )
    open: Count = Field(0, description="Events in runs that are not confirmed yet; a level, not a total.")
    good: Count = Field(0, description="Good output in the confirmations so far, in thousandths.")
    scrap: Count = Field(0, description="Scrap in the confirmations so far, in thousandths.")
    rework: Count = Field(0, description="Output to be reworked in the confirmations so far, in thousandths.")
    committed_us: Micros = Field(
        0, description="Instant of the commit, UTC, in microseconds since 1970-01-01; 0 where an older ledger has none."
    )


class Fate(StrEnum):
    """What became of a range of numbers."""

    CONFIRMED = "confirmed"
    SUPPLEMENTARY = "supplementary"  # confirmed under an id of its own, as it came late
    LATE = "late"  # numbers that filled a declared gap, whatever their route
    REFUSED = "refused"  # released in order, then refused by a counter: a dead letter


class LedgerRange(BaseModel):
    """A line of the ledger: a range of one session's numbers and its fate, written with the entry it is part of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shard: str = Field(description="Input partition the records were read from.")
    plant: Text = Field("", description="Canonical key of the plant.")
    source: Text = Field(description="The source whose numbers these are.")
    session: Text = Field("", description="Session of the source; sequence numbers count within it.")
    fate: Fate = Field(description="What became of them.")
    first_seq: Sequence = Field(description="First number.")
    last_seq: Sequence = Field(description="Last number.")
    events: int = Field(ge=1, le=INT64_MAX, description="Numbers of the range that are meant.")
    posting_id: UUID | None = Field(None, description="The confirmation; none where there is no confirmation.")
    order: Text = Field("", description="Production order, as confirmed.")
    operation: Text = Field("", description="Operation, as confirmed.")
    unit: Text = Field("H87", description="UN/ECE Recommendation 20 code of the quantities.")
    good: Thousandths = Field(0, description="Good output confirmed, in thousandths of the unit.")
    scrap: Thousandths = Field(0, description="Scrap confirmed, in thousandths of the unit.")
    rework: Thousandths = Field(0, description="Output to be reworked, in thousandths of the unit.")
    setup_us: Micros = Field(0, description="Setup time confirmed, in microseconds.")
    machine_us: Micros = Field(0, description="Machine time confirmed, in microseconds.")
    labour_us: Micros = Field(0, description="Labour time confirmed, in microseconds.")
    energy_mwh: Thousandths = Field(0, description="Energy confirmed, in thousandths of a watt hour (WHR).")
    committed_us: Micros = Field(description="Instant of the commit, UTC, in microseconds since 1970-01-01.")


def imbalances(totals: Mapping[str, int]) -> list[str]:
    """Return which equations of the ledger do not hold (DESIGN law 1), as sentences.

    Args: totals: sums of the fields of ``LedgerEntry``.
    """
    equations = (
        ("read", ("released", "late", "duplicates", "faults", "held")),
        ("released", ("accounted", "analytics_only", "operational")),
    )
    found = []
    for left, right in equations:
        have = totals[left] + (totals["late"] if left == "released" else 0)
        sums = sum(totals[name] for name in right)
        if have != sums:
            name = "released + late" if left == "released" else left
            found.append(f"{name} is {have}, but {' + '.join(right)} is {sums}")
    return found
