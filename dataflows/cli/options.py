"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="PLANTSYNC_CONFIG", help="Settings file.", show_default="plantsync.toml"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

CONFIG = Path("plantsync.toml")
