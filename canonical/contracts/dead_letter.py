"""The dead letter: a faulty record kept byte for byte, with why and where (M28)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros, Text
from canonical.contracts.fault import Fault


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
    headers: tuple[tuple[str, bytes], ...] = Field((), description="Headers of the record, in order; names may repeat.")
    fault: Fault = Field(description="What is wrong, and where.")
    stage: str = Field(description="Where it failed: decode, sequence, counter, aggregate.")
    failed_us: Micros = Field(description="Instant at which it failed last, UTC, in microseconds since 1970-01-01.")
    first_failed_us: Micros = Field(description="Instant at which it failed first; sending it again keeps it.")
    attempts: int = Field(1, ge=1, le=2**31 - 1, description="How often the record has failed.")
    correlation_id: Text = Field("", description="Correlation id, where the record could be read that far.")
    original: bool = Field(True, description="False where the bytes were gone: value then describes the fault in JSON.")
