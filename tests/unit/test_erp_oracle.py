"""Oracle Fusion's protocol: errors inside a 201, no reading back, work orders instead (M32)."""

import pytest

from dataflows.erp_simulator.faults import FaultProfile
from tests.erp_world import Client, body_of, world

ROOT = "/fscmRestApi/resources/11.13.18.05"
FINE = {
    "OrganizationCode": "1010",
    "WorkOrderNumber": "1000020",
    "WoOperationSequenceNumber": 10,
    "TransactionDate": "2026-03-10T08:00:00+00:00",
    "TransactionNote": "note-1",
    "TransactionQuantity": 10,
    "TransactionUnitOfMeasure": "EA",
    "FromDispatchState": "READY",
    "ToDispatchState": "COMPLETE",
}


@pytest.fixture
def oracle():
    return world("oracle")[1]


@pytest.fixture
def client(oracle):
    return Client(oracle)


def _post(client, *details, resource="operationTransactions", name="OperationTransactionDetail"):
    body = {"SourceSystemCode": "PLANTSYNC", "SourceSystemType": "EXTERNAL", name: list(details)}
    said = client.post(f"{ROOT}/{resource}", body)
    return said.status, body_of(said)


def test_a_completion_is_booked(client, oracle):
    status, said = _post(client, FINE)

    assert (status, said["ErrorsExistFlag"]) == (201, "false")
    assert said["OperationTransactionDetail"][0]["TransactionId"] == "0000000001/00000001"
    assert oracle.book.confirmed["1000020", "0010", "yield"] == 10_000


def test_errors_are_inside_a_201_and_the_rest_is_booked(client, oracle):
    status, said = _post(client, FINE, FINE | {"WorkOrderNumber": "2000000"}, FINE | {"ToDispatchState": "SCRAP"})
    details = said["OperationTransactionDetail"]

    assert (status, said["ErrorsExistFlag"]) == (201, "true")
    assert [d["ErrorsExistFlag"] for d in details] == ["false", "true", "false"]
    assert details[1]["ErrorMessageNames"] == "WIE_WORK_ORDER_NOT_RELEASED"
    assert oracle.book.confirmed["1000020", "0010", "scrap"] == 10_000


def test_a_completion_is_taken_back_by_quantity(client, oracle):
    _post(client, FINE)
    back = FINE | {"FromDispatchState": "COMPLETE", "ToDispatchState": "READY", "TransactionQuantity": 4}

    _, said = _post(client, back, back | {"TransactionQuantity": 7})

    assert [d["ErrorsExistFlag"] for d in said["OperationTransactionDetail"]] == ["false", "true"]
    assert oracle.book.confirmed["1000020", "0010", "yield"] == 6_000
    assert oracle.book.withdrawn["1000020", "STEEL"] == 3_000


def test_a_detail_with_a_wrong_material_books_nothing(client, oracle):
    material = {"InventoryItemNumber": "GOLD", "TransactionTypeCode": "MATERIAL_ISSUE", "TransactionQuantity": 1}

    _, said = _post(client, FINE | {"MaterialTransactionDetail": [material]})

    assert said["OperationTransactionDetail"][0]["ErrorMessageNames"] == "INV_ITEM_INVALID"
    assert not oracle.book.documents


def test_material_is_issued_by_lot(client, oracle):
    issue = {
        "WorkOrderNumber": "1000020",
        "WoOperationSequenceNumber": 10,
        "InventoryItemNumber": "RESIN",
        "TransactionTypeCode": "MATERIAL_ISSUE",
        "TransactionQuantity": 2.5,
        "TransactionUnitOfMeasure": "KG",
        "SubinventoryCode": "RM01",
        "TransactionLot": [{"LotNumber": "R1", "TransactionQuantity": 2.5}],
    }
    wrong = issue | {"TransactionLot": [{"LotNumber": "R1", "TransactionQuantity": 2}]}

    _, said = _post(client, issue, wrong, resource="materialTransactions", name="MaterialTransactionDetail")

    assert [d["ErrorsExistFlag"] for d in said["MaterialTransactionDetail"]] == ["false", "true"]
    assert oracle.book.withdrawn["1000020", "RESIN"] == 2_500


def test_resource_hours_are_booked(client, oracle):
    hours = {
        "WorkOrderNumber": "1000020",
        "WoOperationSequenceNumber": 10,
        "ResourceCode": "OPERATOR",
        "TransactionQuantity": 0.5,
        "TransactionUnitOfMeasure": "HR",
    }

    _post(client, hours, resource="resourceTransactions", name="ResourceTransactionDetail")

    assert oracle.book.documents[0].details["quantity"] == 500


def test_transactions_cannot_be_read(client):
    assert client.get(f"{ROOT}/operationTransactions").status == 405
    assert client.get(f"{ROOT}/operationTransactions/1").status == 405


STAGED = {
    "OrganizationName": "1010",
    "TransactionTypeName": "Subinventory Transfer",
    "TransactionMode": "1",
    "SourceCode": "PLANTSYNC",
    "SourceHeaderId": 7,
    "SourceLineId": 1,
    "TransactionReference": "t-1",
    "TransactionDate": "2026-03-10",
    "ItemNumber": "RESIN",
    "TransactionQuantity": 2.5,
    "TransactionUnitOfMeasure": "KG",
    "SubinventoryCode": "RM01",
    "TransferSubinventory": "RM1Q",
    "UseCurrentCostFlag": "true",
    "lotItemLots": [{"LotNumber": "R1", "TransactionQuantity": 2.5}],
}


def _items(client, resource, condition=""):
    return body_of(client.get(f"{ROOT}/{resource}?q={condition}"))["items"]


def test_a_staged_transfer_is_gone_when_it_is_processed(client, oracle):
    said = client.post(f"{ROOT}/inventoryStagedTransactions", STAGED)

    assert (said.status, body_of(said)["ErrorCode"]) == (201, None)
    assert _items(client, "inventoryStagedTransactions") == []
    (row,) = _items(client, "inventoryCompletedTransactions", "Reference='t-1'")
    assert (row["SubinventoryCode"], row["TransferSubinventory"]) == ("RM01", "RM1Q")
    assert oracle.book.stocks["RESIN", "1010", "RM1Q", "R1", "quality"] == 2_500


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ItemNumber": "GOLD"}, "INV_ITEM_INVALID"),
        ({"TransferSubinventory": "RM01"}, "JBO-25009"),
        ({"lotItemLots": [{"LotNumber": "R1", "TransactionQuantity": 2}]}, "JBO-25009"),
        ({"TransactionDate": "2026-04-10"}, "INV_PERIOD_NOT_OPEN"),
    ],
)
def test_a_staged_transfer_that_cannot_be_processed_stays_with_its_error(client, oracle, change, code):
    said = client.post(f"{ROOT}/inventoryStagedTransactions", STAGED | change)

    assert (said.status, body_of(said)["ErrorCode"]) == (201, code)
    (row,) = _items(client, "inventoryStagedTransactions", "SourceCode='PLANTSYNC';SourceHeaderId=7")
    assert row["ErrorCode"] == code
    assert not oracle.book.documents
    line = f"{ROOT}/inventoryStagedTransactions/{row['TransactionInterfaceId']}"
    assert [client.ask("DELETE", line).answer.status for _ in range(2)] == [204, 404]
    assert _items(client, "inventoryStagedTransactions") == []


@pytest.mark.parametrize(
    "change", [{"SourceHeaderId": "7"}, {"SourceHeaderId": 2**63}, {"TransactionMode": "3"}, {"OrganizationName": ""}]
)
def test_a_line_that_is_no_line_is_not_staged(client, change):
    assert client.post(f"{ROOT}/inventoryStagedTransactions", STAGED | change).status == 400
    assert _items(client, "inventoryStagedTransactions") == []


def test_a_history_tells_details_by_their_note(client):
    _post(client, FINE, FINE | {"ToDispatchState": "SCRAP"}, FINE | {"TransactionNote": "other"})

    rows = _items(client, "workOrderTransactionHistory", "TransactionNote='note-1'")

    assert [row["ToDispatchState"] for row in rows] == ["COMPLETE", "SCRAP"]
    assert [row["TransactionId"] for row in rows] == ["0000000001/00000001", "0000000001/00000002"]
    assert client.get(f"{ROOT}/workOrderTransactionHistory").status == 400


@pytest.mark.parametrize("query", ["limit=x", "offset=-1", "q=WorkOrderNumber>1", "q=Colour=red"])
def test_work_orders_are_asked_for_properly(client, query):
    assert client.get(f"{ROOT}/workOrders?{query}").status == 400


def test_nothing_stops_a_copy_but_the_work_order_shows_it(client, oracle):
    _post(client, FINE)
    _post(client, FINE)

    (row,) = body_of(client.get(f"{ROOT}/workOrders?q=WorkOrderNumber='1000020';OrganizationCode=1010"))["items"]

    assert row["Operation"][0]["CompletedQuantity"] == 20
    assert len(oracle.book.by_external["note-1"]) == 2


def test_a_partial_answer_loses_one_detail(client, oracle):
    oracle.schedule.profile = FaultProfile(rates={"partial": 1.0})

    _, said = _post(client, FINE, FINE, FINE)

    assert [d["ErrorMessageNames"] for d in said["OperationTransactionDetail"]].count("WIE_UNEXPECTED_ERROR") == 1
    assert oracle.book.confirmed["1000020", "0010", "yield"] == 20_000


@pytest.mark.parametrize(("depth", "words"), [(22, "entries are needed"), (24, "nested deeper than 24")])
def test_depth_is_bounded(client, depth, words):
    said = client.post(f"{ROOT}/operationTransactions", b'{"x":' + b"[" * depth + b"]" * depth + b"}")

    assert (said.status, words in body_of(said)["detail"]) == (400, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"OperationTransactionDetail": []}', b"{" * 100])
def test_what_cannot_be_read_is_a_400(client, body):
    assert client.post(f"{ROOT}/operationTransactions", body).status == 400
