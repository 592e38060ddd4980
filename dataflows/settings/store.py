"""The section ``store`` of the settings: the analytics store."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dataflows.residency import Regions
from dataflows.section import Interval, Place, Section


class StoreSection(Section):
    """The analytics store and the snapshot of it that is published."""

    path: Place = Field(default=Path("state/store.duckdb"), description="Opened by the analytics flow alone.")
    published: Place = Field(default=Path("analytics.duckdb"), description="Replaced as a whole, for readers.")
    publish_interval_s: Interval = Field(default=2.0, description="Shortest time between two publications.")
    hot_rows_max: int = Field(
        default=3_000_000, ge=100, description="Rows outside of sealed files; beyond, the oldest move into one."
    )
    sealed_days_max: int | None = Field(
        default=None, ge=1, le=36_500, description="Age at which sealed files are dropped; none: they are kept."
    )
    residency: Regions | None = Field(
        default=None, description="Regions whose plants it may hold; needed where a mapping names its region."
    )
    threads: int = Field(default=2, ge=1, le=1024, description="Threads of DuckDB.")
    memory_max_mb: int = Field(default=1024, ge=64, description="Memory of DuckDB.")
