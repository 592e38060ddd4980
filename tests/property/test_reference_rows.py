"""Reference data in the store are those of the reference book, whatever the order, cuts and copies (M11, M47, A15)."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import (
    REFERENCE,
    LotReference,
    MaterialReference,
    OrderComponent,
    OrderOperation,
    OrderReference,
    OrderStatus,
    PeriodReference,
    ReasonReference,
    RouteReference,
    WorkCenterReference,
)
from canonical.records import RawRecords
from dataflows.items import Commit, Shard, Work
from dataflows.processors.posting.reference_book import ReferenceBook
from dataflows.reference_rows import ReferenceRows
from sinks.analytics.reference_tables import REFERENCE_TABLES
from sinks.analytics.store import Store, StoreConfig

LONG_AGO_US, LATER_US = 1_700_000_000_000_000, 9_000_000_000_000_000
NOW_US = 1_790_000_000_000_000
SHARDS = (f"reference/erp/{number}" for number in count())

texts = st.sampled_from(["", "M", "N", '"ä\n', "\x7f\x01"])
keys = st.sampled_from(["M", "N", '"ä\n'])
amounts = st.sampled_from([0, 9, 10, 10**15])
common = {
    "changed_us": st.integers(1, 3),
    "valid_from_us": st.sampled_from([0, LONG_AGO_US, LATER_US]),
    "valid_to_us": st.sampled_from([None, LONG_AGO_US + 1, LATER_US + 1]),
    "deleted": st.booleans(),
}
sources = st.lists(keys, max_size=2).map(tuple)
steps = st.builds(OrderOperation, operation=keys, quantity=amounts, counting_sources=sources)
operations = st.lists(steps, max_size=2).map(tuple)
components = st.lists(st.builds(OrderComponent, item=keys, material=keys, backflush=st.booleans()), max_size=2).map(
    tuple
)
records = st.one_of(
    st.builds(
        OrderReference, erp=keys, plant=st.just("A"), order=st.just("1"), status=st.sampled_from(OrderStatus),
        quantity=amounts, over_delivery=st.sampled_from([None, 0, 10, 9]), operations=operations, components=components,
        counting_sources=sources,
        **common,
    ),
    st.builds(WorkCenterReference, plant=st.just("A"), work_center=keys, **common),
    st.builds(MaterialReference, material=keys, family=texts, lot_managed=st.booleans(), **common),
    st.builds(LotReference, material=keys, lot=st.just("L"), **common),
    st.builds(ReasonReference, plant=st.just("A"), reason=keys, erp_reason=keys, **common),
    st.builds(RouteReference, plant=st.just("A"), erp=keys, erp_plant=keys, **common),
    st.builds(PeriodReference, erp=st.just("E"), first=st.dates().map(lambda day: day.replace(2026, 1, 1)),
              last=st.dates(), open=st.booleans(), **common),
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    opened = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    yield opened
    opened.close()


def tables(told, first=0):
    """Return what the flow makes of records."""
    lines = b"\n".join(record.model_dump_json().encode() for record in told)
    rows = ReferenceRows(Shard("a", stream="reference/erp"), {}, {})
    list(rows.work(Work(0, RawRecords.from_lines(lines, first))))
    commit = Commit(0, "")
    rows.commit(commit)
    return commit.tables


def stored(db):
    """Return the JSON of each record in the store."""
    found = []
    for kind, table in REFERENCE_TABLES.items():
        names = [column.name for column in table.columns][:-2]
        for row in db.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall():
            fields = {column.field: value for column, value in zip(table.columns, row, strict=False)}
            found.append(REFERENCE.validate_python({**fields, "kind": kind}).model_dump_json())
    return sorted(found)


def in_force(db, view, *columns):
    return set(db.execute(f"SELECT {', '.join(columns)} FROM {view}").fetchall())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(records, min_size=1, max_size=12), st.data())
def test_the_store_knows_what_the_reference_book_does(store, told, data):
    for table in REFERENCE_TABLES.values():
        store._db.execute(f"DELETE FROM {table.name}")
    book = ReferenceBook(1000)
    for record in data.draw(st.permutations(told)):
        book.tell(record, NOW_US)
    shards = [next(SHARDS), next(SHARDS)]
    for shard in shards:
        store.restore(shard)
    end = dict.fromkeys(shards, 0)
    while told:
        cut = data.draw(st.integers(1, len(told)))
        shard = data.draw(st.sampled_from(shards))
        for name, rows in tables(told[:cut], end[shard]).items():
            for _ in range(data.draw(st.integers(1, 2))):
                store.commit(shard, "p", {name: rows})
        end[shard] += 1_000_000
        told = told[cut:]
    lines = [line for part in book.encode().values() for line in part.decode().splitlines()]
    assert stored(store._db) == sorted(lines)

    orders = {erp: book.order(erp, "A", "1", NOW_US) for erp in book.elsewhere("A", "1")}
    there = {(erp, str(order.status), Decimal(order.quantity) / 1000) for erp, order in orders.items() if order}
    assert in_force(store._db, "production_order", "erp", "status", "planned") == there
    steps = {
        (erp, place + 1, o.operation)
        for erp, order in orders.items()
        if order
        for place, o in enumerate(order.operations)
    }
    assert in_force(store._db, "operation", "erp", "place", "operation") == steps
    parts = {(erp, c.item, c.material) for erp, order in orders.items() if order for c in order.components}
    assert in_force(store._db, "component", "erp", "item", "material") == parts
    found = [book.material(name, NOW_US) for name in ("M", "N", '"ä\n')]
    assert in_force(store._db, "material", "material", "family") == {(m.material, m.family) for m in found if m}
    found = [book.lot(name, "L", NOW_US) for name in ("M", "N", '"ä\n')]
    assert in_force(store._db, "lot", "material", "status") == {(lot.material, str(lot.status)) for lot in found if lot}
    found = [book.work_center("A", name, NOW_US) for name in ("M", "N", '"ä\n')]
    assert in_force(store._db, "work_center", "work_center") == {(w.work_center,) for w in found if w}
    found = [book.reason("A", name, NOW_US) for name in ("M", "N", '"ä\n')]
    assert in_force(store._db, "reason", "reason", "erp_reason") == {(r.reason, r.erp_reason) for r in found if r}
    route = book.route("A", NOW_US)
    assert in_force(store._db, "route", "erp", "erp_plant") == ({(route.erp, route.erp_plant)} if route else set())
    periods = {(p.first, p.last, p.open) for p in book.periods("E", NOW_US)}
    assert in_force(store._db, "period", "first", "last", "open") == periods


def test_who_may_not_tell_and_what_cannot_be_read_is_passed_over():
    rows = ReferenceRows(Shard("a", stream="reference/erp/topic-1"), {}, {"lot": ("laboratory",)})
    told = [LotReference(changed_us=1, material="M", lot="L"), MaterialReference(changed_us=1, material="M")]
    lines = b"\n".join([*(record.model_dump_json().encode() for record in told), b"{}", b"no"])
    list(rows.work(Work(0, RawRecords.from_lines(lines))))
    commit = Commit(0, "")
    rows.commit(commit)
    assert list(commit.tables) == ["material_reference"]
    assert commit.tables["material_reference"]["material"].to_pylist() == ["M"]
