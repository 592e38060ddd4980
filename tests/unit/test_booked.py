"""What an ERP has booked against what was made: a thousandth too few or too many is told, wherever it is (M10)."""

from dataclasses import replace
from datetime import date

import pytest

from dataflows.simulator.booked import Booked, compare_booked
from dataflows.simulator.truth import OrderSums, PlantTruth, ShiftSums

DAY = date(2026, 11, 17)
MADE = PlantTruth(
    plant="A", records=2, duplicates=0, faults={}, repeated=0, repeated_faults={}, accounted=2, operational=0,
    analytics_only=0, delayed=0, missing=0, gaps=(),
    orders=(
        OrderSums(source="M1", order="4711", operation="0010", lot="L1", unit="H87", good=5000, scrap=1000, events=1),
        OrderSums(source="M2", order="4711", operation="0010", lot="L2", unit="H87", good=2000, rework=500, events=1),
    ),
    shifts=(ShiftSums(posting_date=DAY, shift="early", unit="H87", good=7000, scrap=1000, rework=500, events=2),),
)  # fmt: skip
WAITS = {"order": "4711", "operation": "0010", "lot": "L2", "unit": "H87", "posting_date": str(DAY)}
WAITING = {**WAITS, "good": 2000, "scrap": 0, "rework": 500}


def document(good, **fields):
    given = {"kind": "confirmation", "posting_date": str(DAY), "unit": "H87", "reverses": "", "reversed_by": ""}
    return {**given, "yield_quantity": good, **fields}


def operation(good, scrap, rework):
    return {"order": "0000004711", "operation": "0010", "yield": good, "scrap": scrap, "rework": rework}


BOOKED = Booked(
    operations=[operation(7000, 1000, 500)],
    documents=[document(5000), document(2000), document(9000, reversed_by="2"), document(9000, reverses="1")],
    stocks=[{"lot": "L1", "quantity": 4000}, {"lot": "L1", "quantity": 1000}, {"lot": "L2", "quantity": 2000}],
)


def test_what_was_made_is_booked():
    assert compare_booked(MADE, BOOKED) == []


def test_what_waits_is_not_missing():
    booked = Booked(
        [operation(5000, 1000, 0)], [document(5000)], [{"lot": "L1", "quantity": 5000}], [WAITING], [WAITING]
    )
    assert compare_booked(MADE, booked) == []
    assert len(compare_booked(MADE, replace(booked, unconfirmed=()))) == 3
    assert compare_booked(MADE, replace(booked, unreceived=())) == ["lot L2: good 0 booked, 0 waiting, 2000 made"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"operations": [operation(6999, 1000, 500)]}, "order 4711 0010: good 6999 booked, 0 waiting, 7000 made"),
        ({"operations": [operation(7000, 1001, 500)]}, "order 4711 0010: scrap 1001 booked, 0 waiting, 1000 made"),
        ({"operations": [operation(7000, 1000, 501)]}, "order 4711 0010: rework 501 booked, 0 waiting, 500 made"),
        ({"documents": [document(7001)]}, "day 2026-11-17 H87: good 7001 booked, 0 waiting, 7000 made"),
        ({"stocks": [*BOOKED.stocks, {"lot": "L3", "quantity": 1}]}, "lot L3: good 1 booked, 0 waiting, 0 made"),
    ],
)  # fmt: skip
def test_a_thousandth_is_told(changed, said):
    assert compare_booked(MADE, replace(BOOKED, **changed)) == [said]
