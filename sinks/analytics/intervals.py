"""State intervals: what each source did from when until when, cut where the plant's shifts change (A18, M22, M47).

Law: the intervals of a source are those between its marks in the order of their instants, and at one instant of
session and number, whatever order the marks arrived in; cut at the shifts they tile the time from its first mark on
without overlap, and only the newest has no end. The sums of ``state_time`` equal those over the intervals that ended.

Marks become intervals in the transaction that stores them. A source's intervals are made anew from the instant
of its earliest new mark on, so marks that come in order, as nearly all do, touch only the interval that is open.

Which shifts there are, and which planned stops within them, is told by the plants' calendars, each once, when the first
mark reaches it: what a plant changes later changes nothing that was. How much of an interval lies within planned stops
of its work centre is told beside its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import duckdb
import pyarrow as pa

from canonical.mapping import PlantMapping
from canonical.shifts import ShiftCalendar
from sinks.analytics.statements import new_rows
from sinks.analytics.table import Column, Table

MARKS: Final = "state_mark"
_DAY_US: Final = 86_400_000_000
_COVER_US: Final = 2 * _DAY_US
"""Known of a calendar around what was asked for: longer than any shift."""
_ELSEWHERE: Final = ShiftCalendar("UTC", ())


def _text(name: str, comment: str) -> Column:
    return Column(name, name, "VARCHAR", nullable=False, comment=comment)


def _instant(name: str, comment: str, *, nullable: bool = False) -> Column:
    comment = f"{comment}, UTC, in microseconds since 1970-01-01."
    return Column(name, name, "BIGINT", nullable=nullable, comment=comment)


def _planned(sql_type: str, also: str = "") -> Column:
    comment = f"Of it within planned stops of the work centre, in microseconds{also}."
    return Column("planned_us", "planned_us", sql_type, nullable=False, comment=comment)


_PLANT: Final = _text("plant", "Canonical key of the plant.")
_SHIFT: Final = (
    _text("shift", "Shift; empty where the plant has none then."),
    Column("posting_date", "posting_date", "DATE", nullable=False, comment="Plant-local date of the shift's start."),
)
_WHAT: Final = (
    _text("work_center", "Work centre."),
    _text("state", "What the time counts as: production, setup, delay, down or idle."),
    _text("reason", "Reason code, as of a stop."),
    _text("order_id", "Production order."),
    _text("operation", "Operation of the order's routing."),
)
_SOURCE: Final = _text("source", "The machine, terminal or system whose state it is.")

SHIFTS: Final = Table(
    "shift_time",
    "The shifts of the plants one by one, and the time between them.",
    (_PLANT, *_SHIFT, _instant("begin_us", "Start"), _instant("end_us", "Start of what follows")),
)
STOPS: Final = Table(
    "planned_stop",
    "When machines were planned to stand within the shifts, one by one: breaks and maintenance.",
    (
        _PLANT,
        _text("work_center", "Work centre; empty: all of the plant."),
        _text("kind", "break or maintenance."),
        *_SHIFT,
        _instant("begin_us", "Start"),
        _instant("end_us", "End"),
    ),
)
INTERVALS: Final = Table(
    "state_interval",
    "What each source did from when until when, cut at shifts. The newest of a source has no end, and the shift of its "
    "start.",
    (
        _PLANT, _SOURCE, *_WHAT, *_SHIFT,
        _instant("begin_us", "Start"), _instant("end_us", "End; none while it lasts", nullable=True),
        _planned("BIGINT", "; 0 while it lasts"),
    ),
)  # fmt: skip
TIMES: Final = Table(
    "state_time",
    "Time in each state, by shift; sums of table state_interval.",
    (
        _PLANT, _SOURCE, *_WHAT, *_SHIFT,
        Column("duration_us", "duration_us", "HUGEINT", nullable=False, comment="Time in microseconds."),
        Column("intervals", "intervals", "HUGEINT", nullable=False, comment="Number of intervals."),
        _planned("HUGEINT"),
    ),
)  # fmt: skip
DERIVED: Final = (SHIFTS, STOPS, INTERVALS, TIMES)
"""What is made of the marks."""

_KEYS: Final = ", ".join(column.name for column in (_PLANT, _SOURCE, *_WHAT, *_SHIFT))
_SAID: Final = ", ".join(column.name for column in (_PLANT, _SOURCE, *_WHAT))

# Names in the statements below are constants of this module; values are parameters.

_COVERED: Final = """
SELECT plant, min(begin_us), max(end_us) FROM shift_time WHERE list_contains($plants, plant) GROUP BY plant
"""
_CHANGED: Final = """
CREATE OR REPLACE TEMP TABLE changed AS
SELECT plant, source, min(occurred_us) AS from_us, max(occurred_us) AS upto_us FROM ({rows}) GROUP BY plant, source
"""
_REACH: Final = "SELECT plant, min(from_us), max(upto_us) FROM temp.changed GROUP BY plant"
_DROPPED: Final = """
CREATE OR REPLACE TEMP TABLE dropped AS
SELECT old.*, from_us FROM state_interval AS old JOIN temp.changed USING (plant, source)
WHERE (end_us IS NULL OR end_us > $first) AND (end_us IS NULL OR end_us > from_us)
"""
_MADE: Final = f"""
CREATE OR REPLACE TEMP TABLE made AS
WITH spans AS (
    SELECT {_SAID}, begin_us, from_us AS end_us FROM temp.dropped WHERE begin_us < from_us
    UNION ALL
    SELECT
        {_SAID},
        occurred_us AS begin_us,
        lead(occurred_us) OVER (PARTITION BY plant, source ORDER BY occurred_us, session, seq) AS end_us
    FROM state_mark JOIN temp.changed USING (plant, source)
    WHERE occurred_us >= $first AND occurred_us >= from_us
)
SELECT
    spans.* EXCLUDE (begin_us, end_us),
    shift_time.shift,
    shift_time.posting_date,
    greatest(spans.begin_us, shift_time.begin_us) AS begin_us,
    CASE WHEN spans.end_us IS NOT NULL THEN least(spans.end_us, shift_time.end_us) END AS end_us,
    CAST(0 AS BIGINT) AS planned_us
FROM spans JOIN shift_time
ON spans.plant = shift_time.plant
    AND shift_time.end_us > spans.begin_us
    AND shift_time.begin_us < coalesce(spans.end_us, spans.begin_us + 1)
WHERE spans.end_us IS NULL OR spans.end_us > spans.begin_us
"""  # noqa: S608
_ANY_STOP: Final = "SELECT 1 FROM planned_stop LIMIT 1"
_STOPPED: Final = """
UPDATE temp.made SET planned_us = stopped.planned_us FROM (
    SELECT
        made.rowid AS place,
        sum(least(made.end_us, stop.end_us) - greatest(made.begin_us, stop.begin_us)) AS planned_us
    FROM temp.made JOIN planned_stop AS stop
    ON stop.plant = made.plant
        AND stop.shift = made.shift
        AND stop.posting_date = made.posting_date
        AND stop.begin_us < made.end_us
        AND stop.end_us > made.begin_us
    WHERE stop.work_center IN ('', made.work_center)
    GROUP BY made.rowid
) AS stopped
WHERE made.rowid = stopped.place
"""
_SUMMED: Final = f"""
MERGE INTO state_time AS old USING (
    SELECT
        {_KEYS},
        CAST(sum(sign * (CAST(end_us AS HUGEINT) - begin_us)) AS HUGEINT) AS duration_us,
        CAST(sum(sign) AS HUGEINT) AS intervals,
        CAST(sum(sign * planned_us) AS HUGEINT) AS planned_us
    FROM (
        SELECT {_KEYS}, begin_us, end_us, planned_us, 1 AS sign FROM temp.made
        UNION ALL
        SELECT {_KEYS}, begin_us, end_us, planned_us, -1 AS sign FROM temp.dropped
    )
    WHERE end_us IS NOT NULL
    GROUP BY {_KEYS}
    HAVING sum(sign) <> 0 OR sum(sign * (CAST(end_us AS HUGEINT) - begin_us)) <> 0 OR sum(sign * planned_us) <> 0
) AS new ON {" AND ".join(f"old.{name} = new.{name}" for name in _KEYS.split(", "))}
WHEN MATCHED AND old.intervals + new.intervals = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET
    duration_us = old.duration_us + new.duration_us,
    intervals = old.intervals + new.intervals,
    planned_us = old.planned_us + new.planned_us
WHEN NOT MATCHED THEN INSERT BY NAME
"""  # noqa: S608
_DELETED: Final = """
DELETE FROM state_interval USING temp.dropped AS gone
WHERE (state_interval.end_us IS NULL OR state_interval.end_us > $first)
    AND state_interval.plant = gone.plant
    AND state_interval.source = gone.source
    AND state_interval.begin_us = gone.begin_us
"""
_INSERTED: Final = "INSERT INTO state_interval BY NAME FROM temp.made"


def calendars(mappings: Iterable[PlantMapping]) -> dict[str, ShiftCalendar]:
    """Return the calendar of each plant; of a mapping that reads its plant from the records, of those it names."""
    return {
        plant: ShiftCalendar(mapping.time_zone, mapping.shifts, mapping.maintenance)
        for mapping in mappings
        for plant in ([mapping.plant] if mapping.plant else mapping.keys.get("plant", {}).values())
    }


class Intervals:
    """Makes intervals of the marks of a store; the plants' shifts as their ``calendars`` tell, without one none."""

    def __init__(self, db: duckdb.DuckDBPyConnection, calendars: Mapping[str, ShiftCalendar]) -> None:
        self._db, self._calendars = db, calendars
        self._stop_known = False

    def follow(self, table: Table, incoming: str, place: Mapping[str, object]) -> None:
        """Bring the intervals up to date with the marks of ``incoming``, which are stored already.

        Args: place: the parameters of ``new_rows``. Call within the transaction that stores them.
        """
        rows = new_rows(table, incoming, "plant", "source", "occurred_us")
        self._db.execute(_CHANGED.format(rows=rows), {"above": place["above"]})
        spans = self._db.execute(_REACH).fetchall()
        if not spans:
            return
        told = self._db.execute(_COVERED, {"plants": [plant for plant, _, _ in spans]}).fetchall()
        covered = {plant: ends for plant, *ends in told}
        for plant, first_us, last_us in spans:
            self._cover(plant, first_us, last_us, covered.get(plant))
        first = {"first": min(first_us for _, first_us, _ in spans)}
        self._db.execute(_DROPPED, first)
        self._db.execute(_MADE, first)
        if self._any_stop():
            self._db.execute(_STOPPED).fetchall()
        self._db.execute(_SUMMED).fetchall()
        self._db.execute(_DELETED, first).fetchall()
        self._db.execute(_INSERTED).fetchall()

    def _cover(self, plant: str, first_us: int, last_us: int, covered: list[int] | None) -> None:
        """Know the shifts of a plant from before the first instant to behind the last.

        Args: covered: from when until when they are known, where any are.
        """
        calendar = self._calendars.get(plant, _ELSEWHERE)
        if covered is None:
            runs = [list(_whole(calendar, first_us - _COVER_US, last_us + _COVER_US))]
        else:
            begin_us, end_us = covered
            runs = [list(_before(calendar, first_us, begin_us)), list(_behind(calendar, last_us, end_us))]
        for pieces in runs:
            if not pieces:
                continue
            self._tell(SHIFTS, [(plant, shift, day, begin_us, end_us) for begin_us, end_us, shift, day in pieces])
            stops = calendar.stops(pieces[0][0], pieces[-1][1])
            self._tell(STOPS, [(plant, s.work_center, s.kind, s.shift, s.posting_date, *s[:2]) for s in stops])

    def _tell(self, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
        """Add rows to a table, whose columns they have in its order."""
        if rows:
            columns = zip((column.name for column in table.columns), zip(*rows, strict=True), strict=True)
            self._db.register("incoming_times", pa.table({name: pa.array(values) for name, values in columns}))
            self._db.execute(f"INSERT INTO {table.name} BY NAME FROM incoming_times").fetchall()
            self._db.unregister("incoming_times")

    def _any_stop(self) -> bool:
        """Return whether a planned stop is known: most plants tell none, and then nothing is asked about them."""
        self._stop_known = self._stop_known or bool(self._db.execute(_ANY_STOP).fetchall())
        return self._stop_known


_Pieces = Iterator[tuple[int, int, str, date]]


def _whole(calendar: ShiftCalendar, begin_us: int, end_us: int) -> _Pieces:
    """Yield the pieces of time that lie whole between two instants."""
    pieces = list(calendar.pieces(begin_us, end_us))
    yield from pieces[1:-1]


def _before(calendar: ShiftCalendar, first_us: int, begin_us: int) -> _Pieces:
    """Yield what comes before what is known, from before an instant on."""
    if first_us < begin_us:
        yield from list(calendar.pieces(first_us - _COVER_US, begin_us))[1:]


def _behind(calendar: ShiftCalendar, last_us: int, end_us: int) -> _Pieces:
    """Yield what comes behind what is known, until behind an instant."""
    if last_us >= end_us:
        yield from list(calendar.pieces(end_us, last_us + _COVER_US))[:-1]
