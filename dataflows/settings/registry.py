"""Settings of schema registries: ``[schema_registries.<name>]`` says how one is reached that a mapping names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from canonical.mapping.problems import refused
from dataflows.section import Interval, Section
from dataflows.settings.resolved import resolved
from sinks.loopback import is_loopback


class SchemaRegistrySection(Section):
    """A registry that speaks Confluent's REST protocol."""

    url: str = Field(description="Where it answers, such as https://registry.example.com.")
    token: SecretStr | None = Field(default=None, description="Shown as `Authorization: Bearer`.")
    user: str = Field(default="", description="In place of a token.")
    password: SecretStr | None = Field(default=None, description="Hers.")
    ca_file: Path | None = Field(default=None, description="Certificates trusted in place of the public ones.")
    cert_file: Path | None = Field(default=None, description="Certificate that we show.")
    key_file: Path | None = Field(default=None, description="Its key, where it is not in the same file.")
    timeout_s: Interval = Field(default=10.0, description="Wait for an answer.")
    answer_bytes_max: int = Field(default=1 << 20, ge=1_024, le=16 << 20, description="A longer schema is refused.")
    schemas_max: int = Field(
        default=256,
        ge=1,
        le=10_000,
        description="Schemas kept in the state of a shard; of more those go that were not used longest.",
    )
    refused_s: Interval = Field(
        default=60.0, description="An id that has no schema is asked for again after this time."
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise refused(f"{self.url!r} is no address of a registry", "such as https://registry.example.com")
        if parts.username is not None or parts.password is not None:
            raise refused("credentials stand in the url", "set token, or user and password")
        if self.token is not None and self.user:
            raise refused("token and user exclude each other", "remove one")
        if bool(self.user) != (self.password is not None):
            raise refused("user and password belong together", "set both or none")
        if (self.token or self.user) and parts.scheme == "http" and not is_loopback(parts.hostname):
            raise refused("credentials would travel in the clear", "use https")
        if self.key_file is not None and self.cert_file is None:
            raise refused("key_file without cert_file", "name the certificate too")
        return self


def _from_elsewhere(value: object) -> object:
    """Refuse secrets that stand in the settings themselves."""
    for name in ("token", "password"):
        if isinstance(value, dict) and isinstance(value.get(name), str):
            raise refused(f"{name} stands in the settings", 'say { env = "NAME" } or { file = "/run/secrets/x" }')
    return value


RegistrySection = Annotated[SchemaRegistrySection, BeforeValidator(resolved), BeforeValidator(_from_elsewhere)]
"""Validated from the last validator to the first."""
