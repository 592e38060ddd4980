"""What every ERP adapter keeps, against the real simulator process (M24-M27, M30, M32)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from sinks.erp.port import Answer, Outcome
from tests.conformance.erp_places import (
    NUMBERS,
    PLACES,
    RAW,
    Simulator,
    issue,
    posting,
    receipt,
    reversal,
    transfer,
)

ACCEPTED, REJECTED, IN_DOUBT, UNAVAILABLE = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.IN_DOUBT, Outcome.UNAVAILABLE
MADE = {posting: {"yield": 12_345}, issue: {"261": 410}, receipt: {"101": 5_000}}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("erp"), PLACES, simulated=True)
    yield simulator
    simulator.stop()


@pytest.fixture(params=PLACES)
def erp(request, simulator):
    place = PLACES[request.param](simulator)
    yield place
    place.close()


def for_those(*traits, **wanted):
    """Make a test one for the ERPs that have these traits, and none for the others."""
    wanted = dict.fromkeys(traits, True) | wanted
    kinds = [
        kind for kind, place in PLACES.items() if all(getattr(place, trait) is value for trait, value in wanted.items())
    ]
    assert kinds
    return pytest.mark.parametrize("erp", kinds, indirect=True)


def for_each(faults):
    """Make a test one for each ERP and each of its faults of this name."""
    cases = [(kind, fault) for kind, place in PLACES.items() for fault in getattr(place, faults)]
    return pytest.mark.parametrize(("erp", "fault"), cases, indirect=["erp"])


def settled(erp, adapter, sent, answer):
    """The last word on a posting: that of its processing, where the ERP works later."""
    if not erp.later or answer.outcome is not ACCEPTED:
        return answer
    erp.settle()
    return adapter.movements(sent, answer.document)


def test_a_confirmation_is_made_once_with_its_very_quantities(erp):
    order, adapter = erp.order(), erp.adapter()
    sent = posting(order, good=12_345, scrap=1, rework=20 if erp.rework else 0)
    answer = adapter.send(sent)
    assert answer.outcome is ACCEPTED, answer
    assert answer.document
    expected = {"yield": 12_345, "scrap": 1} | ({"rework": 20} if erp.rework else {})
    assert erp.net(order) == expected
    for document in erp.documents(order):
        assert (document["operation"], document["posting_date"]) == ("0010", "2026-03-02")
    if erp.dated:
        assert abs(answer.committed_us - document["accepted_us"]) < 1_000_000
    assert adapter.find(sent) == answer
    assert settled(erp, adapter, sent, answer).outcome is ACCEPTED


def test_what_was_never_sent_is_not_found(erp):
    assert erp.adapter().find(posting(erp.order())) is None
    assert erp.adapter().find(issue(erp.order())) is None


@pytest.mark.parametrize("make", MADE)
@for_those("idempotent")
def test_the_same_posting_sent_again_makes_no_second_document(erp, make):
    order, adapter = erp.order(), erp.adapter()
    sent = make(order)
    first = adapter.send(sent)
    assert first.outcome is ACCEPTED, first
    assert adapter.send(sent).document == first.document
    assert erp.adapter().send(sent).document == first.document
    assert len(erp.documents(order)) == 1


@pytest.mark.parametrize("make", [issue, receipt])
def test_goods_are_moved_and_found(erp, make):
    order, adapter = erp.order(), erp.adapter()
    sent = make(order)
    answer = adapter.send(sent)
    assert answer.outcome is ACCEPTED, answer
    assert erp.net(order) == MADE[make]
    (document,) = erp.documents(order)
    assert document["posting_date"] == "2026-03-02"
    assert [line["order"] for line in document["lines"]] == [order]
    assert adapter.find(sent).document == answer.document


def test_a_refusal_has_its_code_and_its_words(erp):
    adapter = erp.adapter()
    for order in (erp.order(status="closed"), "8888888"):
        sent = posting(order)
        answer = settled(erp, adapter, sent, adapter.send(sent))
        assert answer.outcome is REJECTED
        assert answer.code
        assert order in answer.message


@for_those("idempotent")
def test_what_was_refused_may_be_sent_again_when_its_cause_is_gone(erp):
    order, adapter = erp.order(status="created"), erp.adapter()
    sent = posting(order)
    assert adapter.send(sent).outcome is REJECTED
    data = next(o for o in erp.ask("GET", "master-data")["orders"] if o["order"] == order)
    erp.ask("PATCH", "master-data", {"orders": [data | {"status": "released"}]})
    assert adapter.send(sent).outcome is ACCEPTED
    assert erp.net(order) == MADE[posting]


def test_a_quantity_or_unit_that_cannot_be_written_is_refused_unsent(erp):
    adapter = erp.adapter()
    if erp.kind == "sap":
        assert adapter.send(posting(erp.order(), good=10**13)).code == "PLANTSYNC/quantity"
        assert adapter.send(posting(erp.order(), unit="5B")).code == "PLANTSYNC/unit"
    if erp.kind in {"oracle", "d365"}:
        assert adapter.send(posting(erp.order(), operation="A")).code == "PLANTSYNC/operation"
        assert adapter.find(posting(erp.order(), operation="A")) is None


@for_those(later=False)  # Who works later waits for the lock to go by itself.
def test_a_locked_order_is_no_refusal(erp):
    order, adapter = erp.order(), erp.adapter()
    erp.ask("POST", "locks", {"order": order})
    sent = posting(order)
    assert adapter.send(sent).outcome is Outcome.LOCKED
    assert adapter.find(sent) is None
    erp.ask("DELETE", "locks")
    assert adapter.send(sent).outcome is ACCEPTED
    assert erp.net(order) == MADE[posting]


@pytest.mark.parametrize(("fault", "outcome"), [("throttled", Outcome.THROTTLED), ("unavailable", UNAVAILABLE)])
@for_those("http")
def test_an_erp_that_takes_nothing_now_names_the_time_to_wait(erp, fault, outcome):
    order, adapter = erp.order(), erp.adapter()
    adapter.send(posting(erp.order()))
    erp.ask("PUT", "profile", {"retry_after_s": 7})
    erp.fault(fault)
    answer = adapter.send(posting(order))
    assert (answer.outcome, answer.retry_after_s) == (outcome, 7)
    assert erp.documents(order) == []


def test_a_look_finds_it_there(erp):
    assert erp.adapter().look().outcome is ACCEPTED


def test_nobody_there_is_unavailable(erp):
    adapter = erp.adapter(**erp.nowhere())
    assert adapter.send(posting("9")).outcome is UNAVAILABLE
    assert adapter.look().outcome is UNAVAILABLE
    if erp.http:
        assert adapter.find(posting("9")).outcome is UNAVAILABLE


@for_each("before")
def test_a_failure_before_the_commit_is_in_doubt_and_then_not_found(erp, fault):
    order, adapter = erp.order(), erp.adapter(**erp.patience(0.5))
    adapter.send(posting(erp.order()))
    erp.fault(fault)
    sent = posting(order)
    assert adapter.send(sent).outcome is IN_DOUBT
    assert adapter.find(sent) is None
    assert adapter.send(sent).outcome is ACCEPTED
    assert erp.net(order) == MADE[posting]


@for_each("after")
@pytest.mark.parametrize("make", [posting, issue])
def test_a_failure_after_the_commit_is_in_doubt_and_then_found(erp, fault, make):
    order, adapter = erp.order(), erp.adapter(**erp.patience(0.5))
    adapter.send(posting(erp.order()))
    erp.fault(fault)
    sent = make(order)
    assert adapter.send(sent).outcome is IN_DOUBT
    found = adapter.find(sent)
    if erp.kind == "drop":
        # Nobody answers for the file; its name makes it harmless to put it there again.
        assert found is None
    else:
        assert found.outcome is ACCEPTED
    if erp.idempotent:
        assert adapter.send(sent).outcome is ACCEPTED
    assert erp.net(order) == MADE[make]


@for_those("http")
def test_a_query_without_an_answer_says_so(erp):
    adapter, sent = erp.adapter(), posting(erp.order())
    adapter.send(sent)
    erp.fault("server_error", path="GET")
    assert adapter.find(sent).outcome is UNAVAILABLE
    assert adapter.find(sent).outcome is ACCEPTED


@for_those("sessions")
def test_an_ended_session_is_renewed_at_once(erp):
    order, adapter = erp.order(), erp.adapter()
    for _ in range(2):
        assert adapter.send(posting(order)).outcome is ACCEPTED
        erp.ask("POST", "expire", {"sessions": True})
    assert len(erp.documents(order)) == 2


@for_those("http")
def test_an_expired_token_is_renewed_at_once(erp):
    order, adapter = erp.order(), erp.adapter(**erp.oauth())
    for _ in range(2):
        assert adapter.send(posting(order)).outcome is ACCEPTED
        erp.ask("POST", "expire", {"tokens": True})
    assert erp.net(order) == {"yield": 2 * 12_345}


@for_those("http")
def test_wrong_credentials_are_told_apart_and_never_shown(erp):
    sent = posting(erp.order())
    adapters = [erp.adapter(**erp.oauth("wr0ng"))]
    if erp.basic:
        adapters.append(erp.adapter(password="wr0ng"))
    for adapter in adapters:
        answer = adapter.send(sent)
        assert answer.outcome is Outcome.UNAUTHORISED
        assert "wr0ng" not in repr(answer) + repr(adapter) + repr(vars(adapter))
        assert adapter.find(sent).outcome is Outcome.UNAUTHORISED
        assert adapter.look().outcome is Outcome.UNAUTHORISED


@pytest.mark.parametrize("make", MADE)
def test_a_reversal_takes_back_exactly_its_original(erp, make):
    order, adapter = erp.order(), erp.adapter()
    original, other = make(order), make(order)
    answers = [adapter.send(original), adapter.send(other)]
    back = reversal(original)
    answer = adapter.send(back)
    assert answer.outcome is ACCEPTED, answer
    assert settled(erp, adapter, back, answer).outcome is ACCEPTED
    assert erp.net(order) == MADE[make]
    if erp.idempotent:
        assert erp.documents(order)[-1]["reverses"] == answers[0].document
        assert adapter.find(back).document == answer.document == erp.documents(order)[-1]["number"]
        assert adapter.find(original).document == answers[0].document
        assert adapter.send(back).document == answer.document
        assert len(erp.documents(order)) == 3


def test_a_reversal_of_what_is_not_there_is_refused(erp):
    order, adapter = erp.order(), erp.adapter()
    back = reversal(posting(order))
    assert settled(erp, adapter, back, adapter.send(back)).outcome is REJECTED
    assert erp.net(order) == {}


def test_many_are_accepted_and_refused_each_by_itself(erp):
    adapter = erp.adapter()
    assert (adapter.many_max > 1) == erp.bulk
    if not erp.bulk:
        order = erp.order()
        assert [answer.outcome for answer in adapter.send_many([posting(order)])] == [ACCEPTED]
        assert erp.net(order) == MADE[posting]
        return
    orders = [erp.order() for _ in range(5)]
    earlier = posting(orders[3])
    adapter.send(earlier)
    erp.ask("POST", "locks", {"order": orders[4]})
    sent = [
        posting(orders[0]),
        posting(erp.order(status="closed")),
        issue(orders[1]),
        posting(orders[2], unit="NAR"),
        reversal(earlier),
        posting(orders[4]),
    ]
    answers = adapter.send_many(sent)
    expected = [ACCEPTED, REJECTED, ACCEPTED, REJECTED, ACCEPTED, Outcome.LOCKED]
    assert [answer.outcome for answer in answers] == expected
    assert answers[0].document == erp.documents(orders[0])[0]["number"]
    assert answers[2].document == erp.documents(orders[1])[0]["number"]
    again = adapter.send_many(sent)
    assert [answer.document for answer in again] == [answer.document for answer in answers]


@for_those("bulk")
def test_many_in_doubt_are_found_one_by_one(erp):
    adapter = erp.adapter(**erp.patience(0.5))
    adapter.send(posting(erp.order()))
    erp.fault("timeout_after")
    sent = [posting(erp.order()) for _ in range(3)]
    assert {answer.outcome for answer in adapter.send_many(sent)} == {IN_DOUBT}
    assert {adapter.find(one).outcome for one in sent} == {ACCEPTED}
    erp.fault("partial")
    mixed = [posting(erp.order()) for _ in range(3)]
    answers = adapter.send_many(mixed)
    for one, answer in zip(mixed, answers, strict=True):
        assert (adapter.find(one) is None) == (answer.outcome is not ACCEPTED)
    assert sorted(answer.outcome for answer in answers) == [ACCEPTED, ACCEPTED, IN_DOUBT]


def test_many_threads_share_an_adapter(erp):
    adapter = erp.adapter()
    orders = [erp.order() for _ in range(40)]

    def send(number):
        if number == 20:
            erp.ask("POST", "expire", {"sessions": True, "tokens": True})
        return adapter.send(posting(orders[number]))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(40)))
    assert {answer.outcome for answer in answers} == {ACCEPTED}
    assert len({answer.document for answer in answers}) == 40
    erp.settle()
    assert all(erp.net(order) == MADE[posting] for order in orders)


def last_word(erp, adapter, sent):
    """What became of a posting that was accepted, in the end."""
    answer = adapter.send(sent)
    assert answer.outcome is ACCEPTED, answer
    assert adapter.find(sent).outcome is ACCEPTED
    erp.settle()
    return adapter.movements(sent, answer.document)


def test_stock_moves_between_places(erp):
    adapter, lot = erp.adapter(), f"M{next(NUMBERS)}"
    adapter.send(receipt(erp.order(), lot=lot))
    sent = transfer("311", lot=lot, storage_location="FG01", to_storage_location="WH02")
    assert last_word(erp, adapter, sent).outcome is ACCEPTED
    (line,) = erp.ask("GET", "documents?limit=5000&kind=goods movement")["rows"][-1]["lines"]
    assert (line["storage_location"], line["receiving_location"], line["quantity"]) == ("FG01", "WH02", 1_000)
    assert erp.stock(lot) == {"unrestricted": 5_000}


@pytest.mark.parametrize(("stock_type", "there"), [("quality", "321"), ("blocked", "343")])
def test_stock_that_waits_is_released_and_the_release_taken_back(erp, stock_type, there):
    adapter, lot = erp.adapter(), f"Q{next(NUMBERS)}"
    assert last_word(erp, adapter, receipt(erp.order(), lot=lot, stock_type=stock_type)).outcome is ACCEPTED
    assert erp.stock(lot) == {stock_type: 5_000}
    line = {"lot": lot, "storage_location": "FG01", "to_storage_location": "FG01", "quantity": 2_000}
    sent = transfer(there, stock_type=stock_type, **line)
    assert last_word(erp, adapter, sent).outcome is ACCEPTED
    assert erp.stock(lot) == {stock_type: 3_000, "unrestricted": 2_000}
    assert last_word(erp, adapter, reversal(sent)).outcome is ACCEPTED
    assert erp.stock(lot) == {stock_type: 5_000}
    onto = transfer(str(int(there) + 1), to_stock_type=stock_type, **line)
    adapter.send(transfer(there, stock_type=stock_type, **line))
    assert last_word(erp, adapter, onto).outcome is ACCEPTED
    assert erp.stock(lot) == {stock_type: 5_000}


@pytest.fixture
def sap(simulator):
    place = PLACES["sap"](simulator)
    yield place
    place.close()


@pytest.fixture
def oracle(simulator):
    place = PLACES["oracle"](simulator)
    yield place
    place.close()


def test_goods_movements_fail_later_and_come_after_all(sap):
    component = {"item": 10, "material": RAW, "required_thousandths": 1000, "unit": "KGM", "operation": "0010"}
    order, adapter = sap.order(components=[component | {"backflush": True}]), sap.adapter()
    plain = posting(order, good=100_000)
    moved = adapter.send(plain)
    assert not moved.follows
    assert adapter.movements(plain, moved.document).outcome is ACCEPTED
    sap.ask("PUT", "profile", {"movement_fails_after_s": 60})
    sap.fault("movement_fails")
    sent = posting(order, good=100_000)
    answer = adapter.send(sent)
    assert (answer.outcome, answer.follows) == (ACCEPTED, True)
    assert adapter.find(sent) == answer
    assert adapter.movements(sent, answer.document) is None
    sap.simulator.advance(61)
    failed = adapter.movements(sent, answer.document)
    assert (failed.outcome, failed.code) == (REJECTED, "M3/024")
    assert RAW in failed.message
    sap.ask("POST", "open-movements", {})
    came = adapter.movements(sent, answer.document)
    assert came.outcome is ACCEPTED
    assert came.document == sap.documents(order)[-1]["number"]


def test_a_request_that_is_remembered_no_more_is_found_by_its_external_key(sap):
    order, adapter = sap.order(), sap.adapter()
    for sent in (posting(order), issue(order)):
        first = adapter.send(sent)
        sap.simulator.advance(7 * 3600)
        assert adapter.send(sent).document == first.document
    assert len(sap.documents(order)) == 2


def test_a_message_that_fails_for_good_is_told(simulator):
    d365 = PLACES["d365"](simulator)
    order, adapter = d365.order(status="created"), d365.adapter()
    sent = posting(order)
    answer = adapter.send(sent)
    assert answer.follows
    assert adapter.movements(sent, answer.document) is None
    assert settled(d365, adapter, sent, answer).outcome is REJECTED
    assert adapter.find(sent) == answer
    blind = d365.adapter(messages_path=None)
    assert not blind.send(posting(d365.order())).follows
    assert blind.find(sent).outcome is Outcome.CANNOT_TELL
    assert blind.movements(sent, answer.document).outcome is Outcome.CANNOT_TELL
    d365.close()


def test_a_posting_that_oracle_books_in_part_is_taken_back(oracle):
    order, adapter = oracle.order(), oracle.adapter()
    sent = posting(order, good=2_000_000, scrap=1_000, rework=3_000)
    answer = adapter.send(sent)
    assert (answer.outcome, answer.code) == (REJECTED, "WIE_OVERCOMPLETION")
    assert oracle.net(order) == {}
    assert len(oracle.documents(order)) == 4
    oracle.fault("partial")
    sent = posting(order, good=2_000, scrap=1_000)
    assert adapter.send(sent).outcome is UNAVAILABLE
    assert oracle.net(order) == {}
    assert adapter.send(sent).outcome is ACCEPTED
    assert oracle.net(order) == {"yield": 2_000, "scrap": 1_000}


DECISION = {"code_group": "UD", "code": "A", "stock_type": "01"}
INSPECTED = {
    "inspection_path": "/sap/opu/odata/sap/API_INSPECTIONLOT_SRV",
    "usage_decisions": {"unrestricted": DECISION},
}


def test_sap_releases_a_batch_by_a_usage_decision(sap):
    adapter, lot = sap.adapter(**INSPECTED), f"U{next(NUMBERS)}"
    place = {"lot": lot, "stock_type": "quality", "storage_location": "FG01", "to_storage_location": "FG01"}
    for _ in range(2):
        adapter.send(receipt(sap.order(), lot=lot, stock_type="quality"))
    first, second, third = (transfer("321", quantity=2_000, **place) for _ in range(3))
    sap.fault("reset_after")  # the decision's answer is lost
    assert adapter.send(first).outcome is IN_DOUBT
    assert adapter.find(first) is None
    answer = adapter.send(first)
    assert answer.outcome is ACCEPTED, answer
    assert adapter.find(first).document == adapter.send(first).document == answer.document
    sap.fault("error_after")  # that of the stock posting
    assert adapter.send(second).outcome is IN_DOUBT
    assert adapter.find(second).outcome is ACCEPTED
    assert [one.outcome for one in adapter.send_many([third, posting(sap.order())])] == [ACCEPTED, ACCEPTED]
    assert sap.stock(lot) == {"quality": 4_000, "unrestricted": 6_000}
    decisions = [row for row in sap.ask("GET", "documents?limit=5000")["rows"] if row["details"].get("batch") == lot]
    assert len(decisions) == 2, "one for each inspection lot"
    back = reversal(first)
    assert adapter.send(back).outcome is ACCEPTED
    assert adapter.find(back).outcome is ACCEPTED
    assert sap.stock(lot) == {"quality": 6_000, "unrestricted": 4_000}
    assert adapter.send(transfer("321", quantity=5_001, **place)).code == "PLANTSYNC/inspection-lot"
    blocked = transfer("350", to_stock_type="blocked", **place)
    assert adapter.send(blocked).code == "PLANTSYNC/usage-decision"


BLIND = {"history_path": None}


@pytest.mark.parametrize("fault", ["server_error", "error_after"])
def test_what_oracle_booked_in_part_and_did_not_take_back_is_asked_for(oracle, fault):
    """The refused detail is refused again; the other one is taken back then, if it is still there."""
    order, adapter = oracle.order(), oracle.adapter()
    oracle.fault(fault, skip=1)
    sent = posting(order, good=2_000_000, scrap=1_000)
    answer = adapter.send(sent)
    assert answer.outcome is IN_DOUBT
    assert oracle.documents(order)[0]["number"] in answer.message
    blind = oracle.adapter(**BLIND).find(sent)
    assert blind is None if fault == "error_after" else blind.outcome is Outcome.CANNOT_TELL
    assert adapter.find(sent) is None
    assert adapter.send(sent).code == "WIE_OVERCOMPLETION"
    assert oracle.net(order) == {}
    assert adapter.find(sent) is None


def test_what_oracle_booked_in_part_is_completed(oracle):
    order, adapter = oracle.order(), oracle.adapter()
    oracle.fault("partial")
    oracle.fault("server_error")
    sent = posting(order, good=2_000, scrap=1_000, rework=500)
    assert adapter.send(sent).outcome is IN_DOUBT
    assert len(oracle.documents(order)) == 2
    again = oracle.adapter()
    assert again.find(sent) is None
    answer = again.send(sent)
    assert answer.outcome is ACCEPTED
    assert oracle.net(order) == {"yield": 2_000, "scrap": 1_000, "rework": 500}
    assert len(oracle.documents(order)) == 3
    assert again.find(sent) == answer


def test_oracle_without_a_history_only_knows_that_nothing_happened(oracle):
    order, adapter = oracle.order(), oracle.adapter(**BLIND)
    for sent in (posting(order), issue(order), receipt(order)):
        assert adapter.find(sent) is None
        assert adapter.send(sent).outcome is ACCEPTED
        assert adapter.find(sent).outcome is Outcome.CANNOT_TELL
    assert adapter.find(reversal(posting(oracle.order()))).outcome is Outcome.CANNOT_TELL


def test_a_transfer_in_oracle_is_staged_once_and_mended(oracle):
    adapter, lot = oracle.adapter(), f"S{next(NUMBERS)}"
    adapter.send(receipt(oracle.order(), lot=lot))
    sent = transfer("311", lot=lot, material="NEW-1", storage_location="FG01", to_storage_location="WH02")
    refused = adapter.send(sent)
    assert (refused.outcome, refused.code) == (REJECTED, "INV_ITEM_INVALID")
    assert adapter.find(sent) == refused
    material = {"material": "NEW-1", "base_unit": "H87"}
    oracle.ask("PATCH", "master-data", {"materials": [material], "lots": [{"material": "NEW-1", "lot": lot}]})
    before = len(oracle.ask("GET", "documents?limit=5000")["rows"])
    for _ in range(2):
        answer = adapter.send(sent)
        assert answer.outcome is ACCEPTED
        assert adapter.movements(sent, answer.document).outcome is ACCEPTED
    assert len(oracle.ask("GET", "documents?limit=5000")["rows"]) == before + 1


def test_a_transfer_that_takes_oracle_too_long_is_processed_later(oracle):
    adapter, lot = oracle.adapter(), f"S{next(NUMBERS)}"
    adapter.send(receipt(oracle.order(), lot=lot))
    sent = transfer("311", lot=lot, storage_location="FG01", to_storage_location="WH02")
    oracle.fault("message_fails")
    assert adapter.send(sent).outcome is IN_DOUBT
    found = adapter.find(sent)
    assert (found.outcome, found.follows) == (ACCEPTED, True)
    assert adapter.movements(sent, found.document) is None
    oracle.simulator.advance(3)
    came = adapter.movements(sent, found.document)
    assert (came.outcome, came.follows) == (ACCEPTED, False)
    assert came == adapter.find(sent)


def test_what_a_setting_has_to_say_is_refused_where_it_does_not(simulator):
    waits = receipt("1", stock_type="quality")
    moved = transfer("311", storage_location="FG01", to_storage_location="WH02")
    oracle, d365 = PLACES["oracle"](simulator), PLACES["d365"](simulator)
    assert oracle.adapter(subinventories={}).send(waits).code == "PLANTSYNC/stock-type"
    assert d365.adapter(inventory_statuses={}).send(waits).code == "PLANTSYNC/stock-type"
    assert d365.adapter(transfer_message=None).send(moved).code == "PLANTSYNC/movement"
    two = moved.model_copy(update={"movements": moved.movements * 2})
    assert {place.adapter().send(two).code for place in (oracle, d365)} == {"PLANTSYNC/movement"}
    oracle.close()
    d365.close()


def test_an_answer_bounds_what_an_erp_may_say():
    answer = Answer(REJECTED, code="c" * 999, message="m" * 9999)
    assert (len(answer.code), len(answer.message)) == (256, 1024)
