"""Settings of a receiver of webhooks: ``protocol = "webhook"``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from canonical.mapping.problems import refused
from dataflows.section import Interval, Section
from sinks.loopback import is_loopback


class WebhookCollector(Section):
    """An address that other systems post their events to."""

    protocol: Literal["webhook"] = Field(description="An address that others post to.")
    host: str = Field(default="127.0.0.1", description="Address to listen at.")
    port: int = Field(ge=1, le=65_535, description="Port to listen at.")
    path: str = Field(default="/", pattern=r"^/[\w./-]*$", description="Path that is posted to.")
    token: SecretStr | None = Field(default=None, description="What senders show as `Authorization: Bearer`.")
    signing_secret: SecretStr | None = Field(
        default=None, description="What senders sign with, by Standard Webhooks: `whsec_` and base64."
    )
    window_s: Interval = Field(default=300.0, description="A signed request may be so old, or so far ahead.")
    cert_file: Path | None = Field(default=None, description="Certificate chain, PEM; needed beyond loopback.")
    key_file: Path | None = Field(default=None, description="Its key, PEM.")
    body_bytes_max: int = Field(default=1 << 20, ge=1_024, le=64 << 20, description="A longer body is refused: 413.")
    waiting_max: int = Field(default=1_000, ge=1, le=100_000, description="Requests under way; more are refused: 503.")
    waiting_bytes_max: int = Field(
        default=64 << 20, ge=1_024, le=16 << 30, description="Bytes of their bodies; with more, more are refused: 503."
    )
    durable_wait_s: Interval = Field(
        default=10.0, description="A request that is not durable by then is answered 503, to be sent again."
    )

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.token is None) == (self.signing_secret is None):
            raise refused("anybody could post", "set either token or signing_secret, from the environment or a file")
        if (self.cert_file is None) != (self.key_file is None):
            raise refused("cert_file and key_file belong together", "set both")
        if self.cert_file is None and not is_loopback(self.host):
            hint = "set cert_file and key_file, or listen on loopback behind a proxy that has them"
            raise refused(f"{self.host} is not loopback, and there is no TLS", hint)
        return self
