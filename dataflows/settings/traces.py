"""Settings of what is told to a collector of OpenTelemetry: ``[traces]``."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from canonical.mapping.problems import refused
from dataflows.residency import Regions
from dataflows.section import Interval, Place, Section
from dataflows.settings.kafka import Property
from dataflows.settings.metrics import Address
from sinks.otlp_collector import Collector


class TracesSection(Section):
    """Where the hops of each posting are told as spans."""

    endpoint: str | None = Field(
        default=None, description="URL of a collector of OpenTelemetry that takes traces by HTTP; none: no traces."
    )
    headers: dict[str, Property] = Field(
        default={}, description="Headers it wants; a value may name its variable or file, as in `kafka.properties`."
    )
    ca_file: Place | None = Field(default=None, description="Certificates that vouch for it; none: the system's.")
    unencrypted: bool = Field(default=False, description="Allow a collector on another machine without TLS.")
    residency: Regions | None = Field(
        default=None, description="Regions whose plants it may be told of; needed where a mapping names its region."
    )
    queue_max: int = Field(default=10_000, ge=1, le=1_000_000, description="Spans that wait for it; more are dropped.")
    batch_max: int = Field(default=500, ge=1, le=10_000, description="Spans of one request.")
    interval_s: Interval = Field(default=2.0, description="Spans wait so long to be sent together.")
    timeout_s: Interval = Field(default=5.0, description="Wait for its answer, and at the end of the flow.")

    def collector(self) -> Collector | None:
        """Return where spans go, secrets in clear; None where they go nowhere."""
        if self.endpoint is None:
            return None
        plain = {name: _secret(value).get_secret_value() for name, value in self.headers.items()}
        bounds = (self.queue_max, self.batch_max, self.interval_s, self.timeout_s)
        return Collector(self.endpoint, plain, self.ca_file, *bounds)

    @field_validator("headers")
    @classmethod
    def _hidden(cls, value: dict[str, str | SecretStr]) -> dict[str, str | SecretStr]:
        return {name: _secret(text) for name, text in value.items()}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.endpoint is None:
            return self
        url = urlsplit(self.endpoint)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise refused(f"{self.endpoint!r} is no URL", 'such as "http://127.0.0.1:4318/v1/traces"')
        if url.scheme == "http" and not (Address(url.hostname, 0).is_loopback or self.unencrypted):
            raise refused(
                f"traces would go to {url.hostname} without TLS",
                "use https; or set unencrypted, where the network may see them",
            )
        return self


def _secret(value: str | SecretStr) -> SecretStr:
    return value if isinstance(value, SecretStr) else SecretStr(value)
