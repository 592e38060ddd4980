"""All tables of the analytics store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sinks.analytics.booking import BOOKING
from sinks.analytics.delivery_times import DELIVERY_TIME
from sinks.analytics.intervals import DERIVED
from sinks.analytics.latency import HOP_HOUR, LATENCY
from sinks.analytics.outstanding import OUTSTANDING
from sinks.analytics.plant_tables import PLANT_TABLES
from sinks.analytics.reference_tables import REFERENCE_TABLES
from sinks.analytics.rollups import ROLLUPS
from sinks.analytics.stream_tables import TABLES
from sinks.analytics.table import Described, Table

READ: Final[Mapping[str, Table]] = {**TABLES, **{table.name: table for table in REFERENCE_TABLES.values()}}
"""By name: what rows that were read can be committed to."""
SUMMED: Final = (*ROLLUPS, *LATENCY, BOOKING, DELIVERY_TIME)
"""All that is summed as rows come."""
DESCRIBED: Final[tuple[Described, ...]] = (
    *READ.values(),
    *PLANT_TABLES.values(),
    *SUMMED,
    HOP_HOUR,
    *OUTSTANDING,
    *DERIVED,
)
"""Every table that people ask."""
