"""Quantities reach each ERP to the thousandth, and no answer however strange is taken for more than it says."""

import json
from datetime import date
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from sinks.erp import d365_payload, oracle_payload, sap_batch, sap_payload, sap_replies
from sinks.erp.amounts import DECIMAL_13_3_MAX, decimal, duration, edm_date
from sinks.erp.connection import Reply
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import ERP_SETTINGS
from tests.conformance.erp_places import issue, movement, posting

HTTP = {"base_url": "https://erp.example.com", "user": "me", "password": "s"}
SAP = ERP_SETTINGS.validate_python({"kind": "sap", **HTTP})
ORACLE = ERP_SETTINGS.validate_python({"kind": "oracle", **HTTP})
OAUTH = {"token_url": "https://login.example.com/t", "client_id": "c", "client_secret": "s"}
D365 = ERP_SETTINGS.validate_python(
    {"kind": "d365", "base_url": "https://d.example.com", "oauth": OAUTH, "company": "USMF", "rework": "error"}
)
THOUSANDTHS = st.integers(0, 10**15)
FITTING = st.integers(0, DECIMAL_13_3_MAX)


def exact(text):
    """A document's numbers as decimals: nothing is rounded by reading it."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@given(st.integers(-(10**18), 10**18))
@example(-1)
@example(-999)
def test_a_decimal_is_exact(value):
    assert Decimal(decimal(value)) * 1000 == value


@given(FITTING, FITTING, FITTING)
@example(DECIMAL_13_3_MAX, 1, 999)
def test_quantities_for_sap_are_exact(good, scrap, rework):
    body = sap_payload.confirmation(posting("1", good=good, scrap=scrap, rework=rework), SAP)
    sent = [body[f"Confirmation{name}Quantity"] for name in ("Yield", "Scrap", "Rework")]
    assert [Decimal(text) * 1000 for text in sent] == [good, scrap, rework]
    document = sap_payload.material_document(issue("1", movement("261", quantity=good)), SAP)
    assert Decimal(document["to_MaterialDocumentItem"]["results"][0]["QuantityInEntryUnit"]) * 1000 == good


@given(THOUSANDTHS, THOUSANDTHS)
@example(10**15, 10**15 - 1)
def test_quantities_for_oracle_and_dynamics_are_exact(good, scrap):
    sent = posting("1", good=good, scrap=scrap)
    resource, details = oracle_payload.details(sent, ORACLE)
    told = exact(oracle_payload.request(resource, details, ORACLE))[resource[1]]
    assert {d["ToDispatchState"]: d["TransactionQuantity"] * 1000 for d in told} == {
        state: quantity for state, quantity in (("COMPLETE", good), ("SCRAP", scrap)) if quantity
    }
    if good or scrap:
        (line,) = exact(d365_payload.message(sent, D365)[1])["RouteCardLines"]
        assert (line["GoodQuantity"] * 1000, line["ErrorQuantity"] * 1000) == (good, scrap)


@given(st.integers(0, 10**12), st.sampled_from([("SEC", 10**6), ("MIN", 60 * 10**6), ("HUR", 3600 * 10**6)]))
def test_a_duration_is_the_nearest_thousandth(micros, unit):
    code, unit_us = unit
    assert abs(duration(micros, code) * unit_us - micros * 1000) * 2 <= unit_us


@given(st.dates(date(1900, 1, 1)))
def test_a_day_is_its_midnight_in_utc(day):
    days, rest = divmod(int(edm_date(day)[6:-2]), 86_400_000)
    assert (date(1970, 1, 1).toordinal() + days, rest) == (day.toordinal(), 0)


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "sap-message", "content-type", "x-csrf-token"]), st.text(max_size=30)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "d",
                    "results",
                    "error",
                    "code",
                    "message",
                    "value",
                    "innererror",
                    "errordetails",
                    "severity",
                    "ConfirmationGroup",
                    "MaterialDocument",
                    "ConfirmationEntryDate",
                    "ConfirmationEntryTime",
                    "CreationDate",
                    "to_ProdnOrdConfMatlDocItm",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())
STATUS = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 423, 429, 500, 503])


@given(STATUS, HEADERS, JSON | st.binary(max_size=60))
@example(302, {}, b'{"error": {"code": "M7/021"}}')
@example(400, {}, b'{"error": {}}')
def test_what_sap_answers_is_never_taken_for_more_than_it_says(status, headers, body):
    reply = Reply(status, headers, body, {})
    answer = sap_replies.answer_of_write(reply, SAP)
    if isinstance(answer, Answer):
        assert (answer.outcome is Outcome.ACCEPTED) <= (200 <= status < 300 and bool(answer.document))
        assert (answer.outcome is Outcome.REJECTED) <= (400 <= status < 500 and bool(answer.code))
        assert answer.outcome is not Outcome.CANNOT_TELL
    assert sap_replies.answer_of_read(reply).outcome not in {Outcome.ACCEPTED, Outcome.REJECTED, Outcome.IN_DOUBT}
    sap_replies.rows(body)


BODIES = st.lists(JSON, min_size=1, max_size=5)


@given(BODIES)
def test_a_batch_has_a_changeset_for_each_request(bodies):
    parts = [sap_batch.Part("X", {"a": "b c'd"}, {"RequestID": f"{n}"}, body) for n, body in enumerate(bodies)]
    content_type, whole = sap_batch.encoded(parts)
    # The reader of replies reads requests as well, once their first lines look like those of replies.
    as_replies = whole.replace(b"POST X?a=b%20c'd HTTP/1.1", b"HTTP/1.1 201 Created")
    found = sap_batch.parsed(Reply(202, {"content-type": content_type}, as_replies, {}), len(parts))
    assert [(reply.status, reply.body) for reply in found] == [(201, body) for body in bodies]
    assert [reply.headers["requestid"] for reply in found] == [part.headers["RequestID"] for part in parts]
    assert sap_batch.parsed(Reply(202, {"content-type": content_type}, as_replies, {}), len(parts) + 1) is None


@given(BODIES, st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=10))
def test_a_broken_reply_to_a_batch_is_whole_or_nothing(bodies, at, length, instead):
    parts = [sap_batch.Part("X", {}, {}, body) for body in bodies]
    content_type, whole = sap_batch.encoded(parts)
    whole = whole.replace(b"POST X HTTP/1.1", b"HTTP/1.1 201 Created")
    broken = whole[:at] + instead + whole[at + length :]
    found = sap_batch.parsed(Reply(202, {"content-type": content_type}, broken, {}), len(parts))
    assert found is None or len(found) == len(parts)
