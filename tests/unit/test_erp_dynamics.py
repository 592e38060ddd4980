"""Dynamics 365's message service: accepted now, booked later, in order for each production order (M26, M32)."""

import json

import pytest

from dataflows.erp_simulator.faults import FaultProfile, Plan
from dataflows.erp_simulator.truth import duplicates, stocks
from tests.erp_world import NOW_US, Client, body_of, world

SERVICE = "/api/services/SysMessageServices/SysMessageService"
S = 10**6


@pytest.fixture
def d365():
    return world("d365", message_delay_s=2, message_retry_s=5)[1]


@pytest.fixture
def client(d365):
    return Client(d365, {}).token("/oauth2/v2.0/token")


def _send(client, kind, content):
    body = {
        "_companyId": "USMF",
        "_messageQueue": "JmgMES3P",
        "_messageType": kind,
        "_messageContent": json.dumps(content),
    }
    return client.post(f"{SERVICE}/SendMessage", body)


def _card(order, quantity, operation=10):
    line = {"GoodQuantity": quantity, "OperationNumber": operation, "ConsumptionDate": "2026-03-10"}
    return {"ProductionOrderNumber": order, "RouteCardLines": [line]}


def _states(client):
    rows = body_of(client.get(f"{SERVICE}/Messages"))["value"]
    return [(r["ProductionOrderNumber"], r["MessageState"], r["Attempts"]) for r in rows]


def test_a_password_will_not_do(d365):
    assert Client(d365).post(f"{SERVICE}/SendMessage", {}).status == 401


def test_a_message_is_booked_later(client, d365):
    assert _send(client, "ProdProductionOrderRouteCard", _card("1000020", 10)).status == 200
    assert not d365.book.documents

    d365.clock.set(NOW_US + 2 * S)

    assert _states(client) == [("1000020", "Processed", 1)]
    assert d365.book.confirmed["1000020", "0010", "yield"] == 10_000


def test_a_bad_message_fails_after_three_attempts_and_holds_its_order_only(client, d365):
    _send(client, "ProdProductionOrderRouteCard", _card("1000020", 500))
    _send(client, "ProdProductionOrderRouteCard", _card("1000020", 1))
    _send(client, "ProdProductionOrderRouteCard", _card("1000021", 1))

    d365.clock.set(NOW_US + 3 * S)
    assert _states(client) == [("1000020", "Queued", 1), ("1000020", "Queued", 0), ("1000021", "Processed", 1)]
    d365.clock.set(NOW_US + 20 * S)

    assert _states(client) == [("1000020", "Failed", 3), ("1000020", "Processed", 1), ("1000021", "Processed", 1)]
    assert "Overdelivery" in body_of(client.get(f"{SERVICE}/Messages?order=1000020&limit=1"))["value"][0]["Error"]


def test_messages_of_an_order_are_booked_in_order(client, d365):
    d365.schedule.plans.append(Plan(fault="message_fails"))
    for quantity in (1, 2, 3):
        _send(client, "ProdProductionOrderRouteCard", _card("1000020", quantity))

    d365.clock.set(NOW_US + 60 * S)
    d365.wake()

    made = [d.yield_quantity for d in d365.book.documents if d.kind == "confirmation"]
    assert made in ([1_000, 2_000, 3_000], [2_000, 3_000])


def test_copies_are_told_by_posting_id_or_by_all_they_say(client, d365):
    named = _card("1000020", 1) | {"PostingId": "p-1"}
    for content in (named, named, _card("1000020", 1)):
        _send(client, "ProdProductionOrderRouteCard", content)

    d365.clock.set(NOW_US + 60 * S)
    d365.wake()

    external = [d.external_id for d in d365.book.documents if d.kind == "confirmation"]
    assert (external[:2], len(external[2])) == (["p-1", "p-1"], 64)
    assert list(duplicates(d365.book)["external_ids"]) == ["p-1"]


def test_a_message_is_all_or_nothing(client, d365):
    content = _card("1000020", 1)
    content["RouteCardLines"].append({"GoodQuantity": 500, "OperationNumber": 10})
    _send(client, "ProdProductionOrderRouteCard", content)

    d365.clock.set(NOW_US + 60 * S)

    assert _states(client)[0][1] == "Failed"
    assert not d365.book.documents


def test_every_type_is_booked(client, d365):
    _send(client, "ProdProductionOrderStart", {"ProductionOrderNumber": "1000020", "StartedDate": "2026-03-10"})
    _send(client, "ProdProductionOrderRouteCard", _card("1000020", 5))
    pick = {"ItemNumber": "STEEL", "ConsumptionBOMQuantity": 1.25, "BOMUnitSymbol": "kg", "OperationNumber": 10}
    _send(client, "ProdProductionOrderPickingList", {"ProductionOrderNumber": "1000020", "PickingListLines": [pick]})
    card = {"OperationNumber": 10, "Hours": 1.5, "OperationsResourceId": "TURN"}
    _send(client, "ProdProductionOrderRouteCard", {"ProductionOrderNumber": "1000020", "RouteCardLines": [card]})
    line = {
        "ReportedGoodQuantity": 3,
        "ReportedErrorQuantity": 1,
        "ItemBatchNumber": "P1",
        "InventoryStatusId": "Quality",
    }
    finished = {"ProductionOrderNumber": "1000020", "ReportFinishedLines": [line | {"ToOperationNumber": 10}]}
    _send(client, "ProdProductionOrderReportFinished", finished)
    away = {"ItemNumber": "PUMP", "InventoryQuantity": 2, "InventoryUnitSymbol": "PC", "ItemBatchNumber": "P1"}
    places = {"SourceWarehouseId": "FG01", "DestinationWarehouseId": "FG02", "SourceInventoryStatusId": "Quality"}
    moved = away | places | {"SourceInventorySiteId": "1010", "DestinationInventoryStatusId": "Available"}
    _send(client, "InventoryTransfer", {"PostingId": "t-1", "TransferJournalLines": [moved]})
    _send(client, "ProdProductionOrderEnd", {"ProductionOrderNumber": "1000020", "EndedDate": "2026-03-10"})
    _send(client, "ProdProductionOrderRouteCard", _card("1000020", 6))

    d365.clock.set(NOW_US + 60 * S)

    assert [state for _, state, _ in _states(client)] == ["Processed"] * 7 + ["Failed"]
    assert [d.kind.value for d in d365.book.documents] == [
        "order status",
        "confirmation",
        "goods movement",  # backflush
        "goods movement",
        "activity",
        "confirmation",  # of what failed, as it was reported with what was finished
        "goods movement",  # its backflush
        "goods movement",  # receipt
        "goods movement",  # transfer
        "order status",
    ]
    assert {(s["storage_location"], s["stock_type"], s["quantity"]) for s in stocks(d365.book) if s["lot"] == "P1"} == {
        ("FG01", "quality", 1_000),
        ("FG02", "unrestricted", 2_000),
    }
    assert d365.book.withdrawn["1000020", "STEEL"] == 2_500 + 1_250 + 500


@pytest.mark.parametrize(
    "change",
    [
        {"_messageQueue": "X"},
        {"_messageType": "X"},
        {"_messageContent": {}},
        {"_messageContent": "x"},
        {"_messageContent": "{}"},
    ],
)
def test_what_cannot_be_read_is_refused_at_once(client, change):
    body = {
        "_companyId": "USMF",
        "_messageQueue": "JmgMES3P",
        "_messageType": "ProdProductionOrderEnd",
        "_messageContent": json.dumps({"ProductionOrderNumber": "1"}),
    }

    assert client.post(f"{SERVICE}/SendMessage", body | change).status == 400


def test_a_page_that_is_no_number_is_refused(client):
    assert client.get(f"{SERVICE}/Messages?after=x").status == 400


def test_what_is_queued_survives_a_restart(tmp_path):
    path = tmp_path / "erp.sqlite"
    first, d365 = world("d365", path=path)
    _send(Client(d365, {}).token("/oauth2/v2.0/token"), "ProdProductionOrderRouteCard", _card("1000020", 3))
    first.ledger.close()

    d365 = world("d365", path=path, now_us=NOW_US + 60 * S)[1]
    d365.wake()

    assert d365.book.confirmed["1000020", "0010", "yield"] == 3_000


def test_a_message_that_was_given_up_is_processed_when_a_person_queues_it_again(client, d365):
    d365.schedule.profile = FaultProfile(rates={"message_fails": 1.0})
    for order in ("1000020", "1000021"):
        for _ in range(4):
            _send(client, "ProdProductionOrderRouteCard", _card(order, 1))
    d365.clock.set(NOW_US + 600 * S)
    d365.wake()
    failed = [m.number for m in d365.book.messages.values() if m.state == "Failed"]
    assert failed

    for number in failed:
        d365.again(number, d365.clock.now_us())
    d365.wake()

    assert {state for _, state, _ in _states(client)} == {"Processed"}
