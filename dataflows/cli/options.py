"""Options that several commands have."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="PLANTSYNC_CONFIG", help="Settings file.", show_default="plantsync.toml"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

CONFIG = Path("plantsync.toml")
INSTANTS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"]
"""How an option says an instant, in UTC."""


def instant_us(instant: datetime | None) -> int | None:
    """Return what such an option says, in microseconds."""
    return None if instant is None else round(instant.replace(tzinfo=UTC).timestamp() * 1_000_000)
