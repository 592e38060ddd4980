"""What the columns of views mean: one word for a name wherever it means the same, written as the column's comment.

A column that means something else in its view gets a ``COMMENT ON COLUMN`` in the view's own file, which stands.
Views tell quantities in whole units of ``unit`` and instants as UTC timestamps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

_BARE: Final = """
SELECT columns.table_name, columns.column_name
FROM duckdb_columns() AS columns
JOIN duckdb_views() AS views ON views.view_oid = columns.table_oid AND views.database_oid = columns.database_oid
WHERE NOT views.internal AND views.database_name = current_database() AND columns.comment IS NULL
ORDER BY ALL
"""

_WORDS: Final = {
    "accounted": "Records accounted for in a confirmation.",
    "adet": "Actual delay time (ADET).",
    "adot": "Actual down time (ADOT).",
    "alert_id": "UUIDv5 of the alert: objective, ERP, plant, urgency and begin.",
    "all_planned": "Whether all of it was of operations with a planned run time.",
    "allocation_efficiency": "AUBT / PBT; null where PBT is 0.",
    "analytics_only": "Records that only analytics see.",
    "answered": "When the ERP's newest answer came.",
    "apt": "Actual production time (APT).",
    "asut": "Actual setup time (ASUT).",
    "attempts": "Times it was sent to the ERP.",
    "aubt": "Actual busy time (AUBT): APT + ASUT + ADET.",
    "aupt": "Actual processing time (AUPT): APT + ASUT.",
    "availability": "APT / PBT; null where PBT is 0.",
    "begun": "When it began.",
    "changed": "When the system that owns it changed it last.",
    "code": "Why, as a code of the contracts.",
    "codes": "Codes of exceptions that were open meanwhile, of what it concerns.",
    "complete": "Whether it was reported complete.",
    "component": "Material that was used.",
    "component_lot": "Lot that was used.",
    "confirmations": "Number of confirmations.",
    "document": "The ERP's document, as its parts joined by a slash; empty while there is none.",
    "duplicates": "Records that had been read before.",
    "effectiveness": "PRU * PQ / APT; null where APT is 0 or a planned time is missing.",
    "ended": "When it ended; none while it lasts.",
    "energy_wh": "Energy used, in watt hours.",
    "erp": "Name of the ERP instance.",
    "erp_plant": "The plant's key in the ERP.",
    "evaluated": "Since when it has been so.",
    "events": "Number of events accounted for.",
    "family": "Product family of the material; empty where it has none.",
    "faults": "Number of records set aside.",
    "financial": "Whether books may be wrong: a period ends or has ended, or an order is complete or closed.",
    "first_occurred": "When its first event happened.",
    "gaps": "Number of gaps declared in the numbering.",
    "good": "Good output.",
    "gq": "Good quantity (GQ).",
    "held": "Records that wait for earlier ones.",
    "hop": "From which instant to which one time is taken.",
    "hour": "Start of the UTC hour.",
    "intervals": "Number of intervals.",
    "kind": "What document it becomes in the ERP.",
    "last_failed": "When the last one was set aside.",
    "last_occurred": "When its last event happened.",
    "late": "Records that came after their gap was declared.",
    "line_stop": "Whether a line may stop.",
    "lot": "Lot or batch of the material.",
    "machine_seconds": "Machine time in seconds.",
    "made": "Quantity that was made, in `made_unit`.",
    "made_unit": "UN/ECE Recommendation 20 code of what was made.",
    "material": "Material made.",
    "message": "The ERP's words, if it had any.",
    "minute": "Start of the UTC minute.",
    "missing": "Sequence numbers that are declared missing.",
    "nee": "AUPT / PBT * effectiveness * quality ratio.",
    "number": "Place among the postings of its ERP, plant and order, from 0 without holes.",
    "objective": "Name of the objective, as in the settings.",
    "occurred": "When the last event that it accounts for happened.",
    "oee": "Availability * effectiveness * quality ratio.",
    "operation": "Operation of the order's routing.",
    "operational": "Records passed on one by one: holds, moves, consumption and their like.",
    "order_id": "Production order.",
    "owners": "Who is to settle it: plant-supervisor, integration-support.",
    "pbt": "Planned busy time (PBT): POT without planned stops, for each work unit.",
    "percent": "So many percent are to be in time.",
    "planned": "Planned quantity.",
    "plant": "Canonical key of the plant.",
    "posting_date": "Plant-local date of the shift's start.",
    "posting_id": "UUIDv5 of what is posted and why.",
    "pot": "Planned operation time (POT): the length of the shift, for each work unit.",
    "pq": "Produced quantity (PQ): GQ + SQ + RQ.",
    "pru_gq": "Planned run time of the good quantity (PRU * GQ), in seconds.",
    "pru_pq": "Planned run time of the produced quantity (PRU * PQ), in seconds.",
    "quality_ratio": "GQ / PQ; where units or materials differ, weighed by their planned run time.",
    "read": "Records read.",
    "reason": "Reason, as the canonical code; empty where none was told.",
    "released": "Records passed on in their order.",
    "rework": "Output to be reworked.",
    "rework_ratio": "RQ / PQ.",
    "rq": "Rework quantity (RQ).",
    "scrap": "Scrap.",
    "scrap_ratio": "SQ / PQ.",
    "seconds": "Time in seconds.",
    "sessions": "Number of sessions of the source.",
    "setup_rate": "ASUT / AUPT.",
    "severity": "What it does to the business: line-stop, financial-distortion or delay.",
    "shift": "Shift; empty where the plant has none.",
    "skipped": "Sequence numbers left out by a session's start.",
    "source": "The machine, terminal or system that sent it.",
    "sources": "Number of sources.",
    "sq": "Scrap quantity (SQ).",
    "stage": "Where the record was set aside.",
    "state": "What the time counts as: production, setup, delay, down or idle.",
    "status": "What became of it in the ERP; pending while there is no receipt.",
    "storage_location": "Storage location of the ERP.",
    "technical_efficiency": "APT / (APT + ADET).",
    "unit": "UN/ECE Recommendation 20 code of the quantities.",
    "urgency": "page: somebody should look at once; ticket: soon.",
    "used": "Quantity that was used, in `used_unit`.",
    "used_unit": "UN/ECE Recommendation 20 code of what was used.",
    "utilization_efficiency": "APT / AUBT.",
    "window_days": "Days over which the objective holds.",
    "within_s": "A posting that takes longer than so many seconds is late.",
    "work_center": "Work centre.",
    "work_units": "Number of sources of which something is known.",
}


def describe_view_columns(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Give each column of the views that has no comment its word; return those without one, as view.column."""
    bare = db.execute(_BARE).fetchall()
    db.execute(";".join(_comments(bare)) or "SELECT 1")
    return [f"{view}.{column}" for view, column in bare if column not in _WORDS]


def _comments(bare: Iterable[tuple[str, str]]) -> Iterable[str]:
    for view, column in bare:
        if column in _WORDS:
            word = _WORDS[column].replace("'", "''")
            yield f"COMMENT ON COLUMN {view}.\"{column}\" IS '{word}'"
