"""A lot is traced through every order that used or made it, backward and forward, as walking by hand does (M21)."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.analytics.store_schema import descriptions, migrations

PRODUCTION = """
INSERT INTO production BY NAME
SELECT 0 AS hour_us, $plant AS plant, '' AS work_center, $order AS order_id, '' AS operation, $material AS material,
    $lot AS lot, 'H87' AS unit, '' AS reason, '' AS shift, DATE '2026-01-01' AS posting_date, 1000 AS good, 0 AS scrap,
    0 AS rework, 0 AS setup_us, 0 AS machine_us, 0 AS labour_us, 0 AS energy_mwh, 1 AS events, 1 AS confirmations,
    0 AS scrappings, 0 AS finals, 0 AS first_occurred_us, 0 AS last_occurred_us
"""
USAGE = """
INSERT INTO usage BY NAME
SELECT 0 AS hour_us, $plant AS plant, '' AS work_center, $order AS order_id, '' AS operation, $material AS material,
    $lot AS lot, 'KGM' AS unit, 2000 AS quantity, 1 AS events, 0 AS first_occurred_us, 0 AS last_occurred_us
"""


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as db:
        for step in migrations():
            db.execute(step)
        db.execute(descriptions([]))
        yield db


plants = st.sampled_from(["A", "B"])
orders = st.sampled_from(["", "1", "2", "3", "4"])
materials = st.sampled_from(["M", "N"])
lots = st.sampled_from(["", "K", "L", "P", "Q", "R"])
rows = st.lists(st.tuples(plants, orders, materials, lots), max_size=12)


def walked(made, used, lot, *, back):
    """The naive twin: edges from the lots in hand, level after level, each order entered once."""
    made = {row for row in made if row[1] and row[3]}
    used = {row for row in used if row[1] and row[3]}
    enter, leave = (made, used) if back else (used, made)
    reached = {(m, of) for _, _, m, of in made | used if of == lot}
    levels: dict = {}
    front, level = reached, 0
    while front:
        level += 1
        entered = {(p, o) for p, o, *node in enter if tuple(node) in front and (p, o) not in levels}
        levels |= dict.fromkeys(entered, level)
        front = {(m, of) for p, o, m, of in leave if (p, o) in entered}
        reached |= front
    return {
        (levels[u[0], u[1]], u[0], u[1], u[2], u[3], m[2], m[3])
        for u in used
        for m in made
        if u[:2] == m[:2] and u[:2] in levels and (m if back else u)[2:] in reached
    }


@settings(max_examples=60, deadline=None)
@given(rows, rows, st.sampled_from("KLPQR"))
def test_a_lot_is_traced_both_ways(db, made, used, lot):
    db.execute("BEGIN")
    for statement, told in ((PRODUCTION, made), (USAGE, used)):
        for plant, order, material, of_lot in told:
            db.execute(statement, {"plant": plant, "order": order, "material": material, "lot": of_lot})
    found = {}
    for back in (True, False):
        name = "trace_back" if back else "trace_forward"
        steps = "level, plant, order_id, component, component_lot, material, lot"
        found[back] = db.execute(f"SELECT {steps} FROM {name}(?)", [lot]).fetchall()
    db.execute("ROLLBACK")
    for back, steps in found.items():
        assert sorted(steps) == sorted(walked(made, used, lot, back=back)), "back" if back else "forward"
