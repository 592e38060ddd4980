"""The story of an order, a posting and a document: all of what the log holds of it, and nothing else (M34, M38)."""

from __future__ import annotations

from contextlib import closing
from uuid import UUID

import pytest

from canonical.contracts import (
    Action,
    ActionKind,
    BusinessException,
    ComponentUsage,
    ExceptionCode,
    Owner,
    Posting,
    Receipt,
    ReceiptStatus,
    Resolution,
    Severity,
    Unposted,
    UnpostedState,
)
from canonical.posting_wire import encode_exception, encode_posting, encode_unposted, encode_usage
from canonical.receipt_wire import encode_receipt
from canonical.wire import encode_confirmations, encode_events
from dataflows.cli.explain import _lines
from dataflows.settings import load
from dataflows.story import HOPS, NothingKnown, story
from sinks.commit_log import Record
from sinks.sqlite import SqliteLog
from sinks.streams import ACTIONS, CONFIRMATIONS, EVENTS, EXCEPTIONS, RECEIPTS, UNPOSTED, USAGE, postings
from tests.property.erp_twin import posting

DROP = '[erps.E.adapter]\nkind = "drop"\nfolder = "in"\nacknowledgements = "ack"\n'
S = 1_000_000


def uuid(number: int) -> UUID:
    return UUID(int=number)


def confirmation(number: int, order: str, first: int, last: int) -> list[Record]:
    row = {
        "posting_id": str(uuid(number)),
        "plant": "A",
        "source": "press",
        "session": "b1",
        "first_seq": first,
        "last_seq": last,
        "order": order,
        "good": 1000,
        "events": last - first + 1,
        "first_occurred_us": S,
        "last_occurred_us": 2 * S,
        "first_offset": 0,
        "last_offset": 9,
        "posting_date": "2026-11-02",
        "close_reason": "count",
    }
    return [Record(CONFIRMATIONS, *m) for m in encode_confirmations({k: [v] for k, v in row.items()}, 3 * S)]


def event(seq: int) -> Record:
    rows = {"plant": ["A"], "source": ["scale"], "seq": [seq], "type": ["consume"], "occurred_us": [S]}
    (message,) = encode_events({**rows, "schema_version": [2]}, 2 * S)
    return Record(EVENTS, *message)


def queued(made: Posting) -> Record:
    return Record(postings("E"), *encode_posting(made, made.model_dump_json().encode(), 4 * S))


def receipt(of: Posting, status: ReceiptStatus, document: str, at_s: int) -> Record:
    values = {
        **{name: getattr(of, name) for name in ("posting_id", "kind", "erp", "lane", "plant", "order")},
        "status": status,
        "document": document,
        "attempts": 2,
        "occurred_us": 2 * S,
        "enqueued_us": 4 * S,
        "first_sent_us": 5 * S,
        "sent_us": 6 * S,
        "committed_us": 7 * S,
        "answered_us": at_s * S,
    }
    return Record(RECEIPTS, *encode_receipt(Receipt(**values)))


def used(order: str, actual: int) -> Record:
    about = {"erp": "E", "plant": "A", "order": order, "item": "0010", "material": "STEEL", "unit": "KGM"}
    amounts = {"planned": 1_500, "actual": actual, "difference": actual - 1_500}
    return Record(USAGE, *encode_usage(ComponentUsage(**about, **amounts, changed_us=8 * S), 9 * S))


def not_posted(number: int, state: UnpostedState) -> Record:
    about = {"cause": str(uuid(number)), "kind": "confirmation", "plant": "A", "at_us": 3 * S}
    why = "" if state is UnpostedState.WAITING else "operation 0010 of order O3 is counted by scale, not by press"
    return Record(UNPOSTED, *encode_unposted(Unposted(state=state, why=why, **about), 3 * S))


@pytest.fixture
def settings(tmp_path):
    scale = event(5)
    event_id = dict(scale.headers)["ce_id"].decode()
    first = posting("O1", 0, causes=(str(uuid(1)), event_id), end_us=2 * S)
    second = posting("O1", 1, causes=(str(uuid(2)),))
    other = posting("O2", 0, causes=(str(uuid(3)),))
    exception = BusinessException(
        exception_id=uuid(99),
        code=ExceptionCode.ERP_REJECTED,
        owner=Owner.INTEGRATION_SUPPORT,
        severity=Severity.FINANCIAL,
        erp="E",
        plant="A",
        order="O1",
        message="no",
        waiting=1,
        posting_id=str(second.posting_id),
        opened_us=8 * S,
        changed_us=8 * S,
    )
    ended = exception.model_copy(update={"resolution": Resolution.REPROCESSED, "changed_us": 9 * S})
    about = {"exception_id": str(uuid(99)), "actor": "anna", "reason": "mended", "at_us": 9 * S}
    action = Action(action_id=uuid(7), kind=ActionKind.REPROCESS, **about)
    records = [
        *confirmation(1, "O1", 0, 9),
        *confirmation(2, "O1", 10, 19),
        *confirmation(3, "O2", 20, 29),
        *confirmation(4, "O1", 30, 39),
        scale,
        event(6),
        *map(queued, (first, second, other)),
        receipt(first, ReceiptStatus.ACCEPTED, "4900/1", 8),
        receipt(first, ReceiptStatus.MOVED, "5000/1", 9),
        receipt(second, ReceiptStatus.REJECTED, "", 8),
        *(Record(EXCEPTIONS, *encode_exception(each, 9 * S)) for each in (exception, ended)),
        Record(ACTIONS, b"x", action.model_dump_json().encode()),
        *(used("O1", actual) for actual in (1_000, 1_250)),
        used("O2", 7),
        *confirmation(5, "O3", 40, 49),
        *(not_posted(5, state) for state in (UnpostedState.WAITING, UnpostedState.NOT_COUNTED)),
        queued(posting("O3", 0, causes=(str(uuid(5)),))),
    ]
    (tmp_path / "plantsync.toml").write_text('landing = "l"\nplants = ["shipped:plant_a"]\n' + DROP)
    found = load(tmp_path / "plantsync.toml")
    found.log.path.parent.mkdir()
    with closing(SqliteLog(found.log.path)) as log:
        log.restore("test")
        log.commit("test", "", {}, records)
    return found


def test_an_order_has_its_postings_its_exceptions_and_what_is_not_posted_yet(settings):
    told = story(settings, "O1").told()
    assert [(u["item"], u["planned"], u["actual"]) for u in told["usage"]] == [("0010", 1_500, 1_250)]  # M18
    assert "order O1, component 0010, STEEL: 1.5 KGM planned, 1.25 issued, -0.25" in [*_lines(told)]

    assert [(p["number"], p["status"], p["document"]) for p in told["postings"]] == [
        (0, "moved", "4900/1"),
        (1, "rejected", ""),
    ]
    assert [(c["first_seq"], c["last_seq"]) for c in told["unposted"]] == [(30, 39)]
    assert [(e["code"], e["resolution"]) for e in told["exceptions"]] == [("ERP_REJECTED", "reprocessed")]
    assert [a["reason"] for a in told["actions"]] == ["mended"]


def test_what_others_count_is_told_with_its_reason_though_it_ended_its_operation(settings):
    told = story(settings, "O3").told()
    assert [(row["state"], row["first_seq"]) for row in told["unposted"]] == [("not-counted", 40)]
    (line,) = (line for line in _lines(told) if line.startswith("not posted"))
    assert line.startswith(
        "not posted, not-counted, operation 0010 of order O3 is counted by scale, not by press: 10 events"
    )


def test_a_posting_has_its_sources_and_every_hop(settings):
    (told,) = story(settings, "4900").told()["postings"]

    assert [(c["source"], c["session"], c["first_seq"], c["last_seq"]) for c in told["confirmations"]] == [
        ("press", "b1", 0, 9),
    ]
    assert [(e["source"], e["seq"]) for e in told["events"]] == [("scale", 5)]
    assert told["hops_us"] == dict(zip(HOPS, [2 * S, 3 * S, 4 * S, 5 * S, 6 * S, 7 * S, 9 * S], strict=True))
    assert [r["status"] for r in told["receipts"]] == ["accepted", "moved"]


def test_a_document_its_movement_a_confirmation_and_the_posting_tell_the_same(settings):
    (of_order, _) = story(settings, "O1").postings
    for name in ("4900/1", "4900", "5000/1", "5000", of_order["posting_id"], str(uuid(1))):
        assert story(settings, name).postings == [of_order]


def test_what_is_not_posted_is_told_too(settings):
    told = story(settings, str(uuid(4)))

    assert told.postings == []
    assert [c["posting_id"] for c in told.unposted] == [str(uuid(4))]


def test_another_plants_order_is_another(settings):
    assert story(settings, "O2", "A").postings
    for name, plant in (("O2", "B"), ("nothing", "")):
        with pytest.raises(NothingKnown, match=name):
            story(settings, name, plant)
