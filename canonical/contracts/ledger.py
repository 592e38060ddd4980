"""The ledger: at each commit, what became of every record read, per source and session.

Law (DESIGN 1): read = released + late + duplicates + faults + held, and
released + late = accounted + analytics_only + operational; all of them running totals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canonical.contracts.event import Count, Micros, Sequence, Text

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
