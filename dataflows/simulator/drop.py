"""Deliveries and drops: a plant's records on their way, and the files they arrive in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from dataflows.simulator.calendar import HOUR_US, instant


class Delivery(NamedTuple):
    """One record as it arrives. ``tick`` orders what arrives at the same instant."""

    arrival_us: int
    tick: int
    key: str
    record: bytes


class Drop(NamedTuple):
    """A file of records, or as many messages; ``header`` heads the file and is no message."""

    plant: str
    name: str
    records: Sequence[tuple[str, bytes]]
    header: bytes = b""
    line_end: bytes = b"\n"


def hourly(plant: str, suffix: str, deliveries: list[Delivery]) -> Iterator[Drop]:
    """Sort deliveries by arrival and yield one drop for each hour in which something arrives."""
    deliveries.sort()
    for hour, part in groupby(deliveries, lambda d: d.arrival_us // HOUR_US):
        yield Drop(plant, f"{hour_name(hour)}{suffix}", [(d.key, d.record) for d in part])


def hour_name(hour: int) -> str:
    """Return the name of an hour since 1970 in UTC, as 20260328T14."""
    return instant(hour * HOUR_US).strftime("%Y%m%dT%H")
