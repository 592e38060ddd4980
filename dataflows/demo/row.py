"""What all parts of the report have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ReportRow(BaseModel):
    """A part of the report: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
