"""The ledger: at each commit, what became of every record read, per source and session.

Law (DESIGN 1): read = released + late + duplicates + faults + held, and
released + late = accounted + analytics_only + operational; all of them running totals.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros, Text


class Gap(BaseModel):
    """A declared hole: numbers that had not arrived when the wait for them ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plant: Text
    source: Text
    session: Text = ""
    first_seq: int
    last_seq: int
    declared_us: Micros


class LedgerEntry(BaseModel):
    """Running totals of one session of one source; the newest entry tells the whole story."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shard: str
    plant: Text = ""
    source: Text = Field("", description="Empty for records whose source could not be read.")
    session: Text = ""
    start_seq: int = Field(-1, description="First number expected of the session; -1 where there is none.")
    next_seq: int = Field(-1, description="Numbers below it are accounted for or declared gaps.")
    read: int = 0
    released: int = 0
    late: int = 0
    duplicates: int = 0
    faults: int = 0
    held: int = 0
    accounted: int = 0
    analytics_only: int = 0
    operational: int = Field(0, description="Passed on one by one: holds, releases, moves, consumption.")
    gaps: int = Field(0, description="Declared gaps.")
    missing: int = Field(0, description="Numbers inside declared gaps that have not arrived since.")
