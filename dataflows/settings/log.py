"""The section ``log`` of the settings: the commit log that the flows share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from dataflows.section import Place, Section


class LogSection(Section):
    """Where flows commit what they made."""

    kind: Literal["sqlite", "kafka"] = Field(default="sqlite", description="One file, or topics of a cluster.")
    path: Place = Field(default=Path("state/plantsync.db"), description="The file of `sqlite`.")
    busy_timeout_ms: int = Field(default=30_000, ge=1, description="Wait of a commit for other writers of that file.")
