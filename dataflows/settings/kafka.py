"""Settings of Kafka: ``[kafka]`` says how a cluster is reached, and what bounds the commit log has on it.

A librdkafka property may name where its value lies instead of holding it: ``{ env = "NAME" }`` or
``{ file = "/run/secrets/x" }``. Such values, and those that are secret by their name, are never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from canonical.mapping.problems import refused
from dataflows.section import ENVIRONMENT, Section
from sinks.kafka_settings import KafkaSettings

SECRET: Final = re.compile(r"(password|secret|\.key\.pem|basic\.auth\.user\.info|oauthbearer\.config)$")
"""Names of librdkafka properties whose values nobody may see."""


def _property(value: object, info: ValidationInfo) -> object:
    """Return a librdkafka property as text; where it lies elsewhere, as a secret."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case {"env": str(name), **rest} if not rest:
            assert info.context is not None
            environment: Mapping[str, str] = info.context[ENVIRONMENT]
            if name not in environment:
                raise refused(f"the environment variable {name} is not set", "set it where plantsync runs")
            return SecretStr(environment[name])
        case {"file": str(name), **rest} if not rest:
            try:
                return SecretStr(Path(name).read_text("utf-8").rstrip("\r\n"))
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                raise refused(f"{name}: {reason}", "the file holds the value and nothing else") from error
        case dict():
            raise refused("not a value", 'a text, a number, true, false, { env = "NAME" } or { file = "/path" }')
    return value


Property = Annotated[str | SecretStr, BeforeValidator(_property)]


class KafkaSection(Section):
    """How to reach Kafka, and the bounds of the commit log on it."""

    properties: dict[str, Property] = Field(
        default={}, description="Properties of librdkafka, handed on unchanged; at least `bootstrap.servers`."
    )
    prefix: str = Field(default="plantsync.", description="Begins every topic and transactional id of ours.")
    partitions: int = Field(default=6, description="Of a record topic that the log creates.")
    state_partitions: int = Field(default=16, description="Of the state topic; fixed once that exists.")
    replication_factor: int = Field(default=-1, description="Of topics that the log creates; -1: the broker's default.")
    retention_ms: int = Field(default=2_592_000_000, description="Of records in topics that the log creates.")
    record_bytes_max: int = Field(default=4_194_304, description="Largest record that may be written.")
    state_chunk_bytes: int = Field(default=900_000, description="Larger parts of a state are cut.")
    state_segment_bytes: int = Field(default=33_554_432, description="Segment size of the state topic.")
    transaction_timeout_ms: int = Field(default=30_000, description="A commit that takes longer fails.")
    request_timeout_ms: int = Field(default=10_000, description="Bound of one administrative request.")
    restore_timeout_ms: int = Field(
        default=90_000, description="Bound of taking over and restoring all shards of a process."
    )

    group: str = Field(
        default="{prefix}{flow}",
        description="Consumer group that is told how far each flow is, for lag tools; empty: none.",
    )

    def group_of(self, flow: str) -> str:
        """Return the consumer group that is told how far a flow is; empty where none is."""
        return self.group.replace("{prefix}", self.prefix).replace("{flow}", flow)

    def connection(self) -> KafkaSettings:
        """Return the settings for the clients, secrets in clear."""
        plain = {
            name: value if isinstance(value, str) else value.get_secret_value()
            for name, value in self.properties.items()
        }
        others = {name: value for name, value in self if name not in {"properties", "group"}}
        return KafkaSettings(properties=plain, **others)

    @field_validator("properties")
    @classmethod
    def _hidden(cls, value: dict[str, str | SecretStr]) -> dict[str, str | SecretStr]:
        return {k: SecretStr(v) if isinstance(v, str) and SECRET.search(k) else v for k, v in value.items()}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        try:
            self.connection()
        except ValueError as error:
            raise refused(str(error).removeprefix("Kafka settings: "), "docs/settings.md lists the keys") from error
        return self
