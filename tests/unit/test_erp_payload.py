"""What a posting becomes in each ERP's own words (M13, M17, M25, M32)."""

import json
from datetime import date
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from canonical.contracts.posting import PostingKind
from canonical.contracts.reference import StockType
from sinks.erp import d365_payload, oracle_payload, sap_payload, transfers
from sinks.erp.drop import file_name
from sinks.erp.settings import ERP_SETTINGS
from sinks.erp.transfers import transfer as transfer_of
from sinks.erp.unmappable import Unmappable
from tests.conformance.erp_places import issue, movement, posting, receipt, reversal, transfer

FIXTURES = Path(__file__).parents[3] / "shared/fixtures/sap"
KEY = UUID("0123abcd-4567-5890-abcd-ef0123456789")
HTTP = {"base_url": "https://erp.example.com", "user": "me", "password": "s"}
SAP = ERP_SETTINGS.validate_python({"kind": "sap", **HTTP, "plant_time_zones": {"1010": "Europe/Berlin"}})
ORACLE = ERP_SETTINGS.validate_python(
    {
        "kind": "oracle",
        **HTTP,
        "units": {"H87": "Ea"},
        "subinventories": {"quality": {"FG01": "FG01Q"}},
        "organizations": {"1010": "Plant 1010"},
    }
)
OAUTH = {"token_url": "https://login.example.com/t", "client_id": "c", "client_secret": "s"}
D365 = ERP_SETTINGS.validate_python(
    {
        "kind": "d365",
        "base_url": "https://d.example.com",
        "oauth": OAUTH,
        "company": "USMF",
        "rework": "error",
        "inventory_statuses": {"quality": "QI"},
        "transfer_message": "Move",
    }
)
RELEASE = transfer("321", lot="L1", stock_type="quality", storage_location="FG01", to_storage_location="WH02")
ROUTE_CARD = {"OperationNumber": 10, "ConsumptionDate": "2026-03-02", "OperationsResourceId": "PRESS-1"}


def fixture(name):
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"{path} is not there: SAP's real payloads are no part of the project")
    return json.loads(path.read_text("utf-8"))


def told(value):
    """As it travels."""
    return json.loads(orjson.dumps(value))


CONFIRMATION = {
    "OrderID": "000001000020",
    "Sequence": "0",
    "OrderOperation": "0010",
    "Plant": "1010",
    "WorkCenter": "PRESS-1",
    "FinalConfirmationType": "X",
    "IsFinalConfirmation": True,
    "ExternalSystemConfirmation": "0123abcd-4567-5890-abcd-ef0123456789",
    "PostingDate": "/Date(1772409600000)/",
    "ConfirmationText": "L1",
    "ConfirmedExecutionStartDate": "/Date(1772409600000)/",
    "ConfirmedExecutionStartTime": "PT12H50M00S",
    "ConfirmedExecutionEndDate": "/Date(1772409600000)/",
    "ConfirmedExecutionEndTime": "PT13H00M00S",
    "ConfirmationUnit": "PC",
    "ConfirmationYieldQuantity": "12.345",
    "ConfirmationScrapQuantity": "0.001",
    "ConfirmationReworkQuantity": "0.000",
    "VarianceReasonCode": "0003",
    "OpWorkQuantityUnit2": "MIN",
    "OpConfirmedWorkQuantity2": "1.500",
}


def test_a_confirmation_for_sap():
    sent = posting("1000020", posting_id=KEY, scrap=1, reason="0003", final=True)
    assert told(sap_payload.confirmation(sent, SAP)) == CONFIRMATION


def test_a_confirmation_has_no_field_that_sap_has_not():
    real = fixture("prod_order_confirmation_full_fieldset.json")["ProductionOrderConfirmation"]
    full = posting("1", setup_us=1, labour_us=1, final=True, reason="1", rework=1)
    assert set(sap_payload.confirmation(full, SAP)) <= set(real)
    created = fixture("prod_order_confirmation_create.json")["ProductionOrderConfirmation"]
    # What a real client sends travels as text too; it leaves out the leading zeros.
    same = sap_payload.confirmation(posting("1000020", good=200_000), SAP)
    for name in ("Sequence", "ConfirmationYieldQuantity", "ConfirmationScrapQuantity"):
        assert isinstance(created[name], str)
        assert float(created[name]) == float(same[name])
    assert created["OrderID"] == same["OrderID"].lstrip("0")


def test_an_item_has_no_field_that_sap_has_not():
    (real,) = fixture("material_document_item_601.json")["message"]
    transfer = issue("1", movement("321", to_storage_location="WH02")).model_copy(
        update={"kind": PostingKind.STOCK_TRANSFER}
    )
    reserved = issue("1", movement("261", reservation="77", reservation_item="1", lot="R1"))
    for sent in (reserved, receipt("1"), transfer):
        body = sap_payload.material_document(sent, SAP)
        for item in body["to_MaterialDocumentItem"]["results"]:
            assert set(item) <= set(real)
            assert {type(value) for value in item.values()} == {str}


def test_goods_for_sap():
    sent = issue("1000020", movement("261", quantity=410, unit="KGM", material="RAW-1", lot="R1"), posting_id=KEY)
    assert sap_payload.material_document(sent, SAP) == {
        "GoodsMovementCode": "03",
        "PostingDate": "/Date(1772409600000)/",
        "DocumentDate": "/Date(1772409600000)/",
        "ReferenceDocument": "0123ABCD45675890",
        "MaterialDocumentHeaderText": "ABCDEF0123456789",
        "to_MaterialDocumentItem": {
            "results": [
                {
                    "Material": "RAW-1",
                    "Plant": "1010",
                    "StorageLocation": "RM01",
                    "Batch": "R1",
                    "GoodsMovementType": "261",
                    "EntryUnit": "KG",
                    "QuantityInEntryUnit": "0.410",
                    "MaterialDocumentItemText": "0123abcd-4567-5890-abcd-ef0123456789",
                    "ManufacturingOrder": "000001000020",
                }
            ]
        },
    }
    inspected = movement("101", stock_type=StockType.QUALITY)
    (item,) = sap_payload.material_document(receipt("7").model_copy(update={"movements": (inspected,)}), SAP)[
        "to_MaterialDocumentItem"
    ]["results"]
    assert (item["GoodsMovementRefDocType"], item["ManufacturingOrderItem"]) == ("F", "1")
    assert item["InventoryStockType"] == "02"


def test_the_posting_day_is_a_day_whatever_the_zone():
    """A night of changing clocks, and the last of a month: the day of the shift is sent as it is (M41)."""
    for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 12, 31), date(1969, 12, 31)):
        body = sap_payload.confirmation(posting("1", posting_date=day), SAP)
        ms = int(body["PostingDate"][6:-2])
        assert date(1970, 1, 1).toordinal() + ms / 86_400_000 == day.toordinal()


def test_times_are_those_of_the_plants_wall_clock():
    """02:30 comes twice in the night of 25 October, and not at all in that of 29 March."""
    for instant_us, time in (
        (1_792_888_200_000_000, "PT02H30M00S"),
        (1_792_891_800_000_000, "PT02H30M00S"),
        (1_774_746_000_000_000, "PT03H00M00S"),
    ):
        body = sap_payload.confirmation(posting("1", start_us=instant_us, end_us=instant_us), SAP)
        assert body["ConfirmedExecutionEndTime"] == time
        elsewhere = sap_payload.confirmation(posting("1", start_us=0, end_us=instant_us, erp_plant="2020"), SAP)
        assert elsewhere["ConfirmedExecutionStartTime"] == "PT00H00M00S"


def test_which_activity_is_which_is_configured():
    settings = ERP_SETTINGS.validate_python(
        {
            "kind": "sap",
            **HTTP,
            "activities": [None, {"time": "labour", "unit": "HUR"}, {"time": "setup", "unit": "SEC"}],
        }
    )
    body = sap_payload.confirmation(posting("1", labour_us=5_400_000_000, setup_us=1_234_567, machine_us=9), settings)
    works = {name: value for name, value in body.items() if "WorkQuantity" in name}
    assert works == {
        "OpWorkQuantityUnit2": "H",
        "OpConfirmedWorkQuantity2": "1.500",
        "OpWorkQuantityUnit3": "S",
        "OpConfirmedWorkQuantity3": "1.235",
    }


def test_parameters_of_functions_are_literals():
    parameters = sap_payload.cancel_confirmation(reversal(posting("1", posting_id=KEY)), "0000000012/00000003")
    assert parameters["ConfirmationGroup"] == "'0000000012'"
    assert parameters["PostingDate"] == "datetime'2026-03-02T00:00:00'"
    assert parameters["ExternalSystemConfirmation"].startswith("guid'")
    assert sap_payload.literal("O'Neill") == "'O''Neill'"


def test_a_confirmation_for_oracle():
    sent = posting("WO-1", posting_id=KEY, scrap=1, rework=2_000, reason="R")
    resource, details = oracle_payload.details(sent, ORACLE)
    body = json.loads(oracle_payload.request(resource, details, ORACLE))
    assert resource == ("operationTransactions", "OperationTransactionDetail")
    assert (body["SourceSystemCode"], body["SourceSystemType"]) == ("PLANTSYNC", "EXTERNAL")
    moves = [(d["FromDispatchState"], d["ToDispatchState"], d["TransactionQuantity"]) for d in body[resource[1]]]
    assert moves == [("READY", "COMPLETE", 12.345), ("READY", "SCRAP", 0.001), ("READY", "REJECT", 2.0)]
    assert [d.get("ReasonCode") for d in body[resource[1]]] == [None, "R", "R"]
    first = body[resource[1]][0]
    assert (first["WoOperationSequenceNumber"], first["TransactionUnitOfMeasure"]) == (10, "Ea")
    assert (first["TransactionNote"], first["TransactionDate"]) == (str(KEY), "2026-03-02T12:00:00+00:00")
    back = json.loads(oracle_payload.request(resource, oracle_payload.details(reversal(sent), ORACLE)[1], ORACLE))
    moves = [(d["FromDispatchState"], d["ToDispatchState"]) for d in back[resource[1]]]
    assert moves == [("REJECT", "READY"), ("SCRAP", "READY"), ("COMPLETE", "READY")]


def test_what_oracle_has_no_word_for_is_refused():
    with pytest.raises(Unmappable, match="311"):
        oracle_payload.details(issue("1", movement("311")), ORACLE)
    with pytest.raises(Unmappable, match="quality"):
        oracle_payload.details(issue("1", movement("101", stock_type=StockType.QUALITY)), ORACLE)


def test_messages_for_dynamics():
    sent = posting("P-1", posting_id=KEY, scrap=1_000, rework=500, final=True, setup_us=1_800_000_000)
    kind, content = d365_payload.message(sent, D365)
    assert kind == "ProdProductionOrderRouteCard"
    assert json.loads(content) == {
        "ProductionOrderNumber": "P-1",
        "PostingId": str(KEY),
        "RouteCardLines": [
            {**ROUTE_CARD, "TaskType": "Setup", "Hours": 0.5},
            {
                **ROUTE_CARD,
                "TaskType": "Process",
                "Hours": 0.025,
                "GoodQuantity": 12.345,
                "ErrorQuantity": 1.5,
                "ErrorCause": "None",
                "OperationCompleted": "Yes",
            },
        ],
    }
    setup, process = json.loads(d365_payload.message(reversal(sent), D365)[1])["RouteCardLines"]
    assert (setup["Hours"], process["Hours"], process["GoodQuantity"]) == (-0.5, -0.025, -12.345)
    assert process["OperationCompleted"] == "No"
    kind, content = d365_payload.message(reversal(issue("P-1")), D365)
    assert kind == "ProdProductionOrderPickingList"
    assert json.loads(content)["PickingListLines"][0]["ConsumptionBOMQuantity"] == -0.41
    assert d365_payload.message(posting("P-1", good=0, machine_us=0), D365) is None
    refusing = D365.model_copy(update={"rework": "refuse"})
    with pytest.raises(Unmappable, match="rework"):
        d365_payload.message(sent, refusing)
    with pytest.raises(Unmappable, match="order"):
        d365_payload.message(posting(""), D365)


def test_stock_for_dynamics():
    kind, content = d365_payload.message(receipt("P-1", posting_id=KEY, stock_type="quality"), D365)
    assert kind == "ProdProductionOrderReportFinished"
    (line,) = json.loads(content)["ReportFinishedLines"]
    assert line == {
        "LineNumber": 1,
        "ItemNumber": "FG-1",
        "ProductionType": "MainItem",
        "ReportedGoodQuantity": 5.0,
        "AutomaticRouteConsumptionRule": "Never",
        "ExecutedDateTime": "2026-03-02T12:00:00Z",
        "ReportAsFinishedDate": "2026-03-02",
        "ItemBatchNumber": "L1",
        "ProductionSiteId": "1010",
        "ProductionWarehouseId": "FG01",
        "InventoryStatusId": "QI",
    }
    (plain,) = json.loads(d365_payload.message(reversal(receipt("P-1")), D365)[1])["ReportFinishedLines"]
    assert (plain["ReportedGoodQuantity"], "InventoryStatusId" in plain) == (-5.0, False)
    kind, content = d365_payload.message(RELEASE, D365)
    assert (kind, json.loads(content)["PostingId"]) == ("Move", str(RELEASE.posting_id))
    (line,) = json.loads(content)["TransferJournalLines"]
    assert line == {
        "LineNumber": 1,
        "ItemNumber": "FG-1",
        "ItemBatchNumber": "L1",
        "InventoryQuantity": 1.0,
        "InventoryUnitSymbol": "H87",
        "TransactionDate": "2026-03-02",
        "SourceInventorySiteId": "1010",
        "SourceWarehouseId": "FG01",
        "SourceInventoryStatusId": "QI",
        "DestinationInventorySiteId": "1010",
        "DestinationWarehouseId": "WH02",
        "DestinationInventoryStatusId": "",
    }
    (back,) = json.loads(d365_payload.message(reversal(RELEASE), D365)[1])["TransferJournalLines"]
    assert (back["SourceWarehouseId"], back["DestinationInventoryStatusId"]) == ("WH02", "QI")


def test_stock_for_oracle():
    _, details = oracle_payload.details(receipt("1", stock_type="quality"), ORACLE)
    assert [detail["SubinventoryCode"] for detail in details] == ["FG01Q"]
    assert [detail["TransactionLot"] for detail in told(details)] == [[{"LotNumber": "L1", "TransactionQuantity": 5.0}]]
    staged = json.loads(oracle_payload.staged(RELEASE, transfer_of(RELEASE), ORACLE))
    assert staged == {
        "OrganizationName": "Plant 1010",
        "TransactionTypeName": "Subinventory Transfer",
        "TransactionMode": "1",
        "SourceCode": "PLANTSYNC",
        "SourceHeaderId": RELEASE.posting_id.int >> 65,
        "SourceLineId": 1,
        "TransactionReference": str(RELEASE.posting_id),
        "TransactionDate": "2026-03-02T12:00:00+00:00",
        "ItemNumber": "FG-1",
        "TransactionQuantity": 1.0,
        "TransactionUnitOfMeasure": "Ea",
        "SubinventoryCode": "FG01Q",
        "TransferSubinventory": "WH02",
        "UseCurrentCostFlag": "true",
        "lotItemLots": [{"LotNumber": "L1", "TransactionQuantity": 1.0}],
    }
    assert staged["SourceHeaderId"] < 2**63
    same = transfer("321", stock_type="unrestricted", storage_location="FG01", to_storage_location="FG01")
    with pytest.raises(Unmappable, match="source and target"):
        oracle_payload.staged(same, transfer_of(same), ORACLE)


def test_an_oracle_that_receives_with_the_last_operation_gets_no_receipts():
    discrete = ORACLE.model_copy(update={"receipts": "operation"})
    for sent in (receipt("1"), reversal(receipt("1"))):
        assert oracle_payload.details(sent, discrete)[1] == []
    for sent in (issue("1"), posting("1")):
        assert told(oracle_payload.details(sent, discrete)) == told(oracle_payload.details(sent, ORACLE))
    with pytest.raises(Unmappable, match="last operation"):
        oracle_payload.details(receipt("1", stock_type="quality"), discrete)


def test_a_transfer_taken_back_has_its_ends_changed():
    """Also where its movement type would be another transfer's: what takes back a 322 is no 323."""
    for movement_type in sorted(transfers.TYPES):
        sent = transfer(movement_type, stock_type="quality", storage_location="A", to_storage_location="B")
        there, back = transfer_of(sent), transfer_of(reversal(sent))
        assert (there.source, there.target) == (back.target, back.source)
        assert there.source == transfers.Place("A", StockType.QUALITY)
    for sent in (issue("1"), receipt("1"), posting("1")):
        assert transfer_of(sent) is transfer_of(reversal(sent)) is None


def test_a_file_is_named_after_its_posting_and_stays_in_its_folder():
    assert file_name(posting("4711", posting_id=KEY, number=12)) == (
        "4711-000000000012-0123abcd_4567_5890_abcd_ef0123456789.json"
    )
    assert "/" not in file_name(posting("../../etc/passwd"))
    names = [file_name(posting("1", number=number)) for number in (2, 10, 999, 1000)]
    assert names == sorted(names)
