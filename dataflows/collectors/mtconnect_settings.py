"""Settings of a collector of an MTConnect agent: ``protocol = "mtconnect"``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from canonical.mapping.problems import refused
from dataflows.collectors.signal_settings import SignalRules
from dataflows.section import Interval, Section


class MtconnectCollector(Section):
    """An MTConnect agent, asked for its observations over HTTP."""

    protocol: Literal["mtconnect"] = Field(description="An MTConnect agent.")
    url: str = Field(description="Its address: http://agent-3:5000.")
    device: str = Field(default="", pattern=r"^[\w.-]*$", description="Name or uuid of a device; empty: all it has.")
    path: str = Field(default="", max_length=1_024, description='XPath of what is told: //DataItem[@type="EXECUTION"].')
    ca_file: Path | None = Field(default=None, description="Certificates trusted in place of the public ones.")
    count: int = Field(default=1_000, ge=1, le=100_000, description="Observations asked for at once.")
    every_s: Interval = Field(default=1.0, description="Time between two questions when there was nothing more.")
    timeout_s: Interval = Field(default=10.0, description="Wait for an answer.")
    answer_bytes_max: int = Field(
        default=16 << 20, ge=1_024, le=256 << 20, description="Of a longer answer half as much is asked for."
    )

    signals: SignalRules = ()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise refused(f"{self.url!r} is no address of an agent", "such as http://agent-3:5000")
        if parts.username is not None or parts.password is not None:
            raise refused("credentials stand in the url", "agents know none; put a proxy in front and use https")
        return self
