"""Sums by the hour that the analytics store keeps beside its tables, so that a question costs the same every year.

Law: at every commit the sums of a rollup equal those over all rows of its table; a confirmation that a later revision
takes the place of no longer counts. Rows are summed as they are stored, in the same transaction, so what is
stored once is summed once. ``fill`` makes a rollup of the rows there are, for the stores of older releases.

Sums are 128 bits wide, since no number of rows may overflow them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sinks.analytics.statements import new_rows
from sinks.analytics.table import Column, Table

HOUR_US: Final = 3_600_000_000
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Rollup:
    """Sums of the rows of ``table`` that are alike in ``keys``; the columns' ``field`` is what is summed or compared.

    ``counted`` is the sum that says how many rows. ``replaced_by`` names the columns that a row of a higher
    ``revision`` has in common with the one whose place it takes; revisions come in their order. ``each`` is a list of
    structs: a row counts once for each of them, with their fields beside its own.
    """

    name: str
    comment: str
    table: str
    keys: tuple[Column, ...]
    sums: tuple[Column, ...]
    first: Column
    last: Column
    counted: str
    where: str = "true"
    replaced_by: tuple[str, ...] = ()
    each: str = ""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return all columns, in their order."""
        return (*self.keys, *self.sums, self.first, self.last)


def key_column(name: str, comment: str, field: str = "", sql_type: str = "VARCHAR") -> Column:
    """Return a column that rows must have in common."""
    return Column(name, field or name, sql_type, nullable=False, comment=comment)


def sum_column(name: str, comment: str, field: str = "") -> Column:
    """Return a column that is summed."""
    return Column(name, field or name, "HUGEINT", nullable=False, comment=comment)


def hour_column(instant: str) -> Column:
    """Return the column of the UTC hour of an instant."""
    comment = "Start of the UTC hour, in microseconds since 1970-01-01."
    return key_column("hour_us", comment, f"{instant} // {HOUR_US} * {HOUR_US}", "BIGINT")


def instant_column(name: str, field: str, comment: str) -> Column:
    """Return a column of the first or the last instant."""
    return Column(name, field, "BIGINT", nullable=False, comment=f"{comment}, UTC, in microseconds since 1970-01-01.")


_ORDER: Final = (
    key_column("plant", "Canonical key of the plant."),
    key_column("work_center", "Work centre at which it happened."),
    key_column("order_id", "Production order."),
    key_column("operation", "Operation of the order's routing."),
    key_column("material", "Material made or used."),
    key_column("lot", "Lot or batch of the material."),
    key_column("unit", "UN/ECE Recommendation 20 code of the quantities."),
)
_THOUSANDTHS: Final = "in thousandths of the unit."

ROLLUPS: Final[tuple[Rollup, ...]] = (
    Rollup(
        "production",
        "What was made, by the UTC hour in which the confirmation ended; sums of table confirmation.",
        "confirmation",
        keys=(
            hour_column("last_occurred_us"),
            *_ORDER,
            key_column("reason", "Scrap reason; empty where the plant does not split by it."),
            key_column("shift", "Shift in which it was made; empty where the plant has none."),
            key_column("posting_date", "Plant-local date of the shift's start, or of the event.", sql_type="DATE"),
        ),
        sums=(
            sum_column("good", f"Good output {_THOUSANDTHS}"),
            sum_column("scrap", f"Scrap {_THOUSANDTHS}"),
            sum_column("rework", f"Output to be reworked, {_THOUSANDTHS}"),
            sum_column("setup_us", "Setup time in microseconds."),
            sum_column("machine_us", "Machine time in microseconds."),
            sum_column("labour_us", "Labour time in microseconds."),
            sum_column("energy_mwh", "Energy used, in thousandths of a watt hour."),
            sum_column("events", "Number of events accounted for."),
            sum_column("confirmations", "Number of confirmations.", "1"),
            sum_column("scrappings", "Number of confirmations that report scrap.", "CAST(scrap > 0 AS INTEGER)"),
            sum_column(
                "finals", "Number of confirmations that report the operation complete.", "CAST(final AS INTEGER)"
            ),
        ),
        first=instant_column("first_occurred_us", "first_occurred_us", "Instant of the first event"),
        last=instant_column("last_occurred_us", "last_occurred_us", "Instant of the last event"),
        counted="confirmations",
        replaced_by=("plant", "source", "session", "first_seq", "kind"),
    ),
    Rollup(
        "usage",
        "What was consumed, by the UTC hour in which it was; sums of table event.",
        "event",
        keys=(hour_column("occurred_us"), *_ORDER),
        sums=(
            sum_column("quantity", f"What was consumed, {_THOUSANDTHS}"),
            sum_column("events", "Number of events.", "1"),
        ),
        first=instant_column("first_occurred_us", "occurred_us", "Instant of the first event"),
        last=instant_column("last_occurred_us", "occurred_us", "Instant of the last event"),
        counted="events",
        where="type = 'consume'",
    ),
    Rollup(
        "setting_aside",
        "Records that were set aside, by the UTC hour in which they were; sums of table fault.",
        "fault",
        keys=(
            hour_column("failed_us"),
            key_column("plant", "Canonical key of the plant."),
            key_column("source", "The machine, terminal or system that sent it."),
            key_column("code", "Why it was set aside."),
            key_column("stage", "Where it was set aside."),
        ),
        sums=(sum_column("faults", "Number of records.", "1"),),
        first=instant_column("first_failed_us", "failed_us", "Instant at which the first was set aside"),
        last=instant_column("last_failed_us", "failed_us", "Instant at which the last was set aside"),
        counted="faults",
    ),
)

# Names in the statements below are constants of this module; values are parameters.


def summing(rollups: Iterable[Rollup], table: Table, incoming: str, *, corrected: bool) -> list[str]:
    """Return what adds the rows of ``incoming`` that were stored from above ``$above`` as rows of ``$shard``.

    Args: rollups: of any tables. corrected: some rows may be of a higher revision than another; else nothing stored is
        looked through.
    """
    statements = []
    for rollup in rollups:
        if rollup.table == table.name:
            rows = new_rows(table, incoming, *_read(rollup, table))
            taken = corrected and bool(rollup.replaced_by)
            statements.append(_merge(rollup, _with_replaced(rollup, rows) if taken else rows, signed=taken))
    return statements


def _read(rollup: Rollup, table: Table) -> set[str]:
    """Return the columns that the sums are made of."""
    revised = " ".join((*rollup.replaced_by, "revision")) if rollup.replaced_by else ""
    said = " ".join((*(column.field for column in rollup.columns), rollup.where, rollup.each, revised))
    return {column.name for column in table.columns} & set(_WORD.findall(said))


def _with_replaced(rollup: Rollup, rows: str) -> str:
    """Return the SELECT of ``rows`` with the sign 1, and of the stored ones whose place they take with -1."""
    same = ", ".join(rollup.replaced_by)
    return (
        f"SELECT *, 1 AS sign FROM ({rows}) UNION ALL BY NAME SELECT old.*, -1 AS sign FROM {rollup.table} AS old JOIN "  # noqa: S608
        f"(SELECT {same}, revision AS newer FROM ({rows}) WHERE revision > 0) USING ({same}) WHERE revision < newer "
        f"QUALIFY row_number() OVER (PARTITION BY {same}, newer ORDER BY revision DESC) = 1"
    )


def _merge(rollup: Rollup, rows: str, *, signed: bool) -> str:
    """Return the MERGE of the sums of rows; where none has a sign, no sum can become that of no rows."""
    same = " AND ".join(f"old.{key.name} = new.{key.name}" for key in rollup.keys)
    sums = ", ".join(f"{column.name} = old.{column.name} + new.{column.name}" for column in rollup.sums)
    first, last = rollup.first.name, rollup.last.name
    gone = f"WHEN MATCHED AND old.{rollup.counted} + new.{rollup.counted} = 0 THEN DELETE " if signed else ""
    some = f"AND new.{rollup.counted} <> 0 " if signed else ""
    return (
        f"MERGE INTO {rollup.name} AS old USING ({_summed(rollup, rows, signed=signed)}) AS new ON {same} {gone}"
        f"WHEN MATCHED THEN UPDATE SET {sums}, {first} = least(old.{first}, new.{first}), "
        f"{last} = greatest(old.{last}, new.{last}) WHEN NOT MATCHED {some}THEN INSERT BY NAME"
    )


def fill(rollup: Rollup) -> str:
    """Return the INSERT of the sums of all rows there are, into a rollup that is empty."""
    rows = f"SELECT *, 1 AS sign FROM {rollup.table} AS stored"  # noqa: S608
    if rollup.replaced_by:
        same = " AND ".join(f"stored.{name} = newer.{name}" for name in rollup.replaced_by)
        rows += (
            f" ANTI JOIN (SELECT * FROM {rollup.table} WHERE revision > 0) AS newer"  # noqa: S608
            f" ON {same} AND stored.revision < newer.revision"
        )
    return f"INSERT INTO {rollup.name} BY NAME {_summed(rollup, rows, signed=True)}"


def _summed(rollup: Rollup, rows: str, *, signed: bool) -> str:
    keys = ", ".join(f"{key.field} AS {key.name}" for key in rollup.keys)
    term = "sign * CAST({} AS HUGEINT)" if signed else "{}"  # The sum of integers is a HUGEINT anyway.
    sums = ", ".join(f"sum({term.format(column.field)}) AS {column.name}" for column in rollup.sums)
    first, last = rollup.first, rollup.last
    ends = f"min({first.field}) AS {first.name}, max({last.field}) AS {last.name}"
    if rollup.each:
        rows = f"SELECT *, unnest({rollup.each}, recursive := true) FROM ({rows})"  # noqa: S608
    return f"SELECT {keys}, {sums}, {ends} FROM ({rows}) WHERE {rollup.where} GROUP BY ALL"  # noqa: S608
