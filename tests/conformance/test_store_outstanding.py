"""Views on what is late, what waits and why, and what a lot may be used for (A14, M19, M37, M38)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from canonical.contracts import (
    BusinessException,
    Event,
    LotReference,
    MaterialReference,
    PeriodReference,
    Posting,
    Receipt,
    RouteReference,
    Unposted,
)
from sinks.analytics.store import Store
from tests.store_rows import NOON_US, table

MINUTE_US = 60_000_000
DAY = "2026-09-21"
ENDED = {"resolution": "revalidated", "resolved_us": NOON_US + 90 * MINUTE_US}


def posting(number: int, **fields: Any) -> Posting:
    about = {"posting_id": UUID(int=number), "kind": "confirmation", "erp": "E", "plant": "A", "erp_plant": "1"}
    days = {"posting_date": DAY, "document_date": DAY, "start_us": NOON_US, "end_us": NOON_US}
    return Posting.model_validate({**about, **days, "order": "4711", "number": number, "good": 1000, **fields})


def receipt(
    number: int, status: str = "accepted", minutes: tuple[int, int, int, int, int] = (1, 2, 3, 4, 5)
) -> Receipt:
    names = ("enqueued_us", "first_sent_us", "sent_us", "committed_us", "answered_us")
    at = {name: NOON_US + minute * MINUTE_US for name, minute in zip(names, minutes, strict=True)}
    about = {"posting_id": UUID(int=number), "kind": "confirmation", "erp": "E", "lane": "standard", "plant": "A"}
    return Receipt.model_validate({**about, **at, "status": status, "attempts": 1, "occurred_us": NOON_US})


def exception(number: int, code: str, **fields: Any) -> BusinessException:
    given = {"owner": "plant-supervisor", "severity": "delay", "message": "", "waiting": 1, "opened_us": NOON_US}
    return BusinessException.model_validate(
        {"exception_id": UUID(int=number), "code": code, "changed_us": NOON_US, **given, **fields}
    )


def waits(cause: str, kind: str = "confirmation", **fields: Any) -> Unposted:
    given = {"state": "waiting", "plant": "A", "causes": [cause], "document_date": DAY, "at_us": NOON_US, "good": 2000}
    return Unposted.model_validate({"cause": cause, "kind": kind, **given, **fields})


def known(told: pa.Table) -> pa.Table:
    """Return postings whose envelopes tell when they were known, and enqueued a minute later."""
    count = len(told)
    told = told.append_column("known_us", [[NOON_US + MINUTE_US // 2] * count])
    return told.append_column("enqueued_us", [[NOON_US + MINUTE_US] * count])


@pytest.fixture
def stored(store: Store) -> Store:
    references = [
        RouteReference(changed_us=1, plant="A", erp="E", erp_plant="1"),
        PeriodReference(changed_us=1, erp="E", first="2026-09-16", last="2026-10-15", open=True),
        MaterialReference(changed_us=1, material="M", family="F"),
    ]
    postings = [posting(1), posting(2), posting(3), posting(4), posting(5, kind="reversal", good=400)]
    receipts = [receipt(1), receipt(2, "rejected"), receipt(4, "withdrawn"), receipt(5, minutes=(1, 2, 3, 90, 91))]
    exceptions = [
        exception(1, "ERP_ANSWER_UNKNOWN", posting_id=str(UUID(int=3)), plant="A"),
        exception(2, "ORDER_NOT_RELEASED", plant="A", order="4712"),
        exception(3, "LOT_NOT_VALID", material="M", lot="K", waiting=3),
        exception(4, "PERIOD_CLOSED", erp="E", plant="A", item="2026-07"),
        exception(5, "ORDER_UNKNOWN", plant="A", order="9", **ENDED),
    ]
    unposted = [
        waits("c1", order="4712", operation="0010"),
        waits("c2", order="4713"),
        waits("c3", order="4713", material="M", lot="K"),
        waits("g1", "goods-issue", order="4712", material="N"),
        waits("g2", "goods-issue", order="4713", material="N", document_date=None),
        waits("d1", state="discarded"),
    ]
    events = [
        Event(plant="A", source="q", seq=1, type="release", occurred_us=NOON_US, material="M", lot="L"),
        Event(plant="A", source="q", seq=2, type="hold", occurred_us=NOON_US, material="M", lot="K", reason="R"),
    ]
    tables = {
        "posting": known(table(postings, [1, 2, 3, 4, 5])),
        "receipt": table(receipts, [1, 2, 3, 4]),
        "business_exception": table(exceptions, [1, 2, 3, 4, 5]),
        "unposted": table(unposted, [1, 2, 3, 4, 5, 6]),
        "event": table(events, [1, 2]),
        "lot_reference": table([LotReference(changed_us=1, material="M", lot="J", status="restricted")], [1]),
        **{name: table([row], [1]) for name, row in zip(
            ("route_reference", "period_reference", "material_reference"), references, strict=True
        )},
    }  # fmt: skip
    store.commit("a", "1", tables)
    return store


@pytest.mark.usefixtures("stored")
def test_what_waits_tells_which_exception_concerns_it(answer) -> None:
    rows = answer("SELECT cause, code, erp FROM waiting_case ORDER BY cause")
    assert [tuple(row.values()) for row in rows] == [
        ("c1", "ORDER_NOT_RELEASED", "E"),
        ("c2", "", "E"),
        ("c3", "LOT_NOT_VALID", "E"),
        ("g1", "ORDER_NOT_RELEASED", "E"),
        ("g2", "", "E"),
    ]
    rows = answer("SELECT cause, code, material FROM unmatched_movement ORDER BY cause")
    assert [tuple(row.values()) for row in rows] == [("g1", "ORDER_NOT_RELEASED", "N"), ("g2", "", "N")]


@pytest.mark.usefixtures("stored")
def test_a_period_lacks_what_is_open(answer) -> None:
    (row,) = answer("FROM period_close")
    assert (str(row["first"]), str(row["last"]), row["open"], row["ready"]) == ("2026-09-16", "2026-10-15", True, False)
    counts = ("posted", "queued", "in_doubt", "quarantined", "waiting", "withdrawn")
    assert [row[name] for name in counts] == [2, 0, 1, 4, 2, 1]
    # Posted: one of 1, and 0.4 taken back; open: the rejected and that in doubt, and three cases of 2 each.
    assert (str(row["good"]), str(row["open_good"])) == ("0.600", "8.000")


@pytest.mark.usefixtures("stored")
def test_what_is_late_tells_the_hop(answer) -> None:
    rows = answer(
        "SELECT state, name, hop, hop_s, age_s, code FROM late_postings(240, make_timestamp($since)) ORDER BY ALL",
        {"since": NOON_US},
    )
    answered = [row for row in rows if row["state"] == "answered"]
    assert [(row["name"][-1], row["hop"], row["hop_s"], row["age_s"]) for row in answered] == [
        ("1", "queue", 60, 300),
        ("5", "erp", 87 * 60, 91 * 60),
    ]
    others = {(row["state"], row["name"][-2:], row["hop"], row["code"]) for row in rows if row["state"] != "answered"}
    assert others == {
        ("rejected", "02", "erp", ""),
        ("in-doubt", "03", "erp", "ERP_ANSWER_UNKNOWN"),
        ("waiting", "c1", "decide", "ORDER_NOT_RELEASED"),
        ("waiting", "c2", "decide", ""),
        ("waiting", "c3", "decide", "LOT_NOT_VALID"),
        ("waiting", "g1", "decide", "ORDER_NOT_RELEASED"),
        ("waiting", "g2", "decide", ""),
    }
    assert len(answer("FROM late_posting")) == len(others), "what was answered is of no day that is over"


@pytest.mark.usefixtures("stored")
def test_exceptions_age_and_end(answer) -> None:
    rows = answer("SELECT code, band, exceptions, waiting, mean_s FROM exception_age WHERE resolution <> 'open'")
    assert [tuple(row.values()) for row in rows] == [("ORDER_UNKNOWN", "under 8 hours", 1, 1, 5400.0)]
    (row,) = answer("SELECT sum(exceptions) AS n, sum(waiting) AS w FROM exception_age WHERE resolution = 'open'")
    assert (row["n"], row["w"]) == (4, 6)


@pytest.mark.usefixtures("stored")
def test_a_lot_may_be_used_or_not(answer) -> None:
    rows = answer("SELECT lot, status, word, usable FROM lot_status ORDER BY lot")
    assert [tuple(row.values()) for row in rows] == [
        ("J", "restricted", "", True),
        ("K", None, "hold", False),
        ("L", None, "release", True),
    ]
