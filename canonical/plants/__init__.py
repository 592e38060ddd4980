"""The mapping files shipped with plantsync."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped() -> list[Path]:
    """Return the paths of the mapping files shipped, by name."""
    folder = Path(str(files(__name__)))
    return sorted(folder.glob("plant_*.toml"))
