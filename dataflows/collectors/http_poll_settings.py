"""Settings of a collector that asks a web service again and again: ``protocol = "http-poll"``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from canonical.mapping.problems import refused
from dataflows.section import Interval, Section
from sinks.loopback import is_loopback

Path_ = Annotated[str, Field(max_length=256)]


class HttpPollCollector(Section):
    """A web service that answers with a list of events."""

    protocol: Literal["http-poll"] = Field(description="A web service that is asked again and again.")
    url: str = Field(description="What is asked, with GET.")
    token: SecretStr | None = Field(default=None, description="Shown as `Authorization: Bearer`.")
    user: str = Field(default="", description="In place of a token.")
    password: SecretStr | None = Field(default=None, description="Hers.")
    ca_file: Path | None = Field(default=None, description="Certificates trusted in place of the public ones.")
    records: Path_ = Field(default="", description="Dotted path to the list in the answer; empty: the answer is it.")
    cursor: Path_ = Field(default="", description="Dotted path to what the next question is to name.")
    cursor_parameter: str = Field(default="cursor", min_length=1, description="Under this name.")
    since: Path_ = Field(default="", description="Dotted path in a record to what grows; the next question names it.")
    since_parameter: str = Field(default="since", min_length=1, description="Under this name.")
    every_s: Interval = Field(default=5.0, description="Time between two questions when there was nothing more.")
    timeout_s: Interval = Field(default=30.0, description="Wait for an answer.")
    answer_bytes_max: int = Field(default=16 << 20, ge=1_024, le=256 << 20, description="A longer answer is refused.")
    remembered_max: int = Field(
        default=100_000, ge=1, description="Records remembered, to know them again; of more the oldest count anew."
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise refused(f"{self.url!r} is no address of a web service", "such as https://qms.example.com/results")
        if parts.username is not None or parts.password is not None:
            raise refused("credentials stand in the url", "set token, or user and password")
        if self.cursor and self.since:
            raise refused("cursor and since exclude each other", "the answer tells a cursor, or the records grow")
        if self.token is not None and self.user:
            raise refused("token and user exclude each other", "remove one")
        if (self.token or self.user) and parts.scheme == "http" and not is_loopback(parts.hostname):
            raise refused("credentials would travel in the clear", "use https")
        return self
