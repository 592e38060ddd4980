"""The dead letter: a faulty record kept byte for byte, with why and where (M28)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros
from canonical.contracts.fault import Fault


class DeadLetter(BaseModel):
    """Original bytes, key and headers of a faulty record, and its fault.

    On the wire ``value``, ``key`` and ``headers`` are the record's own and the rest travels in
    the Kafka Connect error headers, so that any Kafka tool can send it back unchanged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(description="Input topic or folder.")
    partition: int = 0
    key: bytes | None = None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    fault: Fault
    stage: str = Field(description="Where it failed: decode, sequence, counter, aggregate.")
    failed_us: Micros
