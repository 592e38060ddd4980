"""A year of a group of plants in an analytics store: how many confirmations one likes, and what belongs to them.

200 work centres confirm once a minute; each works two days on an order, which makes one lot and uses lots of the orders
before it at three work centres. After nine orders in a row one begins with nothing, so that the lot of the ninth is
eight levels deep. One confirmation in twenty tells scrap and its reason; every fiftieth is posted and has its
receipt. The rows are made by SQL, and committed by ``sinks.analytics.store.Store`` as the flow does: sums, files and
all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from canonical.policy import ShiftPolicy
from canonical.shifts import ShiftCalendar
from sinks.analytics.store import Store
from sinks.analytics.store_tables import READ
from sinks.analytics.table import STREAM_OFFSET, STREAM_SHARD

START_US: Final = 1_760_000_400_000_000
HOUR_US: Final = 3_600_000_000
CHAIN: Final = 9
"""Orders in a row, each of which uses what those before it made."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much; ``chunk`` confirmations are committed at once."""

    confirmations: int
    work_centres: int = 200
    order_hours: int = 48
    chunk: int = 1_000_000

    @property
    def hours(self) -> int:
        """How long it takes them."""
        return self.confirmations // (self.work_centres * 60)

    @property
    def minute(self) -> str:
        """SQL of the minute in which confirmation ``i`` is made."""
        return f"(i // {self.work_centres})"

    @property
    def order(self) -> str:
        """SQL of the order that it is made for, at work centre ``wc``."""
        return f"'WO' || {self._number}"

    @property
    def lot(self) -> str:
        """SQL of the lot that the order makes."""
        return f"'L' || {self._number}"

    @property
    def _number(self) -> str:
        return f"({self.minute} // {60 * self.order_hours} * {self.work_centres} + wc)"

    @property
    def at_us(self) -> str:
        """SQL of the instant at which that minute begins."""
        return f"({START_US} + {self.minute} * 60000000)"

    def deep_lot(self) -> str:
        """Return a lot that is eight levels deep."""
        of_chains = self.hours // self.order_hours // CHAIN
        assert of_chains, f"{self.hours} hours are too few for {CHAIN} orders in a row"
        return f"L{(of_chains * CHAIN - 1) * self.work_centres}"

    def calendars(self) -> dict[str, ShiftCalendar]:
        """Return the shifts of the plants."""
        times = {"early": ("09:00", "17:00"), "late": ("17:00", "01:00"), "night": ("01:00", "09:00")}
        shifts = [ShiftPolicy(name=name, start=start, end=end) for name, (start, end) in times.items()]
        return {f"P{n}": ShiftCalendar("UTC", shifts) for n in range(self.work_centres // 10 + 1)}


_BLANK: Final = {"BIGINT": "0", "VARCHAR": "''", "BOOLEAN": "false", "VARCHAR[]": "[]", "BLOB": "''::BLOB"}


def _select(name: str, values: dict[str, str], source: str) -> str:
    """Return the SELECT of rows of a table in the words of its contract, blank where nothing is said."""
    told = []
    for column in READ[name].columns:
        if column.name != STREAM_SHARD:
            blank = "NULL" if column.nullable else _BLANK.get(column.sql_type, "NULL")
            told.append(f'CAST({values.get(column.name, blank)} AS {column.sql_type}) AS "{column.field}"')
    return f"SELECT {', '.join(told)} FROM {source} ORDER BY {values[STREAM_OFFSET]}"


def _confirmations(scale: Scale) -> str:
    minute, at = scale.minute, f"{scale.at_us} + wc * 100000"
    return _select(
        "confirmation",
        {
            "posting_id": "uuid()", "kind": "'confirmation'", "plant": "'P' || wc // 10", "source": "'S' || wc",
            "session": "'1'", "first_seq": f"{minute} * 10", "last_seq": f"{minute} * 10 + 9",
            "order_id": scale.order, "operation": "'0010'", "work_center": "'WC' || wc",
            "material": "'M' || wc % 50", "lot": scale.lot,
            "reason": "CASE WHEN scrapped THEN 'R' || draw % 8 ELSE '' END",
            "unit": "'H87'", "shift": f"['early', 'late', 'night'][1 + {minute} // 480 % 3]",
            "posting_date": f"make_timestamp({at})::DATE", "good": "draw % 20000",
            "scrap": "CASE WHEN scrapped THEN draw % 900 ELSE 0 END", "machine_us": "draw % 60000000",
            "energy_mwh": "draw % 5000", "events": "10", "first_occurred_us": f"{at} - 50000000",
            "last_occurred_us": at, "first_offset": "i * 300", "last_offset": "i * 300 + 299",
            "final": f"{minute} % {60 * scale.order_hours} = {60 * scale.order_hours - 1}",
            "close_reason": "'time'", STREAM_OFFSET: "i + 1",
        },
        f"(SELECT i, i % {scale.work_centres} AS wc, CAST(hash(i) % 1000000007 AS BIGINT) AS draw,"
        " draw % 20 = 0 AS scrapped FROM range($first, $last) AS made(i))",
    )  # fmt: skip


def _postings(scale: Scale) -> str:
    at = scale.at_us
    return _select(
        "posting",
        {
            "posting_id": "md5(i::VARCHAR)::UUID", "kind": "'confirmation'", "erp": "'E' || wc // 100",
            "lane": "'standard'", "plant": "'P' || wc // 10", "erp_plant": "'1' || wc // 10",
            "order_id": scale.order, "number": "i // 50", "operation": "'0010'", "work_center": "'WC' || wc",
            "material": "'M' || wc % 50", "lot": scale.lot, "unit": "'H87'", "shift": "'early'",
            "posting_date": f"make_timestamp({at})::DATE", "document_date": f"make_timestamp({at})::DATE",
            "good": "i % 20000", "start_us": at, "end_us": at, "movements": "[]", "known_us": f"{at} + 100000",
            "enqueued_us": f"{at} + 300000", STREAM_OFFSET: "i + 1",
        },
        f"(SELECT i, i // 50 % {scale.work_centres} AS wc FROM range($first, $last, 50) AS made(i))",
    )  # fmt: skip


def _receipts(scale: Scale) -> str:
    at = scale.at_us
    return _select(
        "receipt",
        {
            "posting_id": "md5(i::VARCHAR)::UUID", "status": "'accepted'", "kind": "'confirmation'",
            "erp": "'E' || wc // 100", "lane": "'standard'", "plant": "'P' || wc // 10", "order_id": scale.order,
            "document": "(4000000000 + i)::VARCHAR", "attempts": "1", "occurred_us": at,
            "enqueued_us": f"{at} + 300000", "first_sent_us": f"{at} + 500000", "sent_us": f"{at} + 500000",
            "answered_us": f"{at} + 700000 + i % 400000", STREAM_OFFSET: "i + 1",
        },
        f"(SELECT i, i // 50 % {scale.work_centres} AS wc FROM range($first, $last, 50) AS made(i))",
    )  # fmt: skip


def _marks(scale: Scale) -> str:
    """Each machine stands still for five minutes of each hour."""
    minute = scale.minute
    return _select(
        "state_mark",
        {
            "plant": "'P' || wc // 10", "source": "'S' || wc", "session": "'1'", "seq": "i",
            "occurred_us": f"{scale.at_us} + wc * 100000", "order_id": scale.order,
            "type": f"CASE WHEN {minute} % 60 = 10 THEN 'downtime' ELSE 'resume' END",
            "state": f"CASE WHEN {minute} % 60 = 10 THEN 'down' ELSE 'production' END", "operation": "'0010'",
            "reason": f"CASE WHEN {minute} % 60 = 10 THEN 'R' || i % 8 ELSE '' END", "work_center": "'WC' || wc",
            STREAM_OFFSET: "i + 1",
        },
        f"(SELECT i, i % {scale.work_centres} AS wc FROM range($first, $last) AS made(i)"
        f" WHERE i // {scale.work_centres} % 60 IN (10, 15))",
    )  # fmt: skip


def _orders(scale: Scale) -> str:
    orders = (scale.hours // scale.order_hours + 1) * scale.work_centres
    step = "'operation': '0010', 'work_center': '', 'quantity': 0, 'confirmed_by': '', 'setup_us': 0"
    return _select(
        "order_reference",
        {
            "erp": "'E'", "plant": f"'P' || n % {scale.work_centres} // 10", "order_id": "'WO' || n",
            "status": "'released'", "material": f"'M' || n % {scale.work_centres} % 50", "unit": "'H87'",
            "quantity": "60000000", "components": "[]",
            "operations": f"[{{{step}, 'run_us': 2000000}}]", STREAM_OFFSET: "n + 1",
        },
        f"range({orders}) AS made(n)",
    )  # fmt: skip


def _materials(scale: Scale) -> str:
    del scale
    values = {"material": "'M' || n", "base_unit": "'H87'", "units": "[]", "family": "'F' || n % 8"}
    return _select("material_reference", values | {STREAM_OFFSET: "n + 1"}, "range(50) AS made(n)")


def _waiting(scale: Scale) -> str:
    """One confirmation in 5,000 waits, nine in ten of them under an exception of their order."""
    at = scale.at_us
    return _select(
        "unposted",
        {
            "cause": "i::VARCHAR", "kind": "'confirmation'", "state": "'waiting'", "plant": "'P' || wc // 10",
            "order_id": scale.order, "operation": "'0010'", "work_center": "'WC' || wc", "unit": "'H87'",
            "material": "'M' || wc % 50", "good": "i % 20000", "document_date": f"make_timestamp({at})::DATE",
            "at_us": at, STREAM_OFFSET: "i + 1",
        },
        f"(SELECT i, i // 7 % {scale.work_centres} AS wc FROM range(0, {scale.confirmations}, 5000) AS made(i))",
    )  # fmt: skip


def _exceptions(scale: Scale) -> str:
    orders = (scale.hours // scale.order_hours + 1) * scale.work_centres
    return _select(
        "business_exception",
        {
            "exception_id": "md5(n::VARCHAR)::UUID", "code": "'ORDER_NOT_RELEASED'", "resolution": "'open'",
            "owner": "'plant-supervisor'", "severity": "'line-stop'", "order_id": "'WO' || n", "waiting": "1",
            "plant": f"'P' || n % {scale.work_centres} // 10", "opened_us": f"{START_US}", "changed_us": f"{START_US}",
            STREAM_OFFSET: "n + 1",
        },
        f"(SELECT n FROM range({orders}) AS made(n) WHERE n % 10 > 0 LIMIT 20000)",
    )  # fmt: skip


def _used(scale: Scale) -> str:
    """Each order asks three times for each of its three components."""
    order = f"(p * {scale.work_centres} + wc)"
    return _select(
        "event",
        {
            "plant": "'P' || wc // 10", "source": "'W' || wc", "session": "'1'", "seq": "n", "type": "'consume'",
            "occurred_us": f"{START_US} + (p * {scale.order_hours} + t) * {HOUR_US}", "order_id": f"'WO' || {order}",
            "operation": "'0010'", "work_center": "'WC' || wc",
            "material": f"'M' || (wc + k) % {scale.work_centres} % 50",
            "lot": f"'L' || ((p - 1) * {scale.work_centres} + (wc + k) % {scale.work_centres})", "unit": "'H87'",
            "quantity": "1000 + k", STREAM_OFFSET: "n + 1",
        },
        f"(SELECT p, wc, k, t, row_number() OVER (ORDER BY p, t, wc, k) AS n FROM range($first, $last) AS a(p),"
        f" range({scale.work_centres}) AS b(wc), range(3) AS c(k), range(3) AS d(t) WHERE p % {CHAIN} <> 0)",
    )  # fmt: skip


def _ledger(scale: Scale) -> str:
    count = f"{scale.confirmations} // {scale.work_centres} * 10"
    values = dict.fromkeys(("read", "released", "accounted", "next_seq"), count)
    values |= {"shard": "'a'", "plant": "'P' || wc // 10", "source": "'S' || wc", "session": "'1'"}
    return _select("ledger", values | {STREAM_OFFSET: "wc + 1"}, f"range({scale.work_centres}) AS made(wc)")


def _faults(scale: Scale) -> str:
    step = max(1, scale.confirmations // 100_000)
    at = scale.at_us
    return _select(
        "fault",
        {
            "code": "['MALFORMED', 'NO_ORDER', 'TOO_LATE'][1 + i % 3]", "plant": "'P' || i % 20", "seq": "i",
            "source": f"'S' || i % {scale.work_centres}", "topic": "'t'", "stage": "'decode'", "failed_us": at,
            "first_failed_us": at, "attempts": "1", "correlation_id": "''", "original": "true", STREAM_OFFSET: "i + 1",
        },
        f"range(0, {scale.confirmations}, {step}) AS made(i)",
    )  # fmt: skip


def made(scale: Scale) -> Iterator[tuple[str, dict[str, pa.Table]]]:
    """Yield commits: the shard, and rows by table."""
    with duckdb.connect() as db:
        periods = scale.hours // scale.order_hours + 1
        for name, sql in (
            ("ledger", _ledger(scale)),
            ("fault", _faults(scale)),
            ("order_reference", _orders(scale)),
            ("material_reference", _materials(scale)),
            ("unposted", _waiting(scale)),
            ("business_exception", _exceptions(scale)),
        ):
            yield name, {name: db.sql(sql).to_arrow_table()}
        yield "event", {"event": db.sql(_used(scale), params={"first": 0, "last": periods}).to_arrow_table()}
        for first in range(0, scale.confirmations, scale.chunk):
            last = min(first + scale.chunk, scale.confirmations)
            for name in GROWING:
                yield name, {name: growing(db, scale, name, first, last)}


GROWING: Final = {
    "confirmation": (_confirmations, 1),
    "posting": (_postings, 50),
    "receipt": (_receipts, 50),
    "state_mark": (_marks, 30),
}
"""What comes all the time: how it is made, and for how many confirmations there is one on average."""


def growing(db: duckdb.DuckDBPyConnection, scale: Scale, name: str, first: int, last: int) -> pa.Table:
    """Return what belongs to these confirmations, the last not included; ``db`` makes it."""
    sql, _ = GROWING[name]
    return db.sql(sql(scale), params={"first": first, "last": last}).to_arrow_table()


def fill(store: Store, scale: Scale, done: Callable[[int], None] = lambda _: None) -> None:
    """Commit all of it; the oldest rows move into files as they do in a flow. ``done`` is told of rows as they come."""
    restored: set[str] = set()
    for number, (shard, tables) in enumerate(made(scale)):
        if shard not in restored:
            store.restore(shard)
            restored.add(shard)
        store.commit(shard, str(number), tables)
        store.seal()
        done(sum(rows.num_rows for rows in tables.values()))
    store.publish()
