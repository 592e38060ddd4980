"""Settings of a collector of a database table: ``protocol = "sql"``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from canonical.mapping.problems import refused
from dataflows.section import Interval, Section

Name = Annotated[str, Field(min_length=1, max_length=128)]


class SqlCollector(Section):
    """A table that a legacy system writes, polled by a key that grows."""

    protocol: Literal["sql"] = Field(description="A table of a database.")
    url: str = Field(description="Where it is, as SQLAlchemy writes it: postgresql+pg8000://reader@db-7/mes.")
    password: SecretStr | None = Field(default=None, description="Of the user in `url`; from a file or a variable.")
    table: Name = Field(description="Table or view.")
    schema_name: str = Field(default="", max_length=128, description="Schema of the table; empty: the user's own.")
    columns: tuple[Name, ...] = Field(default=(), description="Columns that are read; none named: all there are.")
    key: Name = Field(description="Column that grows: a number, or the time of the last change. Index it.")
    overlap: float = Field(
        default=60.0, ge=0, description="So far behind the largest key seen is read again, in numbers or in seconds."
    )
    overlap_rows_max: int = Field(
        default=100_000, ge=1, description="Rows remembered of that, to know them again; of more the oldest count anew."
    )
    rows_max: int = Field(default=5_000, ge=1, le=100_000, description="Rows taken at once.")
    every_s: Interval = Field(default=5.0, description="Time between two questions when there was nothing more.")
    timeout_s: Interval = Field(
        default=300.0, description="Wait for a connection and each part of an answer; with `postgresql+pg8000`."
    )

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str) -> str:
        user, at, _ = value.partition("://")[2].rpartition("@")
        if at and ":" in user:
            raise refused("the password stands in the url", 'set password = { env = "NAME" } or { file = "PATH" }')
        return value
