"""The tables of the analytics store that rows of a stream are committed to, derived from the contracts.

``reference_tables`` has those of reference data, ``plant_tables`` those of the settings, ``rollups`` and its like what
is summed from all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from canonical.contracts import (
    BusinessException,
    ComponentUsage,
    Confirmation,
    DeadLetter,
    Event,
    Fault,
    Gap,
    LedgerEntry,
    LedgerRange,
    Posting,
    Receipt,
    StateMark,
    TelemetryMinute,
    TrailEntry,
    Unposted,
)
from sinks.analytics.table import PLACE, Column, Sealing, Table, fields

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            "confirmation",
            "What a range of one source's sequence amounts to, as posted. Quantities are thousandths of the unit.",
            (*fields(Confirmation), *PLACE),
            sealing=Sealing("last_occurred_us", ("plant", "source", "session", "first_seq")),
        ),
        Table(
            "event",
            "Events passed on one by one: holds, releases, moves, consumption, starts and stops. "
            "Quantities are thousandths of the unit.",
            (*fields(Event), *PLACE),
            sealing=Sealing("occurred_us", ("plant", "source", "session", "occurred_us")),
        ),
        Table(
            "fault",
            "Records set aside, with why. The whole record is in the stream dead-letters.",
            (
                *fields(Fault),
                *fields(DeadLetter, "fault", "key", "value", "headers"),
                Column("key", "key", "BLOB", nullable=True, comment="First bytes of the record's key."),
                Column("value", "value", "BLOB", nullable=False, comment="First bytes of the record."),
                Column("value_bytes", "value_bytes", "BIGINT", nullable=False, comment="Length of the whole record."),
                *PLACE,
            ),
            sealing=Sealing("failed_us", ("plant", "source", "failed_us")),
        ),
        Table(
            "gap",
            "Declared holes in the numbering of a source.",
            (*fields(Gap), *PLACE),
            sealing=Sealing("declared_us", ("plant", "source", "session", "first_seq")),
        ),
        Table(
            "ledger",
            "What became of every record read: running totals of each session, newest entry only.",
            (*fields(LedgerEntry), *PLACE),
            newest_by=("shard", "plant", "source", "session"),
        ),
        Table(
            "ledger_range",
            "Ranges of the sources' numbers and what became of them, each confirmation once more.",
            (*fields(LedgerRange), *PLACE),
            sealing=Sealing("committed_us", ("plant", "source", "session", "first_seq")),
        ),
        Table(
            "component_usage",
            "What of each component of an order was planned and issued, newest only. Quantities are thousandths.",
            (*fields(ComponentUsage), *PLACE),
            newest_by=("erp", "plant", "order_id", "item", "material", "unit"),
        ),
        Table(
            "state_mark",
            "Instants from which a source is in a state, as its events tell.",
            (*fields(StateMark), *PLACE),
            sealing=Sealing("occurred_us", ("plant", "source", "occurred_us")),
        ),
        Table(
            "telemetry_minute",
            "What no confirmation accounts for, such as telemetry, by the UTC minute; the place is of its last part.",
            (*fields(TelemetryMinute), *PLACE),
            added_by=("plant", "work_center", "source", "minute_us"),
            sealing=Sealing("minute_us", ("plant", "source", "minute_us")),
        ),
        Table(
            "trail",
            "What was decided, by whom and why: changes of mappings and actions by hand, chained by hash.",
            (*fields(TrailEntry), *PLACE),
            sealing=Sealing("at_us", ("chain", "number")),
        ),
        Table(
            "posting",
            "What the ERPs are to do: one row becomes one document. Quantities are thousandths of the unit.",
            (
                *fields(Posting),
                Column(
                    "known_us",
                    "known_us",
                    "BIGINT",
                    nullable=True,
                    comment="Instant at which the flow postings knew all it accounts for.",
                ),
                Column(
                    "enqueued_us", "enqueued_us", "BIGINT", nullable=True, comment="Instant at which it was enqueued."
                ),
                *PLACE,
            ),
            sealing=Sealing("end_us", ("plant", "order_id", "number")),
        ),
        Table(
            "unposted",
            "What is not posted, or not yet, and why; the newest word on each cause and kind. What was posted "
            "since it waited has a posting.",
            (*fields(Unposted), *PLACE),
            newest_by=("cause", "kind"),
        ),
        Table(
            "receipt",
            "What the ERPs made of each posting, with the document and the instants of each hop.",
            (*fields(Receipt), *PLACE),
            sealing=Sealing("answered_us", ("plant", "order_id", "posting_id")),
        ),
        Table(
            "business_exception",
            "What waits for a person, or did: newest state of each exception.",
            (*fields(BusinessException), *PLACE),
            newest_by=("exception_id",),
        ),
    )
}
"""Every table that rows of a stream can be committed to."""


def alike(table: str, *names: str) -> list[Column]:
    """Return columns as a table has them, in the order of ``names``."""
    columns = {column.name: column for column in TABLES[table].columns}
    return [columns[name] for name in names]
