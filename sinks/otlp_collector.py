"""Where spans go: a collector of OpenTelemetry, and the bounds of what waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go, and the bounds of what waits for it; headers are secret."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    queue_max: int = 10_000
    batch_max: int = 500
    interval_s: float = 2.0
    timeout_s: float = 5.0
