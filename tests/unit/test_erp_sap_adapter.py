"""What SAP systems answer that the simulator does not (M26, M30)."""

import json

from sinks.erp import sap_replies
from sinks.erp.adapters import open_adapter
from sinks.erp.connection import Reply
from sinks.erp.port import Outcome
from sinks.erp.settings import ERP_SETTINGS
from tests.conformance.erp_places import issue
from tests.unit.test_erp_connection import plain, serving

SETTINGS = {"kind": "sap", "user": "me", "password": "s"}


def header(number, reverses):
    items = {"results": [{"ReversedMaterialDocument": reverses}]}
    return {"MaterialDocument": number, "MaterialDocumentYear": "2026", "to_MaterialDocumentItem": items}


def found(*headers):
    """What is found of a goods issue, where these material documents carry its references."""
    body = json.dumps({"d": {"results": headers}}).encode()
    with serving(plain("HTTP/1.1 200 OK\r\nContent-Type: application/json", body)) as server:
        adapter = open_adapter(ERP_SETTINGS.validate_python({**SETTINGS, "base_url": server.url}))
        answer = adapter.find(issue("1"))
        adapter.close()
        return answer


def test_a_cancellation_that_carries_its_originals_references_is_not_the_original():
    original, cancellation = header("4900000001", ""), header("4900000002", "4900000001")
    assert found(cancellation, original).document == "4900000001/2026"
    assert found(cancellation) is None


def test_the_code_is_that_of_the_first_real_error_among_the_details():
    details = [
        {"code": "RU/100", "message": "saved", "severity": "info"},
        {"code": "/IWBEP/CX_MGW_BUSI_EXCEPTION", "message": "an error", "severity": "error"},
        {"code": "M7/021", "message": "Deficit", "severity": "error"},
    ]
    error = {"code": "/IWBEP/CX_MGW_BUSI_EXCEPTION", "message": {"value": "an error"}}
    body = json.dumps({"error": {**error, "innererror": {"errordetails": details}}}).encode()
    settings = ERP_SETTINGS.validate_python({**SETTINGS, "base_url": "https://sap.example.com"})
    answer = sap_replies.answer_of_write(Reply(400, {}, body, {}), settings)
    assert (answer.outcome, answer.code, answer.message) == (Outcome.REJECTED, "M7/021", "Deficit")


def test_an_error_in_xml_is_read_too():
    body = b'<error xmlns="x"><code>M3/024</code><message xml:lang="en">Material is locked</message></error>'
    settings = ERP_SETTINGS.validate_python({**SETTINGS, "base_url": "https://sap.example.com"})
    answer = sap_replies.answer_of_write(Reply(400, {}, body, {}), settings)
    assert (answer.outcome, answer.code, answer.message) == (Outcome.LOCKED, "M3/024", "Material is locked")


def test_the_instant_of_a_document_is_that_of_the_erps_zone():
    noon_berlin = sap_replies.instant_us("/Date(1772409600000)/", "PT13H00M00S", "Europe/Berlin")
    assert noon_berlin == 1_772_452_800_000_000
    assert sap_replies.instant_us("/Date(1772409600000)/", None, "UTC") is None
    assert sap_replies.instant_us("/Date(999999999999999)/", "PT1H", "UTC") is None
