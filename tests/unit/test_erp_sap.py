"""SAP's protocol: CSRF, changesets, repeatable requests, two-level acceptance, errors (M25-M27)."""

import json
from pathlib import Path

import pytest

from dataflows.erp_simulator import sap_fields
from dataflows.erp_simulator.faults import FaultProfile
from tests.erp_world import (
    CONFIRMATIONS,
    INSPECTION_LOTS,
    MATERIAL_DOCUMENTS,
    NOW_US,
    ORDERS,
    Client,
    body_of,
    master_data,
    order,
    world,
)

FIXTURES = Path(__file__).parents[3] / "shared/fixtures/sap"
KEY = "11111111-2222-3333-4444-555555555555"
FINE = {
    "OrderID": "1000020",
    "OrderOperation": "0010",
    "ConfirmationYieldQuantity": "10",
    "ConfirmationUnit": "PC",
    "PostingDate": "/Date(1773100800000)/",
    "ExternalSystemConfirmation": KEY,
}
ISSUE = {
    "GoodsMovementType": "261",
    "Material": "RESIN",
    "Plant": "1010",
    "StorageLocation": "RM01",
    "Batch": "R1",
    "EntryUnit": "KG",
    "QuantityInEntryUnit": "1.5",
}
REPEATABLE = {"requestid": "0" * 31 + "A", "repeatabilitycreation": "Tue, 10 Mar 2026 08:00:00 GMT"}


@pytest.fixture
def sap():
    return world()[1]


@pytest.fixture
def client(sap):
    return Client(sap).log_on()


def _error(answer):
    return body_of(answer)["error"]["code"]


def _fixture(name):
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text())


def _batch(*changesets, reads=()):
    """A $batch of changesets (lists of (target, body)) and reads; returns (body, content type)."""
    lines = []
    for target in reads:
        lines += [
            "--b1",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            "",
            f"GET {target} HTTP/1.1",
            "",
            "",
        ]
    for number, requests in enumerate(changesets):
        lines += ["--b1", f"Content-Type: multipart/mixed; boundary=c{number}", ""]
        for position, (target, body, *headers) in enumerate(requests):
            lines += [
                f"--c{number}",
                "Content-Type: application/http",
                "Content-Transfer-Encoding: binary",
                f"Content-ID: {position}",
                "",
                f"POST {target} HTTP/1.1",
                "Content-Type: application/json",
                *headers,
                "",
                json.dumps(body),
            ]
        lines += [f"--c{number}--", ""]
    return "\r\n".join([*lines, "--b1--", ""]).encode(), "multipart/mixed; boundary=b1"


def test_a_password_is_needed(sap):
    said = Client(sap, {"authorization": "Basic d3Jvbmc6d3Jvbmc="}).get(f"{CONFIRMATIONS}/")

    assert (said.status, said.headers["WWW-Authenticate"]) == (401, 'Basic realm="ERP"')


def test_oauth_does_too(sap):
    client = Client(sap, {}).token("/sap/bc/sec/oauth2/token")

    assert client.get(f"{CONFIRMATIONS}/").status == 200
    assert Client(sap, {}).post("/sap/bc/sec/oauth2/token", b"grant_type=client_credentials&client_id=x").status == 401


@pytest.mark.parametrize("lost", ["x-csrf-token", "cookie"])
def test_a_change_needs_token_and_cookie(client, lost):
    del client.headers[lost]

    said = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)

    assert (said.status, said.headers["x-csrf-token"]) == (403, "Required")


def test_a_session_ends(client, sap):
    sap.clock.set(NOW_US + 1801 * 10**6)
    assert client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE).status == 403

    assert client.log_on().post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE).status == 201


def test_a_confirmation_is_created_and_found(client):
    said = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE | {"to_ProdnOrdConfMatlDocItm": {"results": [ISSUE]}})
    made = body_of(said)["d"]
    assert said.status == 201
    assert (made["ConfirmationGroup"], made["ConfirmationCount"]) == ("0000000001", "00000001")
    assert made["ConfirmationYieldQuantity"] == "10"
    assert made["PostingDate"] == "/Date(1773100800000)/"
    assert json.loads(said.headers["sap-message"])["severity"] == "success"

    found = body_of(client.get(f"{CONFIRMATIONS}/ProdnOrdConf2?$filter=ExternalSystemConfirmation%20eq%20guid'{KEY}'"))
    (row,) = found["d"]["results"]
    key = "ConfirmationGroup='0000000001',ConfirmationCount='00000001'"
    items = body_of(client.get(f"{CONFIRMATIONS}/ProdnOrdConf2({key})/to_ProdnOrdConfMatlDocItm"))["d"]["results"]

    assert row["ConfirmationGroup"] == "0000000001"
    assert [(i["MaterialDocument"], i["GoodsMovementType"], i["QuantityInEntryUnit"]) for i in items] == [
        ("4900000001", "261", "1.5")
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"OrderID": "9"}, "CO/017"),
        ({"OrderID": "2000000"}, "BS/013"),
        ({"OrderID": "2000003"}, "BS/007"),
        ({"OrderOperation": "0090"}, "RU/012"),
        ({"ConfirmationYieldQuantity": "500"}, "RU/254"),
        ({"PostingDate": "/Date(1767225600000)/"}, "M7/053"),
        ({"ConfirmationYieldQuantity": 10}, "/IWBEP/CM_MGW_RT/019"),
        ({"ConfirmationYieldQuantity": "0.0001"}, "/IWBEP/CM_MGW_RT/019"),
        ({"PostingDate": "10.03.2026"}, "/IWBEP/CM_MGW_RT/019"),
        ({"Yield": "1"}, "/IWBEP/CM_MGW_RT/019"),
    ],
)
def test_errors_have_saps_form(client, changes, code):
    said = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE | changes)
    error = body_of(said)["error"]

    assert said.status == 400
    assert (error["code"], error["message"]["lang"]) == (code, "en")
    assert error["innererror"]["errordetails"][0]["code"] == code


def test_a_second_copy_without_request_id_is_refused(client, sap):
    client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)

    assert _error(client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)) == "RU/363"
    assert len(sap.book.documents) == 2  # the confirmation and its backflush


def test_a_repeated_request_id_gets_the_first_answer(client, sap):
    first = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE, **REPEATABLE)
    again = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE, **REPEATABLE)

    assert first.headers["RepeatabilityResult"] == "accepted"
    assert (again.status, again.body, again.headers) == (first.status, first.body, dict(first.headers))
    assert len(sap.book.documents) == 2
    sap.clock.set(NOW_US + 7 * 3600 * 10**6)
    assert _error(client.log_on().post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE, **REPEATABLE)) == "/IWBEP/CM_COS/005"


def test_a_refused_request_may_be_repeated_with_its_id(client, sap):
    sap.book.record("lock", {"order": "1000020", "user": "SMITH", "until_us": NOW_US + 1})
    assert _error(client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE, **REPEATABLE)) == "CO/469"
    sap.clock.set(NOW_US + 1)

    assert client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE, **REPEATABLE).status == 201


def test_a_confirmation_is_cancelled(client, sap):
    client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)

    said = client.post(
        f"{CONFIRMATIONS}/CancelProdnOrdConf?ConfirmationGroup='0000000001'&ConfirmationCount='00000001'"
        f"&PostingDate=datetime'2026-03-10T00:00:00'&ExternalSystemConfirmation=guid'{KEY[:-1]}6'"
    )

    assert (said.status, body_of(said)["d"]["IsReversal"]) == (200, True)
    original = body_of(client.get(f"{CONFIRMATIONS}/ProdnOrdConf2?$filter=OrderID%20eq%20'1000020'"))["d"]["results"][0]
    assert original["IsReversed"] is True
    assert sap.book.confirmed["1000020", "0010", "yield"] == 0


def test_a_changeset_is_all_or_nothing_and_the_batch_is_202_anyway(client, sap):
    good = ("ProdnOrdConf2", FINE)
    bad = ("ProdnOrdConf2", FINE | {"OrderID": "9", "ExternalSystemConfirmation": KEY[:-1] + "6"})
    body, kind = _batch([good, bad], [good], reads=["ProdnOrdConf2?$top=5"])

    said = client.post(f"{CONFIRMATIONS}/$batch", body, content_type=kind)
    text = said.body.decode()

    assert said.status == 202
    assert said.type.startswith("multipart/mixed; boundary=")
    assert [line for line in text.split("\r\n") if line.startswith("HTTP/1.1")] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 400 Bad Request",
        "HTTP/1.1 201 Created",
    ]
    assert "Content-ID: 0" in text
    assert [d.external_id for d in sap.book.documents] == [KEY, ""]


def test_request_ids_count_inside_a_changeset(client, sap):
    headers = [f"RequestID: {REPEATABLE['requestid']}", "RepeatabilityCreation: 2026-03-10T08:00:00Z"]
    body, kind = _batch([("ProdnOrdConf2", FINE, *headers)])

    answers = [client.post(f"{CONFIRMATIONS}/$batch", body, content_type=kind).body.decode() for _ in range(2)]

    assert all("201 Created" in answer and "RepeatabilityResult: accepted" in answer for answer in answers)
    assert len(sap.book.documents) == 2


def test_a_read_inside_a_changeset_or_a_write_outside_one_is_refused(client):
    outside = b"--b1\r\nContent-Type: application/http\r\n\r\nPOST ProdnOrdConf2 HTTP/1.1\r\n\r\n{}\r\n--b1--\r\n"

    said = client.post(f"{CONFIRMATIONS}/$batch", outside, content_type="multipart/mixed; boundary=b1")

    assert said.status == 400


@pytest.mark.parametrize("body", [b"", b"--b1--", b"--b1\r\n\r\nx", b"--b1\r\n\r\nnonsense\r\n--b1--\r\n"])
def test_a_malformed_batch_is_refused(client, body):
    assert client.post(f"{CONFIRMATIONS}/$batch", body, content_type="multipart/mixed; boundary=b1").status == 400


def test_a_partial_batch_loses_one_changeset(client, sap):
    sap.schedule.profile = FaultProfile(rates={"partial": 1.0})
    two = [[("ProdnOrdConf2", FINE | {"ExternalSystemConfirmation": KEY[:-1] + str(n)})] for n in range(3)]
    body, kind = _batch(*two)

    text = client.post(f"{CONFIRMATIONS}/$batch", body, content_type=kind).body.decode()

    assert text.count("HTTP/1.1 201") == 2
    assert text.count("HTTP/1.1 500") == 1
    assert len(sap.book.by_external) == 2


def test_goods_movements_fail_after_the_confirmation_was_accepted(client, sap):
    sap.schedule.profile = FaultProfile(rates={"movement_fails": 1.0}, movement_fails_after_s=60)
    said = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)
    assert said.status == 201
    assert body_of(said)["d"]["to_ProdnOrdConfMatlDocItm"]["results"][0]["MaterialDocument"] == ""

    sap.clock.set(NOW_US + 60 * 10**6)
    key = "ConfirmationGroup='0000000001',ConfirmationCount='00000001'"
    later = client.get(f"{CONFIRMATIONS}/ProdnOrdConf2({key})")
    (failed,) = body_of(client.get(f"{CONFIRMATIONS}/ProdnOrdConfFailedGdsMvt"))["d"]["results"]

    message = json.loads(later.headers["sap-message"])
    assert (message["severity"], message["details"][0]["code"]) == ("warning", "M3/024")
    assert (failed["MessageClass"], failed["MessageNumber"], failed["OrderID"]) == ("M3", "024", "1000020")


def test_material_documents_are_created_found_and_cancelled(client, sap):
    body = {
        "GoodsMovementCode": "03",
        "PostingDate": "2026-03-10T00:00:00",
        "ReferenceDocument": "REF-1",
        "to_MaterialDocumentItem": [ISSUE | {"ManufacturingOrder": "1000020"}],
    }
    said = client.post(f"{MATERIAL_DOCUMENTS}/A_MaterialDocumentHeader", body)
    assert (said.status, body_of(said)["d"]["MaterialDocument"]) == (201, "4900000001")

    rows = body_of(client.get(f"{MATERIAL_DOCUMENTS}/A_MaterialDocumentItem?$filter=ManufacturingOrder eq '1000020'"))
    assert rows["d"]["results"][0]["QuantityInBaseUnit"] == "1.5"
    assert body_of(client.get(f"{MATERIAL_DOCUMENTS}/A_MaterialDocumentHeader?$filter=ReferenceDocument eq 'REF-1'"))
    wrong = client.get(f"{MATERIAL_DOCUMENTS}/A_MaterialDocumentHeader?$filter=ManufacturingOrder eq '1000020'")
    assert wrong.status == 400  # on the item only (DOMAIN 3.7)
    cancelled = client.post(f"{MATERIAL_DOCUMENTS}/Cancel?MaterialDocumentYear='2026'&MaterialDocument='4900000001'")
    assert cancelled.status == 200
    asked = "ReversedMaterialDocument eq '4900000001' and ReversedMaterialDocumentYear eq '2026'"
    (reversal,) = body_of(client.get(f"{MATERIAL_DOCUMENTS}/A_MaterialDocumentItem?$filter={asked}"))["d"]["results"]
    assert (reversal["MaterialDocument"], reversal["GoodsMovementType"]) == ("4900000002", "262")
    assert sap.book.withdrawn["1000020", "RESIN"] == 0


def test_a_usage_decision_and_its_stock_posting_go_in_one_changeset(client, sap):
    client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)
    receipt = {
        "GoodsMovementType": "101",
        "Material": "PUMP",
        "Batch": "L1",
        "ManufacturingOrder": "1000020",
        "GoodsMovementRefDocType": "F",
        "QuantityInEntryUnit": "10",
    }
    body = {"GoodsMovementCode": "02", "to_MaterialDocumentItem": {"results": [receipt]}}
    client.post(f"{MATERIAL_DOCUMENTS}/A_MaterialDocumentHeader", body)
    (lot,) = body_of(client.get(f"{INSPECTION_LOTS}/A_InspectionLot?$filter=Batch eq 'L1'"))["d"]["results"]
    decision = {"InspectionLot": lot["InspectionLot"], "InspectionLotUsageDecisionCode": "A"}
    posting = {
        "InspectionLot": lot["InspectionLot"],
        "InspLotQtyPosted": "10",
        "InspLotMatlDocItmQtyUnit": "PC",
        "UsageDecisionStockType": "01",
    }

    batch, kind = _batch([("A_InspLotUsageDecision", decision), ("A_InspLotMatlDocItem", posting)])
    said = client.post(f"{INSPECTION_LOTS}/$batch", batch, content_type=kind).body.decode()

    assert said.count("201 Created") == 2
    stock = {key[4]: n for key, n in sap.book.stocks.items() if key[0] == "PUMP" and n}
    assert stock == {"unrestricted": 10_000}
    assert body_of(client.get(f"{INSPECTION_LOTS}/A_InspLotUsageDecision('{lot['InspectionLot']}')"))


def test_orders_are_read(client):
    client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)

    row = body_of(client.get(f"{ORDERS}/A_ProductionOrder_2('1000020')?$expand=to_ProductionOrderOperation"))["d"]
    released = body_of(client.get(f"{ORDERS}/A_ProductionOrder_2?$filter=OrderIsReleased eq true"))["d"]["results"]

    assert row["to_ProductionOrderOperation"]["results"][0]["OpTotalConfirmedYieldQty"] == "10"
    assert [r["ManufacturingOrder"] for r in released] == ["1000020", "1000021"]


def test_movements_are_proposed(client):
    said = client.get(
        f"{CONFIRMATIONS}/GetGdsMvtProposal?OrderID='1000020'&OrderOperation='0010'&Sequence='0'"
        "&ConfirmationYieldQuantity=10M"
    )

    assert [(r["Material"], r["QuantityInEntryUnit"]) for r in body_of(said)["d"]["results"]] == [("STEEL", "5")]


def test_pages_are_bounded(client):
    for n in range(3):
        client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE | {"ExternalSystemConfirmation": KEY[:-1] + str(n)})

    page = body_of(client.get(f"{CONFIRMATIONS}/ProdnOrdConf2?$top=2&$inlinecount=allpages"))["d"]

    assert (len(page["results"]), page["__count"]) == (2, "3")


@pytest.mark.parametrize(
    "query", ["$skip=x", "$top=-1", "$top=9999999999", "$filter=OrderID gt '1'", "$filter=Colour eq 'red'"]
)
def test_queries_that_are_not_understood_are_refused(client, query):
    client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)

    assert client.get(f"{CONFIRMATIONS}/ProdnOrdConf2?{query}").status == 400


def test_headers_are_ascii_whatever_the_materials_name():
    data = master_data(negative_stock_allowed=False)
    sap = world(data=data)[1]
    sap.book.record("master data", {"materials": [{"material": "STÄHL-鉄", "base_unit": "KGM"}]})
    issue = ISSUE | {"Material": "STÄHL-鉄", "Batch": ""}

    said = Client(sap).log_on().post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE | {"to_ProdnOrdConfMatlDocItm": [issue]})

    assert said.headers["sap-message"].isascii()
    assert "STÄHL-鉄" in json.loads(said.headers["sap-message"])["details"][0]["message"]


def test_a_service_may_be_asked_for_by_version_and_by_head(client):
    versioned = CONFIRMATIONS + ";v=0002"

    assert client.post(f"{versioned}/ProdnOrdConf2", FINE).status == 201
    assert client.ask("HEAD", f"{versioned}/", x_csrf_token="Fetch").answer.headers["x-csrf-token"]


def test_the_public_create_payload_is_accepted():
    payload = _fixture("prod_order_confirmation_create.json")["ProductionOrderConfirmation"]
    data = master_data(orders=(order("1000020", plant="0001", planned_thousandths=200_000),))
    sap = world(data=data)[1]

    said = Client(sap).log_on().post(f"{CONFIRMATIONS}/ProdnOrdConf2", payload)

    assert said.status == 201, said.body
    assert sap.book.confirmed["1000020", "", "yield"] == 200_000


def test_every_field_of_the_public_payloads_is_known():
    confirmation = _fixture("prod_order_confirmation_full_fieldset.json")["ProductionOrderConfirmation"]
    items = confirmation.pop("MaterialMovements")
    document = _fixture("material_document_item_601.json")["message"][0]

    assert set(confirmation) <= sap_fields.CONFIRMATION
    assert set(items) <= sap_fields.CONFIRMATION_ITEM
    assert set(document) <= sap_fields.MATERIAL_DOCUMENT_ITEM
