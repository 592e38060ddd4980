"""Settings of a collector of an MTConnect adapter: ``protocol = "shdr"``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dataflows.collectors.signal_settings import SignalRules
from dataflows.section import Interval, Section


class ShdrCollector(Section):
    """An MTConnect adapter that tells its lines to whoever connects (SHDR over TCP)."""

    protocol: Literal["shdr"] = Field(description="An MTConnect adapter.")
    host: str = Field(min_length=1, description="Where the adapter listens.")
    port: int = Field(default=7878, ge=1, le=65_535, description="Its port.")
    connect_timeout_s: Interval = Field(default=5.0, description="Wait for a connection.")
    heartbeat_s: Interval = Field(
        default=10.0, description="It is asked for a sign of life so often; after two without one it is away."
    )
    line_bytes_max: int = Field(default=1 << 20, ge=256, le=64 << 20, description="A longer line is refused.")
    signals: SignalRules = ()
