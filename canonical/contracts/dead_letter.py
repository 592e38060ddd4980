"""The dead letter: a faulty record kept byte for byte, with why and where (M28)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canonical.contracts.event import Micros, Text
from canonical.contracts.fault import Fault


class Header(BaseModel):
    """One header of a record; a pair of name and value is taken too, as Kafka clients hand them out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the header.")
    value: bytes = Field(description="Value of the header, unchanged.")

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, data: object) -> object:
        """Name the two parts of a pair."""
        if isinstance(data, tuple | list) and len(data) == 2:
            return {"name": data[0], "value": data[1]}
        return data


class DeadLetter(BaseModel):
    """Original bytes, key and headers of a faulty record, and its fault.

    On the wire ``value``, ``key`` and ``headers`` are the record's own and the rest travels in
    the Kafka Connect error headers, so that any Kafka tool can send it back unchanged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(description="Input topic or folder.")
    partition: int = Field(0, ge=0, le=2**31 - 1, description="Partition of the topic; 0 for a folder.")
    key: bytes | None = Field(None, description="Key of the record, unchanged.")
    value: bytes = Field(description="Bytes of the record, unchanged.")
    headers: tuple[Header, ...] = Field((), description="Headers of the record, in order; names may repeat.")
    fault: Fault = Field(description="What is wrong, and where.")
    stage: str = Field(description="Where it failed: decode, sequence, counter, aggregate.")
    failed_us: Micros = Field(description="Instant at which it failed last, UTC, in microseconds since 1970-01-01.")
    first_failed_us: Micros = Field(description="Instant at which it failed first; sending it again keeps it.")
    attempts: int = Field(1, ge=1, le=2**31 - 1, description="How often the record has failed.")
    correlation_id: Text = Field("", description="Correlation id, where the record could be read that far.")
    original: bool = Field(
        True, description="False where value is not the whole record: its bytes were gone, or too many."
    )
