"""What the published store says of each plant, hop by hop: what went through, what is stuck, since when (M37, M38).

Law: every figure is of one publication; a figure that is not of the whole store names its days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from sinks.analytics.published import QueryRefused, open_published

DAY_US: Final = 86_400_000_000
SPAN_US: Final = 48 * 3_600_000_000
"""Output is shown so far back from what was made last."""
Row = dict[str, Any]

PLANTS: Final = """
WITH
read AS (
    SELECT plant, sum(read) AS read, sum(held) AS held, sum(missing) AS missing, sum(duplicates) AS duplicates,
        bool_and(balanced) AS balanced
    FROM conservation GROUP BY plant
),
made AS (
    SELECT plant, sum(confirmations) AS confirmed, sum(confirmations) FILTER (hour_us > $since) AS confirmed_day,
        max(last_occurred_us) AS last_us
    FROM production GROUP BY plant
),
aside AS (
    SELECT plant, sum(faults) AS faults, sum(faults) FILTER (hour_us > $since) AS faults_day
    FROM setting_aside GROUP BY plant
),
waits AS (
    SELECT plant, count(DISTINCT cause) AS waiting, min(at_us) AS waiting_since_us
    FROM (SELECT *, causes[1] AS first FROM unposted WHERE state = 'waiting') AS still
    ANTI JOIN (SELECT unnest(causes) AS first, kind FROM posting) AS made USING (first, kind)
    GROUP BY plant
),
heard AS (
    SELECT posting_id, max_by(status, stream_offset) AS status, min(enqueued_us) AS enqueued_us,
        max(answered_us) AS answered_us
    FROM receipt GROUP BY posting_id
),
sent AS (
    SELECT plant, count(*) FILTER (status IS NULL) AS queued, min(end_us) FILTER (status IS NULL) AS queued_since_us,
        count(*) FILTER (status IN ('accepted', 'moved')) AS documents,
        count(*) FILTER (status IN ('accepted', 'moved') AND answered_us > $since) AS documents_day,
        count(*) FILTER (status IN ('rejected', 'movement-failed')) AS refused,
        max(answered_us) AS answered_us, list(DISTINCT erp ORDER BY erp) AS erps
    FROM posting LEFT JOIN heard USING (posting_id) GROUP BY plant
)
SELECT plant, read, held, missing, duplicates, balanced, confirmed, confirmed_day, last_us, faults, faults_day,
    waiting, waiting_since_us, queued, queued_since_us, documents, documents_day, refused, answered_us, erps
FROM read FULL JOIN made USING (plant) FULL JOIN aside USING (plant) FULL JOIN waits USING (plant)
    FULL JOIN sent USING (plant)
WHERE plant <> ''
ORDER BY plant
"""
HOURS: Final = """
SELECT plant, unit, epoch_us(hour) // 3600000000 AS hour, sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework
FROM output_by_hour
WHERE hour > make_timestamp(least($now_us, (SELECT max(last_occurred_us) FROM production)) - $span_us)
GROUP BY ALL ORDER BY ALL
"""


OBJECTIVES: Final = """
SELECT objective, any_value(percent) AS percent, any_value(within_s) AS within_s, any_value(window_days) AS window_days,
    sum(postings) AS postings, sum(late) AS late, min(attained) AS attained, min(budget_left) AS budget_left,
    list(plant || ' to ' || erp ORDER BY plant, erp) FILTER (burning <> '') AS burning, max(burning) AS urgency
FROM slo_state GROUP BY objective ORDER BY min(budget_left), objective
"""
BREACHES: Final = """
SELECT objective, plant, erp, urgency, severity, epoch_us(begun) AS begun_us, owners, codes, postings, orders,
    materials, lots, quantities, line_stop, financial
FROM slo_breach WHERE ended IS NULL
QUALIFY row_number() OVER (PARTITION BY objective, plant, erp ORDER BY urgency, begun) = 1
ORDER BY urgency, begun LIMIT 20
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One publication: rows by plant, output by hour, objectives, and when it was published."""

    published_us: int
    plants: Mapping[str, Row] = field(default_factory=dict)
    hours: tuple[Row, ...] = ()
    objectives: tuple[Row, ...] = ()
    breaches: tuple[Row, ...] = ()


def figures(path: Path, now_us: int) -> Figures:
    """Ask the snapshot that is published now.

    Raises: StoreNotPublished, StoreUnavailable, QueryRefused.
    """
    published_us = published(path)
    rows, hours, objectives, breaches = asked(
        path,
        (PLANTS, {"since": now_us - DAY_US}),
        (HOURS, {"now_us": now_us, "span_us": SPAN_US}),
        (OBJECTIVES, {}),
        (BREACHES, {}),
    )
    return Figures(published_us, {row["plant"]: row for row in rows}, tuple(hours), tuple(objectives), tuple(breaches))


def published(path: Path) -> int:
    """Return when the snapshot was published, 0 where none is."""
    try:
        return path.stat().st_mtime_ns // 1000
    except OSError:
        return 0


def asked(path: Path, *questions: tuple[str, Mapping[str, Any]]) -> list[list[Row]]:
    """Return the rows of each question, all of one publication.

    Raises: StoreNotPublished, StoreUnavailable, QueryRefused.
    """
    with open_published(path) as db:
        answers = []
        for sql, values in questions:
            try:
                answers.append([_plain(row) for row in db.sql(sql, params=dict(values)).to_arrow_table().to_pylist()])
            except duckdb.Error as error:
                raise QueryRefused(
                    f"the store at {path} cannot answer: {error}; was it written by an older release? "
                    "The analytics flow brings it up to date"
                ) from error
        return answers


def _plain(row: Row) -> Row:
    """Return a row with sums of whole numbers as such, and with quantities as floats: they are only shown."""
    return {
        name: (int(value) if value == value.to_integral_value() else float(value))
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }
