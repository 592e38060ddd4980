"""How long postings took from hop to hop, as histograms by the hour, kept as rows come (M37, M38).

Law: the histograms equal those over all rows of ``posting`` and ``receipt``. A duration of d microseconds is in bin
floor(4 log2 d), whose bounds are a factor of 1.19 apart: the middle of a bin is within 9.1 % of each duration in it.

Each hop is told by the record that ends it, so nothing is joined: up to the queue by the posting's envelope, from there
on by the receipt. A posting that is answered more than once, because it was refused first, counts each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa

from sinks.analytics.rollups import HOUR_US, Rollup, key_column, sum_column
from sinks.analytics.table import Column, Table

BINS_PER_OCTAVE: Final = 4

_HOPS_OF_POSTING: Final = (
    ("gather", "end_us", "known_us"),
    ("decide", "known_us", "enqueued_us"),
)
_HOPS_OF_RECEIPT: Final = (
    ("queue", "enqueued_us", "first_sent_us"),
    ("retry", "first_sent_us", "sent_us"),
    ("erp", "sent_us", "coalesce(committed_us, answered_us)"),
    ("answer", "committed_us", "answered_us"),
    ("whole", "occurred_us", "answered_us"),
)


def _each(hops: tuple[tuple[str, str, str], ...]) -> str:
    """Return a list of structs, one for each hop: name, end, how long it took; an instant of 0 is none."""
    structs = (
        f"{{'hop': '{hop}', 'until_us': {until}, 'us': greatest({until} - {since}, 0), 'told': {since} > 0}}"
        for hop, since, until in hops
    )
    return f"[{', '.join(structs)}]"


def _latency(table: str, hops: tuple[tuple[str, str, str], ...], where: str) -> Rollup:
    return Rollup(
        "latency",
        "How long postings took from hop to hop, by the UTC hour in which the hop ended; histograms.",
        table,
        keys=(
            Column(
                "hour_us",
                f"until_us // {HOUR_US} * {HOUR_US}",
                "BIGINT",
                nullable=False,
                comment="Start of the UTC hour in which the hop ended, in microseconds since 1970-01-01.",
            ),
            key_column("plant", "Canonical key of the plant."),
            key_column("erp", "Name of the ERP instance."),
            key_column("kind", "What document it was to become."),
            key_column(
                "hop", "gather, decide, queue, retry, erp, answer, or whole: from the last event to the answer."
            ),
            key_column(
                "bin",
                f"Durations of 2^(bin/{BINS_PER_OCTAVE}) microseconds up to those of the next bin; 0 has those below.",
                f"CAST(floor({BINS_PER_OCTAVE} * log2(greatest(us, 1))) AS INTEGER)",
                "INTEGER",
            ),
        ),
        sums=(
            sum_column("postings", "Number of postings.", "1"),
            sum_column("total_us", "Sum of the durations in microseconds.", "us"),
        ),
        first=Column("shortest_us", "us", "BIGINT", nullable=False, comment="Shortest duration in microseconds."),
        last=Column("longest_us", "us", "BIGINT", nullable=False, comment="Longest duration in microseconds."),
        counted="postings",
        where=where,
        each=_each(hops),
    )


LATENCY: Final[tuple[Rollup, ...]] = (
    _latency("posting", _HOPS_OF_POSTING, "told AND until_us > 0"),
    _latency("receipt", _HOPS_OF_RECEIPT, "told AND until_us > 0 AND status IN ('accepted', 'rejected')"),
)
"""Both sum into one table; no hop is told by both."""

_ENDS: Final = {
    "posting": ("known_us", "enqueued_us"),
    "receipt": ("first_sent_us", "sent_us", "committed_us", "answered_us"),
}
"""By table: the instants at which hops end."""

_OF_HOP: Final = ("hour_us", "plant", "erp", "kind", "hop")
_KEYS: Final = tuple(column for column in LATENCY[0].keys if column.name in _OF_HOP)
_QUANTILES: Final = (("p50_us", 1, 2), ("p95_us", 19, 20), ("p99_us", 99, 100))

HOP_HOUR: Final = Table(
    "hop_hour",
    "How long postings took from hop to hop, by the UTC hour in which the hop ended: quantiles of table latency.",
    (
        *_KEYS,
        Column("postings", "postings", "BIGINT", nullable=False, comment="Number of postings."),
        Column("total_us", "total_us", "HUGEINT", nullable=False, comment="Sum of the durations in microseconds."),
        *(
            Column(
                name,
                name,
                "BIGINT",
                nullable=False,
                comment=f"So many of {of} took no longer: {part}. In microseconds, within 9.1 %.",
            )
            for name, part, of in _QUANTILES
        ),
        Column("longest_us", "longest_us", "BIGINT", nullable=False, comment="Longest duration in microseconds."),
    ),
)

# Names in the statements below are constants of this module; values are parameters.


def quantiles(table: Table, told: pa.Table) -> list[str]:
    """Return what brings the quantiles of all hours up to date that rows of ``told`` were summed into."""
    hours = ", ".join(map(str, _hours(told, _ENDS[table.name]))) if table.name in _ENDS else ""
    if not hours:
        return []
    return [
        f"DELETE FROM {HOP_HOUR.name} WHERE hour_us IN ({hours})",  # noqa: S608
        filled(f"(SELECT * FROM latency WHERE hour_us IN ({hours}))"),  # noqa: S608
    ]


def _hours(told: pa.Table, ends: Iterable[str]) -> list[int]:
    """Return the hours in which hops of these rows may have ended."""
    instants = np.concatenate([told[name].drop_null().to_numpy() for name in ends])
    return [int(hour) * HOUR_US for hour in np.unique(instants // HOUR_US)]


def filled(histograms: str = "latency") -> str:
    """Return the INSERT of the quantiles of these rows of table ``latency``."""
    keys = ", ".join(_OF_HOP)
    values = ", ".join(
        f"CAST(round(pow(2, (min(bin) FILTER (upto * {of} >= total * {part}) + 0.5) / {BINS_PER_OCTAVE})) AS BIGINT)"
        f" AS {name}"
        for name, part, of in _QUANTILES
    )
    return (
        f"INSERT INTO {HOP_HOUR.name} BY NAME SELECT {keys}, CAST(sum(postings) AS BIGINT) AS postings, "  # noqa: S608
        f"sum(total_us) AS total_us, {values}, max(longest_us) AS longest_us FROM (SELECT *, "
        f"sum(postings) OVER (PARTITION BY {keys} ORDER BY bin) AS upto, "
        f"sum(postings) OVER (PARTITION BY {keys}) AS total FROM {histograms}) GROUP BY ALL"
    )
