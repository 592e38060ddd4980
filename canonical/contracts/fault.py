"""Faults: records that could not be used, each with a stable code and its position."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from canonical.contracts.event import Offset, Text


class FaultCode(StrEnum):
    """Stable codes; a code is never renamed or reused."""

    NOT_UTF8 = "NOT_UTF8"
    TRUNCATED = "TRUNCATED"  # the record ends before its structure does
    MALFORMED = "MALFORMED"  # not a record of the declared format
    WRONG_TYPE = "WRONG_TYPE"
    MISSING_FIELD = "MISSING_FIELD"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"  # the event type is not mapped
    UNKNOWN_UNIT = "UNKNOWN_UNIT"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"  # an Avro writer schema nobody knows
    NEGATIVE_QUANTITY = "NEGATIVE_QUANTITY"
    ABSURD_QUANTITY = "ABSURD_QUANTITY"  # above the plant's bound, not finite, or finer than a thousandth
    BAD_SEQUENCE = "BAD_SEQUENCE"  # negative, fractional or above 2**53
    BAD_TIMESTAMP = "BAD_TIMESTAMP"  # not an instant; also a local time that the clock change skips
    TIMESTAMP_FUTURE = "TIMESTAMP_FUTURE"
    TIMESTAMP_PAST = "TIMESTAMP_PAST"
    OVERSIZE = "OVERSIZE"
    DEEP_NESTING = "DEEP_NESTING"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    CONFLICTING_DUPLICATE = "CONFLICTING_DUPLICATE"  # same sequence number, other body (M08)
    TOO_LATE = "TOO_LATE"  # fills a gap that is no longer remembered
    SESSIONS_EXHAUSTED = "SESSIONS_EXHAUSTED"
    BOUND_REACHED = "BOUND_REACHED"  # of the postings flow: nothing more may wait, be known or be open
    NOT_OWNER = "NOT_OWNER"  # the system that tells of it does not own it (M43)
    UNSAFE_NAME = "UNSAFE_NAME"  # a name or an address that leads elsewhere, or cannot be shown
    NOT_AUTHENTIC = "NOT_AUTHENTIC"  # who says it has not shown who they are, or says again what was said before
    FLOODED = "FLOODED"  # more at once than is taken


class Fault(BaseModel):
    """One record that was set aside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: FaultCode = Field(description="Stable code of what is wrong.")
    detail: str = Field("", max_length=1024, description="What was found, to what field, in words for a person.")
    plant: Text = Field("", description="Canonical key of the plant.")
    source: Text = Field("", description="Empty where it could not be read.")
    session: Text = Field("", description="Session of the source; empty where it could not be read.")
    seq: int = Field(-1, ge=-1, le=2**53, description="Sequence number; -1 where there is none that can be read.")
    offset: Offset = Field(description="Position of the record in its shard.")


def fault_code(error: ValidationError) -> FaultCode:
    """Return what is wrong with a record that is not of its contract."""
    kinds = {each["type"] for each in error.errors(include_url=False, include_input=False)}
    if "json_invalid" in kinds:
        return FaultCode.MALFORMED
    return FaultCode.MISSING_FIELD if "missing" in kinds else FaultCode.WRONG_TYPE
