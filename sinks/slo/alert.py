"""Alerts: a breach of an objective from its begin to its end, and what it threatens.

Laws: per objective, ERP, plant and urgency there is at most one open alert; it begins at the first evaluation that
finds the objective burning and ends at the first that does not, each stored once in the transaction of that evaluation,
however often the writer is killed and started. Severity comes from the postings that are late, not from the error that
delays them: a line may stop, books may be wrong, or it is a delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

import duckdb

from canonical.contracts import Severity
from sinks.analytics.delivery_times import HOPS
from sinks.slo.level import APPLIES, OVERDUE, Level, levels, write_levels
from sinks.slo.objective import SECOND_US, Objective, first_slot_us

KEPT_US: Final = 3_600_000_000
"""What was answered late within so long is named too."""
CLOSE_NEAR_DAYS: Final = 2
"""A posting to a month that ends within so many days may miss its books."""

_OBJECTIVES: Final = "SELECT * FROM slo_objective ORDER BY name"
_NAMED: Final = "list_distinct(list_filter([{0}] || list_transform(movements, lambda m: m.{0}), lambda t: t <> ''))"
_TOOK: Final = " ".join(f"WHEN '{hop}' THEN {until} - {since}" for hop, (since, until) in HOPS.items())
_CONCERNED: Final = f"""
INSERT INTO slo_breach_posting
WITH late AS (
    SELECT alert.alert_id, p.posting_id, p.kind, p.order_id, p.end_us AS occurred_us
    FROM slo_alert AS alert
    JOIN slo_objective AS o ON o.name = alert.objective
    JOIN open_posting AS p ON p.erp = alert.erp AND p.plant = alert.plant AND {APPLIES}
    WHERE alert.ended_us IS NULL AND ({OVERDUE})
    UNION
    SELECT alert.alert_id, p.posting_id, p.kind, p.order_id, p.occurred_us
    FROM slo_alert AS alert
    JOIN slo_objective AS o ON o.name = alert.objective
    JOIN (SELECT * FROM receipt WHERE status = 'accepted' AND answered_us >= $since) AS p
        ON p.erp = alert.erp AND p.plant = alert.plant AND {APPLIES}
    WHERE alert.ended_us IS NULL AND CASE o.hop {_TOOK} END > o.within_s * {SECOND_US}
)
SELECT late.alert_id, late.posting_id, late.kind, late.order_id, coalesce({_NAMED.format("material")}, []),
    coalesce({_NAMED.format("lot")}, []), coalesce(unit, ''), coalesce(good + scrap + rework, 0), posting_date,
    coalesce(final, false)
FROM late
ANTI JOIN slo_breach_posting AS known ON known.alert_id = late.alert_id AND known.posting_id = late.posting_id
-- The instant is the same in both, and rows lie by it: so only those of that time are looked through.
LEFT JOIN posting ON posting.posting_id = late.posting_id AND posting.end_us = late.occurred_us
"""  # noqa: S608 - constants of these modules
_OPEN_ALERT: Final = "SELECT 1 FROM slo_alert WHERE ended_us IS NULL LIMIT 1"
_THREATENED: Final = f"""
WITH late AS (
    SELECT alert.erp, alert.plant, posting.*
    FROM slo_alert AS alert JOIN slo_breach_posting AS posting USING (alert_id) WHERE alert.ended_us IS NULL
),
wrong AS (SELECT erp, plant, order_id, posting_id, code, owner FROM business_exception WHERE resolution = 'open'),
explained AS (
    SELECT alert_id, list(DISTINCT code ORDER BY code) AS codes, list(DISTINCT owner ORDER BY owner) AS owners
    FROM late JOIN wrong ON wrong.posting_id = CAST(late.posting_id AS VARCHAR)
        OR (wrong.plant = late.plant AND wrong.order_id = late.order_id AND late.order_id <> '')
        OR (wrong.code = 'ERP_UNAVAILABLE' AND wrong.erp = late.erp)
    GROUP BY alert_id
),
complete AS (SELECT plant, order_id FROM production SEMI JOIN late USING (plant, order_id) WHERE finals > 0),
threat AS (
    SELECT
        alert_id,
        bool_or(
            kind = 'goods-issue' OR (
                kind IN ('goods-receipt', 'stock-transfer')
                AND list_has_any(materials, (SELECT coalesce(list(DISTINCT material), []) FROM component_usage))
            )
        ) AS line_stop,
        bool_or(
            final
            OR last_day(posting_date) < CAST(make_timestamp($as_of) AS DATE) + {CLOSE_NEAR_DAYS}
            OR (plant, order_id) IN (SELECT (plant, order_id) FROM complete)
            OR (plant, order_id) IN (
                SELECT (plant, order_id) FROM wrong WHERE code IN ('ORDER_CLOSED', 'PERIOD_CLOSED') AND order_id <> ''
            )
        ) AS financial
    FROM late
    GROUP BY alert_id
),
told AS (
    SELECT
        threat.alert_id,
        alert.line_stop OR threat.line_stop AS line_stop,
        alert.financial OR coalesce(threat.financial, false) AS financial,
        list_sort(list_distinct(alert.codes || coalesce(explained.codes, []))) AS codes,
        list_sort(list_distinct(alert.owners || coalesce(explained.owners, []))) AS owners
    FROM threat JOIN slo_alert AS alert USING (alert_id) LEFT JOIN explained USING (alert_id)
)
UPDATE slo_alert AS alert SET
    line_stop = told.line_stop,
    financial = told.financial,
    severity = CASE WHEN told.line_stop THEN '{Severity.LINE_STOP}' WHEN told.financial THEN '{Severity.FINANCIAL}'
        ELSE '{Severity.DELAY}' END,
    codes = told.codes,
    owners = told.owners
FROM told
WHERE told.alert_id = alert.alert_id
    AND (alert.line_stop, alert.financial, alert.codes, alert.owners)
        IS DISTINCT FROM (told.line_stop, told.financial, told.codes, told.owners)
"""  # noqa: S608 - constants of these modules
_BEGIN: Final = """
INSERT INTO slo_alert
SELECT ?, ?, ?, ?, ?, ?, NULL, 'delay', false, false, [], []
"""
_END: Final = "UPDATE slo_alert SET ended_us = ? WHERE alert_id = ?"
_NOTICE: Final = "INSERT INTO slo_notice VALUES (?, ?, ?, NULL)"


def evaluate(db: duckdb.DuckDBPyConnection, objectives: Sequence[Objective], as_of_us: int) -> bool:
    """Judge the objectives as of an instant and store what that says; return whether readers see a change.

    It is to run in one transaction; ``as_of_us`` never decreases, and all receipts of answers before it are stored.
    """
    changed = _write_objectives(db, objectives)
    found = levels(db, objectives, as_of_us)
    changed |= write_levels(db, found, as_of_us)
    changed |= _begin_and_end(db, found, as_of_us)
    if db.execute(_OPEN_ALERT).fetchall():
        since = first_slot_us(as_of_us, KEPT_US // SECOND_US)
        changed |= _count(db, _CONCERNED, {"as_of": as_of_us, "since": since}) > 0
        changed |= _count(db, _THREATENED, {"as_of": as_of_us}) > 0
    return changed


def alert_id(objective: str, erp: str, plant: str, urgency: str, begun_us: int) -> UUID:
    """Return the id of an alert, a function of what it says."""
    return uuid5(NAMESPACE_URL, f"plantsync:slo/{objective}/{erp}/{plant}/{urgency}/{begun_us}")


def _write_objectives(db: duckdb.DuckDBPyConnection, objectives: Sequence[Objective]) -> bool:
    rows = sorted(
        (
            *(each.name, list(map(str, each.kinds)), list(map(str, each.lanes)), list(each.plants), each.hop),
            *(each.within_s, 100 - each.budget_ppm / 10_000, each.window_days, each.late_min),
        )
        for each in objectives
    )
    if rows == db.execute(_OBJECTIVES).fetchall():
        return False
    db.execute("DELETE FROM slo_objective")
    for row in rows:
        db.execute("INSERT INTO slo_objective VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(row))
    return True


def _begin_and_end(db: duckdb.DuckDBPyConnection, found: Sequence[Level], as_of_us: int) -> bool:
    burning = {(each.objective.name, each.erp, each.plant, str(urgency)) for each in found for urgency in each.burning}
    open_alerts = {
        tuple(of): alert
        for alert, *of in db.execute(
            "SELECT alert_id, objective, erp, plant, urgency FROM slo_alert WHERE ended_us IS NULL"
        ).fetchall()
    }
    for of in sorted(burning - open_alerts.keys()):
        begun = alert_id(*of, as_of_us)
        db.execute(_BEGIN, [begun, *of, as_of_us])
        db.execute(_NOTICE, [begun, "begun", as_of_us])
    for of in sorted(open_alerts.keys() - burning):
        db.execute(_END, [as_of_us, open_alerts[of]])
        db.execute(_NOTICE, [open_alerts[of], "ended", as_of_us])
    return burning != open_alerts.keys()


def _count(db: duckdb.DuckDBPyConnection, statement: str, values: dict[str, int]) -> int:
    ((rows,),) = db.execute(statement, values).fetchall()
    return int(rows)
