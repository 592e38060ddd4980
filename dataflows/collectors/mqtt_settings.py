"""Settings of collectors that listen to an MQTT broker: ``protocol = "mqtt"`` and ``protocol = "sparkplug"``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from canonical.mapping.problems import refused
from dataflows.collectors.signal_settings import SignalRules
from dataflows.section import Interval, Section

Topic = Annotated[str, Field(min_length=1, max_length=1_024)]


class Broker(Section):
    """How a broker is reached."""

    host: str = Field(min_length=1, description="Where the broker listens.")
    port: int = Field(default=8883, ge=1, le=65_535, description="Its port.")
    tls: bool = Field(default=True, description="Whether the connection is encrypted and the broker known.")
    ca_file: Path | None = Field(default=None, description="Certificates trusted in place of the public ones.")
    cert_file: Path | None = Field(default=None, description="Our own certificate, where the broker asks for one.")
    key_file: Path | None = Field(default=None, description="Its key.")
    user: str = Field(default="", description="Name that the broker knows us by.")
    password: SecretStr | None = Field(default=None, description="Its password.")
    client_id: str = Field(default="", max_length=128, description="Empty: plantsync and the collector's name.")
    keepalive_s: int = Field(default=30, ge=1, le=3_600, description="The broker is asked for a sign of life so often.")
    connect_timeout_s: Interval = Field(default=5.0, description="Wait for a connection.")
    message_bytes_max: int = Field(
        default=1 << 20,
        ge=256,
        le=256 << 20,
        description="A longer message is refused.",
    )

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise refused("certificates have no effect without tls", "set tls = true, or remove them")
        if (self.cert_file is None) != (self.key_file is None):
            raise refused("cert_file and key_file belong together", "set both")
        return self


class MqttCollector(Broker):
    """Topics of an MQTT broker."""

    protocol: Literal["mqtt"] = Field(description="Topics of an MQTT broker.")
    topics: tuple[Topic, ...] = Field(min_length=1, description="Topic filters, with + and #.")
    envelope: bool = Field(
        default=False,
        description="A record is `{topic, payload}`, not the payload alone: the topic tells the machine.",
    )
    session_expiry_s: int = Field(
        default=604_800, ge=0, le=2**32 - 2, description="The broker keeps for us so long what comes while we are away."
    )
    signals: SignalRules = ()
    signal_value: str = Field(default="", description="Dotted path in their payload to the value.")
    signal_at: str = Field(
        default="", description="And to its instant: ISO 8601 with an offset, or milliseconds since 1970."
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if bool(self.signals) != bool(self.signal_value and self.signal_at):
            raise refused("signals, signal_value and signal_at belong together", "set all three")
        return self


class SparkplugCollector(Broker):
    """Edge nodes that speak Sparkplug B 3.0."""

    protocol: Literal["sparkplug"] = Field(description="Edge nodes that speak Sparkplug B 3.0.")
    group: str = Field(default="+", pattern=r"^[^/#]+$", description="Group of the edge nodes; + is all.")
    host_id: str = Field(
        default="",
        pattern=r"^[^/#+]*$",
        description="Our name as their primary host: they keep what happens meanwhile.",
    )
    reorder_timeout_s: Interval = Field(
        default=5.0,
        description="A missing message or birth is waited for so long, then the edge node is asked for birth.",
    )
    held_max: int = Field(
        default=10_000, ge=1, description="Messages of an edge node held until its birth; of more the oldest are told."
    )
    edges_max: int = Field(default=10_000, ge=1, description="Edge nodes; messages of more are refused.")
    aliases_max: int = Field(default=100_000, ge=1, description="Metrics of an edge node with an alias.")
