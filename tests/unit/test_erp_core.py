"""The ERP behind every protocol: what it refuses, what it books, and what it takes back (M10, M11, M17-M19, M30)."""

import contextlib
from dataclasses import replace
from datetime import date

import pytest

from dataflows.erp_simulator import inspections
from dataflows.erp_simulator.document import OpenState
from dataflows.erp_simulator.erp import Late
from dataflows.erp_simulator.ledger import LedgerUnusable
from dataflows.erp_simulator.posting import Confirmation, Decision, GoodsMovement, Movement, Reversal
from dataflows.erp_simulator.refusal import WORDS, Code, Refused
from dataflows.erp_simulator.truth import duplicates, stocks
from tests.erp_world import NOW_US, TODAY, master_data, order, world

FINE = Confirmation("1000020", "0010", TODAY, yield_quantity=10_000, unit="PC", external_id="a")
ISSUE = Movement("261", "RESIN", 1_000, "KG", plant="1010", storage_location="RM01", lot="R1", order="1000020")


@pytest.fixture
def erp():
    return world()[1].erp


def _stock(erp, material, stock_type="unrestricted"):
    return sum(s["quantity"] for s in stocks(erp.book) if (s["material"], s["stock_type"]) == (material, stock_type))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order": "77"}, Code.ORDER_UNKNOWN),
        ({"order": "2000000"}, Code.ORDER_NOT_RELEASED),
        ({"order": "2000002"}, Code.ORDER_BLOCKED),
        ({"order": "2000003"}, Code.ORDER_COMPLETE),
        ({"order": "2000004"}, Code.ORDER_CLOSED),
        ({"order": "2000005"}, Code.ORDER_DELETED),
        ({"operation": "0030"}, Code.OPERATION_UNKNOWN),
        ({"work_center": "MILL"}, Code.WORK_CENTER_UNKNOWN),
        ({"plant": "1020"}, Code.PLANT_WRONG),
        ({"unit": "XYZ"}, Code.UNIT_UNKNOWN),
        ({"unit": "KG"}, Code.UNIT_UNKNOWN),
        ({"yield_quantity": 0}, Code.QUANTITY_NOT_POSITIVE),
        ({"yield_quantity": -1}, Code.QUANTITY_NOT_POSITIVE),
        ({"yield_quantity": 110_001}, Code.OVER_DELIVERY),
        ({"operation": "0020"}, Code.YIELD_ABOVE_PREDECESSOR),
        ({"posting_date": date(2026, 1, 31)}, Code.PERIOD_CLOSED),
        ({"posting_date": date(2026, 4, 1)}, Code.PERIOD_CLOSED),
        ({"movements": (replace(ISSUE, lot="R9"),)}, Code.LOT_UNKNOWN),
        ({"movements": (replace(ISSUE, lot="OLD"),)}, Code.LOT_UNKNOWN),
        ({"movements": (replace(ISSUE, lot=""),)}, Code.LOT_MISSING),
        ({"movements": (replace(ISSUE, material="GOLD"),)}, Code.MATERIAL_UNKNOWN),
        ({"movements": (replace(ISSUE, movement_type="999"),)}, Code.MOVEMENT_TYPE_UNKNOWN),
        ({"movements": (replace(ISSUE, quantity=0),)}, Code.QUANTITY_NOT_POSITIVE),
    ],
)
def test_a_confirmation_is_refused_and_nothing_is_booked(erp, changes, code):
    before = dict(erp.book.stocks)

    with pytest.raises(Refused) as refused:
        erp.confirm(replace(FINE, **changes), NOW_US)

    assert refused.value.code is code
    assert "{" not in str(refused.value)
    assert (erp.book.documents, dict(erp.book.stocks)) == ([], before)


def test_every_code_has_words():
    assert set(WORDS) == set(Code)


def test_the_tolerance_itself_is_allowed(erp):
    assert erp.confirm(replace(FINE, yield_quantity=110_000), NOW_US).yield_quantity == 110_000


def test_an_order_is_locked_until_its_instant(erp):
    erp.book.record("lock", {"order": "1000020", "user": "SMITH", "until_us": NOW_US + 1})

    with pytest.raises(Refused, match="SMITH"):
        erp.confirm(FINE, NOW_US)

    assert erp.confirm(FINE, NOW_US + 1).number


def test_an_external_key_is_taken_once(erp):
    erp.confirm(FINE, NOW_US)

    with pytest.raises(Refused) as refused:
        erp.confirm(FINE, NOW_US)

    assert refused.value.code is Code.EXTERNAL_ID_EXISTS


def test_nothing_follows_a_final_confirmation_until_it_is_reversed(erp):
    final = erp.confirm(replace(FINE, final=True), NOW_US)
    with pytest.raises(Refused) as refused:
        erp.confirm(replace(FINE, external_id="b"), NOW_US)
    assert refused.value.code is Code.FINAL_ALREADY

    erp.reverse(Reversal(final.number), NOW_US)

    assert erp.confirm(replace(FINE, external_id="b"), NOW_US).number


def test_order_and_operation_level_do_not_mix(erp):
    erp.confirm(replace(FINE, operation=""), NOW_US)

    with pytest.raises(Refused) as refused:
        erp.confirm(replace(FINE, external_id="b"), NOW_US)

    assert refused.value.code is Code.LEVEL_MIXED


def test_backflush_and_receipt_follow_the_confirmation(erp):
    erp.confirm(replace(FINE, scrap_quantity=2_000), NOW_US)
    erp.confirm(replace(FINE, operation="0020", external_id="b", lot="L1"), NOW_US)

    assert _stock(erp, "STEEL") == 1_000_000 - 6_000  # half a kilogram a piece, scrap too
    assert _stock(erp, "PUMP", "quality") == 10_000
    assert erp.book.received["1000020"] == 10_000


def test_goods_movements_that_are_brought_replace_those_worked_out(erp):
    erp.confirm(replace(FINE, movements=(ISSUE,)), NOW_US)

    assert (_stock(erp, "STEEL"), _stock(erp, "RESIN")) == (1_000_000, 9_000)


def test_a_reversal_takes_everything_back_once(erp):
    before = dict(erp.book.stocks)
    made = erp.confirm(FINE, NOW_US)

    reversal = erp.reverse(Reversal(made.number, text="wrong"), NOW_US)

    assert reversal.reverses == made.number
    assert {k: v for k, v in erp.book.stocks.items() if v} == before
    assert erp.book.confirmed["1000020", "0010", "yield"] == 0
    for document in (made.number, reversal.number):
        with pytest.raises(Refused) as refused:
            erp.reverse(Reversal(document), NOW_US)
        assert refused.value.code is Code.REVERSED_ALREADY


def test_late_goods_movements_fail_at_their_instant_and_are_repaired(erp):
    made = erp.confirm(FINE, NOW_US, Late(after_us=60, repair_after_us=40))
    assert (erp.book.open[made.number].state, _stock(erp, "STEEL")) == (OpenState.PENDING, 1_000_000)

    erp.wake(NOW_US + 59)
    assert erp.book.open[made.number].state is OpenState.PENDING
    erp.wake(NOW_US + 60)
    assert (erp.book.open[made.number].state, erp.book.open[made.number].message) == (OpenState.FAILED, "M3/024")
    erp.wake(NOW_US + 500)

    assert erp.book.open[made.number].state is OpenState.POSTED
    assert (_stock(erp, "STEEL"), erp.book.documents[-1].accepted_us) == (995_000, NOW_US + 100)


def test_late_goods_movements_without_repair_wait_for_a_person(erp):
    made = erp.confirm(FINE, NOW_US, Late(after_us=60))

    erp.wake(NOW_US + 10**9)
    assert erp.book.open[made.number].state is OpenState.FAILED
    erp.settle(made.number, NOW_US + 10**9, by_person=True)

    assert _stock(erp, "STEEL") == 995_000


def test_a_reversed_confirmation_drops_its_open_movements(erp):
    made = erp.confirm(FINE, NOW_US, Late(after_us=60, repair_after_us=60))

    erp.reverse(Reversal(made.number), NOW_US)
    erp.wake(NOW_US + 1_000)

    assert (erp.book.open[made.number].state, _stock(erp, "STEEL")) == (OpenState.DROPPED, 1_000_000)


def test_missing_stock_fails_the_movement_and_not_the_confirmation():
    erp = world(data=master_data(negative_stock_allowed=False, stocks=()))[1].erp

    made = erp.confirm(FINE, NOW_US)

    assert (erp.book.open[made.number].state, erp.book.open[made.number].message) == (OpenState.FAILED, "M7/021")


def test_missing_stock_refuses_a_goods_movement():
    erp = world(data=master_data(negative_stock_allowed=False))[1].erp

    with pytest.raises(Refused) as refused:
        erp.move(GoodsMovement((replace(ISSUE, quantity=6_000), replace(ISSUE, quantity=6_000)), TODAY), NOW_US)

    assert refused.value.code is Code.STOCK_MISSING
    assert not erp.book.documents


def test_units_of_the_material_convert_and_fractions_do_not(erp):
    screws = Movement("501", "SCREW", 2_500, "CEN", plant="1010", storage_location="RM01")

    posted = erp.move(GoodsMovement((screws,), TODAY), NOW_US)

    assert (posted.lines[0].quantity, posted.lines[0].entry_quantity) == (250_000, 2_500)
    with pytest.raises(Refused) as refused:
        erp.move(GoodsMovement((replace(screws, material="STEEL", unit="MGM", quantity=1),), TODAY), NOW_US)
    assert refused.value.code is Code.QUANTITY_TOO_FINE


def test_quality_stock_leaves_by_usage_decision_and_not_twice(erp):
    erp.confirm(FINE, NOW_US)
    erp.confirm(replace(FINE, operation="0020", external_id="b", lot="L1"), NOW_US)
    (lot,) = erp.book.inspections
    asked, posting = Movement("", "", 10_000, "PC"), GoodsMovement((), TODAY)
    with pytest.raises(Refused) as refused:
        inspections.post_inspected(erp, lot, "321", asked, posting, NOW_US)
    assert refused.value.code is Code.NOT_DECIDED

    inspections.decide(erp, Decision(lot, accepted=True), TODAY, NOW_US)
    inspections.post_inspected(erp, lot, "321", asked, posting, NOW_US)

    assert (_stock(erp, "PUMP"), _stock(erp, "PUMP", "quality")) == (10_000, 0)
    with pytest.raises(Refused) as refused:
        inspections.post_inspected(erp, lot, "321", replace(asked, quantity=1), posting, NOW_US)
    assert refused.value.code is Code.STOCK_MISSING
    with pytest.raises(Refused) as refused:
        inspections.decide(erp, Decision(lot, accepted=True), TODAY, NOW_US)
    assert refused.value.code is Code.DECIDED_ALREADY
    with pytest.raises(Refused) as refused:
        erp.reverse(Reversal(f"UD/{lot}"), NOW_US)
    assert refused.value.code is Code.DOCUMENT_UNKNOWN


def test_receipts_beyond_the_tolerance_are_refused(erp):
    receipt = Movement("101", "PUMP", 110_000, "PC", order="1000020")
    erp.move(GoodsMovement((receipt,), TODAY, code="02"), NOW_US)

    with pytest.raises(Refused) as refused:
        erp.move(GoodsMovement((replace(receipt, quantity=1),), TODAY, code="02"), NOW_US)

    assert refused.value.code is Code.OVER_DELIVERY


def test_a_confirmation_brings_no_receipt_beyond_the_tolerance(erp):
    receipt = Movement("101", "PUMP", 110_001, "PC")

    with pytest.raises(Refused) as refused:
        erp.confirm(replace(FINE, movements=(receipt,)), NOW_US)

    assert refused.value.code is Code.OVER_DELIVERY


def test_the_tolerance_of_receipts_counts_in_the_materials_unit():
    screws = order("1000020", material="SCREW", unit="CEN", planned_thousandths=1_000, over_delivery_permille=0)
    erp = world(data=master_data(orders=(screws,)))[1].erp
    receipt = Movement("101", "SCREW", 100_000, "PC", order="1000020")

    assert erp.move(GoodsMovement((receipt,), TODAY), NOW_US).lines[0].quantity == 100_000
    with pytest.raises(Refused):
        erp.move(GoodsMovement((replace(receipt, quantity=1),), TODAY), NOW_US)


def test_a_movement_type_belongs_to_its_code(erp):
    with pytest.raises(Refused) as refused:
        erp.move(GoodsMovement((ISSUE,), TODAY, code="02"), NOW_US)

    assert refused.value.code is Code.MOVEMENT_CODE_WRONG


def test_master_data_changes_take_effect_at_once(erp):
    change = master_data(orders=(order("2000000"),)).model_dump(mode="json")

    erp.book.record("master data", change)

    assert erp.confirm(replace(FINE, order="2000000"), NOW_US).order == "2000000"


def test_what_cannot_be_written_is_not_booked(erp, monkeypatch):
    def broken(_entries):
        raise LedgerUnusable("disk full")

    monkeypatch.setattr(erp.book, "_append", broken)
    with pytest.raises(LedgerUnusable):
        erp.confirm(FINE, NOW_US)

    assert (erp.book.documents, erp.book.confirmed["1000020", "0010", "yield"]) == ([], 0)
    assert not erp.book.by_external["a"]


def test_a_ledger_has_one_writer(tmp_path):
    made, _ = world(path=tmp_path / "l")

    with pytest.raises(LedgerUnusable, match="no other simulator"):
        world(path=tmp_path / "l")

    made.ledger.close()
    world(path=tmp_path / "l")


def test_an_inner_unit_fails_alone(tmp_path):
    made, sap = world(path=tmp_path / "l")
    lock = {"user": "SMITH", "until_us": NOW_US}

    with sap.book.unit():
        sap.book.record("lock", {"order": "1", **lock})
        with contextlib.suppress(LookupError), sap.book.unit():
            sap.book.record("lock", {"order": "2", **lock})
            raise LookupError
    made.ledger.close()

    assert list(sap.book.locks) == ["1"]
    assert list(world(path=tmp_path / "l")[1].book.locks) == ["1"]


def test_duplicates_are_found():
    erp = world("oracle")[1].erp  # takes an external key twice
    erp.confirm(FINE, NOW_US)
    assert duplicates(erp.book)["external_ids"] == {}

    erp.confirm(FINE, NOW_US)

    assert list(duplicates(erp.book)["external_ids"]) == ["a"]


@pytest.mark.parametrize(
    ("movement_type", "source", "target"),
    [
        ("311", "unrestricted", "unrestricted"),
        ("321", "quality", "unrestricted"),
        ("322", "unrestricted", "quality"),
        ("323", "quality", "quality"),
        ("325", "blocked", "blocked"),
        ("343", "blocked", "unrestricted"),
        ("344", "unrestricted", "blocked"),
        ("349", "blocked", "quality"),
        ("350", "quality", "blocked"),
    ],
)
def test_a_transfer_goes_from_its_place_to_the_other_and_back_again(erp, movement_type, source, target):
    before = dict(erp.book.stocks)
    line = Movement(
        movement_type, "RESIN", 700, "KG", plant="1010", storage_location="RM01", lot="R1", receiving_location="RM02"
    )

    moved = erp.move(GoodsMovement((line,), TODAY, code="04"), NOW_US)

    there = {key: erp.book.stocks[key] - before.get(key, 0) for key in erp.book.stocks}
    assert {key[2:]: change for key, change in there.items() if change} == {
        ("RM01", "R1", source): -700,
        ("RM02", "R1", target): 700,
    }
    back = erp.reverse(Reversal(moved.number), NOW_US)
    assert {key: quantity for key, quantity in erp.book.stocks.items() if quantity} == before
    assert back.lines[0].movement_type != movement_type
