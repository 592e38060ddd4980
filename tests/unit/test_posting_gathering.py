"""What is gathered passes the desk: consumption, moves, times and scrap (M13, M18, M20, M22)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from canonical.contracts import CommandKind, Event, OrderComponent, StockType
from canonical.mapping import load
from canonical.plants import shipped
from dataflows.processors.posting.activities import ActivityPolicy
from dataflows.processors.posting.consumption import ConsumptionPolicy
from dataflows.processors.posting.gathering import GatheringPolicy, PlantTime
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.processors.posting.scrap_watch import ScrapPolicy
from dataflows.settings.gathering import GatheringSection
from tests.postings_world import HOUR_US, NOW_US, Plant, action, bin_, confirmation, material, order, references

MINUTE_US = 60_000_000
GATHERING = GatheringPolicy(
    ConsumptionPolicy(window_us=5 * MINUTE_US, settle_us=MINUTE_US),
    ActivityPolicy(reorder_us=MINUTE_US),
    ScrapPolicy(limit=100, quantity_min=1_000),
    {"A": PlantTime("Europe/Berlin")},
)
POLICY = PostingPolicy(gathering=GATHERING)
BILL = (
    OrderComponent(item="1", reservation="77", material="STEEL", quantity=9_000, unit="KGM", storage_location="RAW"),
    OrderComponent(item="2", reservation="77", material="OIL", quantity=50, unit="KGM", backflush=True),
)


def plant(policy=POLICY, components=BILL, *more):
    told = [record for record in references() if record.kind != "order"]
    metal = [material(name, base_unit="KGM") for name in ("STEEL", "OIL", "GOLD")]
    return Plant(policy, [*told, order(components=components), *metal, *more])


def happened(type_, number=0, **fields):
    told = {"plant": "A", "source": "s", "order": "4711", "operation": "0010", "work_center": "W1"}
    return Event.model_validate(
        {"type": type_, "occurred_us": NOW_US - 9 * MINUTE_US + number * MINUTE_US} | told | fields
    )


def told(there, *events):
    for number, event in enumerate(events):
        there.desk.event(event, f"e{number}", there.now_us)
    return there.take()


def used(quantity=1_500, name="STEEL", **fields):
    return happened("consume", material=name, unit="KGM", quantity=quantity, **fields)


def test_consumption_becomes_an_issue_against_the_reservation_and_backflushed_lines_are_counted():
    there = plant()
    assert told(there, used(), used(500), used(7, "OIL")) == []
    assert there.desk.due_us() == NOW_US + 5 * MINUTE_US
    (posting,) = there.later(5 * MINUTE_US)
    (line,) = posting.movements
    assert (posting.kind, posting.lane, posting.order, posting.causes) == (
        "goods-issue", "critical", "4711", ("e0", "e1", "e2"),
    )  # fmt: skip
    assert (line.movement_type, line.quantity, line.unit) == ("261", 2_000, "KGM")
    assert (line.reservation, line.reservation_item, line.storage_location) == ("77", "1", "RAW")
    assert there.desk.counts["backflushed"] == 1
    assert there.codes() == []


def test_usage_is_told_against_the_plan_in_its_unit_less_what_was_taken_back():
    """Planned against actual usage (M18): KGM issued where GRM are planned, and a material that is not planned."""
    bill = (BILL[0].model_copy(update={"quantity": 9_000_000, "unit": "GRM"}), BILL[1])
    spare = OrderComponent(item="3", material="GOLD", quantity=4_000, unit="KGM")
    there = plant(
        replace(POLICY, unchecked=frozenset({"COMPONENT_UNKNOWN"})), (*bill, spare), material("TIN", base_unit="KGM")
    )
    told(there, used(), used(500, "TIN"))
    (issue,) = there.later(5 * MINUTE_US)

    def newest():
        return {u.material: (u.item, u.unit, u.planned, u.actual, u.difference) for u in there.usages}

    assert newest() == {
        "STEEL": ("1", "GRM", 9_000_000, 1_500_000, -7_500_000),
        "GOLD": ("3", "KGM", 4_000, 0, -4_000),
        "TIN": ("", "KGM", 0, 500, 500),
    }
    there.commit()
    there.restart()
    there.later(0)
    there.desk.event(used(250), "e9", there.now_us)
    (second,) = there.later(5 * MINUTE_US)
    assert newest()["STEEL"] == ("1", "GRM", 9_000_000, 1_750_000, -7_250_000)
    there.desk.withdrawn(str(second.posting_id), there.now_us)
    there.take()
    assert newest()["STEEL"][3] == 1_500_000
    there.tell(action("reverse", posting_id=str(issue.posting_id)))
    assert [newest()[name][3] for name in ("STEEL", "TIN")] == [0, 0]
    count = len(there.usages)
    there.tell(order(changed_us=9, components=BILL))  # The plan changes: it is told anew.
    assert newest()["STEEL"] == ("1", "KGM", 9_000, 0, -9_000)
    there.tell(confirmation(0))
    assert len(there.usages) == count + 2, "a confirmation uses nothing"


def test_backflushed_consumption_alone_is_not_posted_or_is_an_exception_where_that_is_configured():
    there = plant()
    told(there, used(7, "OIL"))
    assert there.later(HOUR_US) == []
    assert (there.codes(), there.desk.counts["backflushed"], there.desk.counts["ruled out"]) == ([], 1, 1)
    there = plant(replace(POLICY, backflushed="exception"))
    told(there, used(7, "OIL"))
    there.later(5 * MINUTE_US)
    there.later(5 * MINUTE_US)
    assert there.codes() == ["COMPONENT_BACKFLUSHED"]


def test_an_unknown_component_waits_until_the_order_has_it_or_a_person_lets_it_through():
    there = plant()
    told(there, used(3, "GOLD"))
    assert there.later(5 * MINUTE_US) == there.later(5 * MINUTE_US) == []
    (exception,) = there.open()
    assert (exception.code, exception.material, exception.order) == ("COMPONENT_UNKNOWN", "GOLD", "4711")
    gold = OrderComponent(item="9", reservation="77", material="GOLD")
    (posting,) = there.tell(order(changed_us=9, components=(*BILL, gold)))
    assert posting.movements[0].reservation_item == "9"
    there = plant()
    told(there, used(3, "GOLD"))
    there.later(5 * MINUTE_US)
    there.later(5 * MINUTE_US)
    (posting,) = there.tell(action("release", exception_id=str(there.open()[0].exception_id)))
    assert (posting.movements[0].movement_type, posting.movements[0].reservation) == ("261", "")


def test_what_concerns_no_quantity_is_counted():
    there = plant()
    told(there, used(0), happened("move", from_bin="B-1", to_bin="B-2"))
    there.later(HOUR_US)
    assert there.desk.counts == {"events": 2, "without quantity": 2}


def test_a_completion_makes_the_issue_due():
    there = plant()
    told(there, used())
    there.tell(confirmation(0, final=True))
    assert [posting.kind for posting in there.later(MINUTE_US)] == ["goods-issue"]


@pytest.mark.parametrize("components", [BILL, ()])
def test_consumption_passes_the_gate_of_its_order(components):
    there = plant(POLICY, components)
    there.tell(order(changed_us=8, status="locked", components=components))
    told(there, used())
    assert there.later(5 * MINUTE_US) == []
    there.tell(order(changed_us=9, components=BILL))
    assert [posting.kind for posting in there.postings] == ["goods-issue"]


def test_a_move_becomes_a_transfer_once_its_bins_are_known_and_nothing_within_one_place():
    there = plant()
    moved = happened("move", order="", material="STEEL", unit="KGM", quantity=400, from_bin="Q-1", to_bin="B-1")
    assert told(there, moved) == []
    there.later(5 * MINUTE_US)
    (exception,) = there.open()
    assert (exception.code, exception.item) == ("BIN_UNMAPPED", "Q-1")
    there.tell(bin_("Q-1", storage_location="0001", stock_type=StockType.QUALITY))
    (posting,) = there.tell(bin_("B-1", storage_location="0002"))
    (line,) = posting.movements
    assert (posting.kind, line.movement_type, line.storage_location, line.to_storage_location) == (
        "stock-transfer", "321", "0001", "0002",
    )  # fmt: skip
    there.tell(bin_("B-2", storage_location="0002"))
    same = moved.model_copy(update={"from_bin": "B-1", "to_bin": "B-2"})
    there.desk.event(same, "e9", there.now_us)
    assert there.take() == []
    assert there.desk.counts["ruled out"] == 1


def test_scrap_above_the_limit_holds_the_lot_once_and_its_receipts_go_to_quality_stock():
    there = plant()
    there.tell(confirmation(0, good=5_000, scrap=1_000, reason="R1"), confirmation(1, good=0, scrap=1_000, reason="R1"))
    assert [command.kind for command in there.commands] == [CommandKind.QUALITY_HOLD, CommandKind.STOCK_STATUS]
    assert there.codes() == ["SCRAP_ABOVE_LIMIT"]
    there.tell(confirmation(1, good=0, scrap=1_000, reason="R1"))  # a copy is no news
    there.tell(confirmation(2, good=90_000))
    assert there.codes() == []
    assert len(there.commands) == 2


def test_times_become_a_confirmation_of_their_own():
    there = plant()
    told(there, happened("start", 0), happened("pause", 4))
    there.desk.confirmation(confirmation(0, last_occurred_us=NOW_US, final=True), NOW_US)
    there.take()
    (posting,) = there.later(MINUTE_US)
    assert (posting.operation, posting.work_center, posting.good) == ("0010", "W1", 0)
    assert (posting.machine_us, posting.labour_us, posting.setup_us) == (4 * MINUTE_US, 4 * MINUTE_US, 0)


def test_a_restart_goes_on_with_what_was_gathered():
    there = plant()
    told(there, used(), happened("start", 0), happened("complete", 4))
    there.commit()
    there.restart()
    there.later(0)
    told(there, used(500))
    posted = there.later(5 * MINUTE_US)
    assert sorted(posting.kind for posting in posted + there.postings[: -len(posted)]) == [
        "confirmation",
        "goods-issue",
    ]
    (issue,) = (posting for posting in there.postings if posting.kind == "goods-issue")
    assert issue.movements[0].quantity == 2_000
    there.commit()
    assert not [name for name in there.parts if name.startswith(("consumption:", "put-back:"))]


def test_what_there_is_no_room_for_is_offered_again():
    there = plant(replace(POLICY, waiting_max=1))
    there.tell(order(changed_us=8, status="locked", components=BILL))
    there.tell(confirmation(0))
    told(there, used())
    there.later(5 * MINUTE_US)
    there.commit()
    assert [name for name in there.parts if name.startswith("put-back:")]
    there.restart()
    there.later(0)
    there.tell(order(changed_us=9, components=BILL))
    there.later(GATHERING.retry_us)
    assert sorted(posting.kind for posting in there.postings) == ["confirmation", "goods-issue"]


def test_settings_have_the_defaults_of_what_they_configure():
    ours = GatheringSection().policy([])
    assert ours == GatheringPolicy()
    given = GatheringSection(activities=True, scrap_limit_percent=10).policy(map(load, shipped()))
    assert (given.activities, given.scrap) == (ActivityPolicy(), ScrapPolicy())
    assert given.plants["A"].zone == "Europe/Berlin"
    assert [shift.name for shift in given.plants["A"].shifts] == ["early", "late", "night"]
    with pytest.raises(ValidationError, match="a breach could never end"):
        GatheringSection(scrap_limit_percent=2.0, scrap_hysteresis_percent=2.01)
