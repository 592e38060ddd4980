"""What every ERP adapter keeps, against the real simulator process (M24-M27, M30, M32)."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sinks.erp.port import Answer, Outcome
from tests.conformance.erp_places import PLACES, RAW, Simulator, issue, movement, posting, receipt, reversal

ACCEPTED, REJECTED, IN_DOUBT = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.IN_DOUBT


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("erp"), PLACES)
    yield simulator
    simulator.stop()


@pytest.fixture(params=PLACES)
def erp(request, simulator):
    place = PLACES[request.param](simulator)
    yield place
    place.close()


def test_a_confirmation_becomes_one_document_with_its_very_quantities(erp):
    order, adapter = erp.order(), erp.adapter()
    sent = posting(order, good=12_345, scrap=1, rework=20)
    answer = adapter.send(sent)
    assert answer.outcome is ACCEPTED, answer
    (document,) = erp.documents(order)
    assert answer.document == document["number"]
    assert abs(answer.committed_us - document["accepted_us"]) < 2_000_000
    assert (document["yield_quantity"], document["scrap_quantity"], document["rework_quantity"]) == (12_345, 1, 20)
    assert (document["operation"], document["work_center"], document["posting_date"]) == (
        "0010",
        "PRESS-1",
        "2026-03-02",
    )
    assert adapter.find(sent) == answer


def test_what_was_never_sent_is_not_found(erp):
    assert erp.adapter().find(posting(erp.order())) is None


@pytest.mark.parametrize("make", [posting, issue, receipt])
def test_the_same_posting_sent_again_makes_no_second_document(erp, make):
    order, adapter = erp.order(), erp.adapter()
    sent = make(order)
    first = adapter.send(sent)
    assert first.outcome is ACCEPTED, first
    assert adapter.send(sent).document == first.document
    assert erp.adapter().send(sent).document == first.document
    assert len(erp.documents(order)) == 1


def test_goods_are_issued_received_and_found(erp):
    order, adapter = erp.order(), erp.adapter()
    for sent, expected in ((issue(order), ("261", RAW, 410)), (receipt(order), ("101", "FG-1", 5_000))):
        answer = adapter.send(sent)
        assert answer.outcome is ACCEPTED, answer
        document = erp.documents(order)[-1]
        (line,) = document["lines"]
        assert (line["movement_type"], line["material"], line["entry_quantity"]) == expected
        assert line["order"] == order
        assert adapter.find(sent).document == answer.document == document["number"]


def test_a_refusal_has_its_code_and_its_words(erp):
    adapter = erp.adapter()
    answer = adapter.send(posting(erp.order(status="closed")))
    assert answer.outcome is REJECTED
    assert answer.code
    assert answer.message
    assert adapter.send(posting("8888888")).outcome is REJECTED


def test_a_locked_order_is_no_refusal(erp):
    order, adapter = erp.order(), erp.adapter()
    erp.ask("POST", "locks", {"order": order})
    sent = posting(order)
    assert adapter.send(sent).outcome is Outcome.LOCKED
    erp.ask("DELETE", "locks")
    assert adapter.send(sent).outcome is ACCEPTED


def test_too_many_requests_name_the_time_to_wait(erp):
    order, adapter = erp.order(), erp.adapter()
    adapter.send(posting(order))
    erp.ask("PUT", "profile", {"retry_after_s": 7})
    erp.fault("throttled")
    answer = adapter.send(posting(order))
    assert (answer.outcome, answer.retry_after_s) == (Outcome.THROTTLED, 7)
    assert len(erp.documents(order)) == 1


def test_maintenance_is_certainly_nothing_executed(erp):
    order, adapter = erp.order(), erp.adapter()
    adapter.send(posting(order))
    erp.ask("PUT", "profile", {"retry_after_s": 9})
    erp.fault("unavailable")
    answer = adapter.send(posting(order))
    assert (answer.outcome, answer.retry_after_s) == (Outcome.UNAVAILABLE, 9)
    assert len(erp.documents(order)) == 1


def test_nobody_there_is_unavailable(erp):
    adapter = erp.adapter(base_url="http://127.0.0.1:1/nobody")
    assert adapter.send(posting("9")).outcome is Outcome.UNAVAILABLE
    assert adapter.find(posting("9")).outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize("fault", ["server_error", "bad_gateway", "reset_before"])
def test_a_failure_before_the_commit_is_in_doubt_and_then_not_found(erp, fault):
    order, adapter = erp.order(), erp.adapter()
    adapter.send(posting(order))
    erp.fault(fault)
    sent = posting(order)
    assert adapter.send(sent).outcome is IN_DOUBT
    assert adapter.find(sent) is None
    assert adapter.send(sent).outcome is ACCEPTED
    assert len(erp.documents(order)) == 2


@pytest.mark.parametrize("fault", ["error_after", "reset_after", "timeout_after"])
@pytest.mark.parametrize("make", [posting, issue])
def test_a_failure_after_the_commit_is_in_doubt_and_then_found(erp, fault, make):
    order, adapter = erp.order(), erp.adapter(read_timeout_s=0.5)
    adapter.send(make(order))
    erp.fault(fault)
    sent = make(order)
    answer = adapter.send(sent)
    assert answer.outcome is IN_DOUBT
    found = adapter.find(sent)
    assert found.outcome is ACCEPTED
    assert found.document == erp.documents(order)[-1]["number"]
    assert adapter.send(sent).document == found.document
    assert len(erp.documents(order)) == 2


def test_a_query_without_an_answer_says_so(erp):
    order, adapter = erp.order(), erp.adapter()
    sent = posting(order)
    adapter.send(sent)
    erp.fault("server_error", path="GET")
    assert adapter.find(sent).outcome is Outcome.UNAVAILABLE
    assert adapter.find(sent).outcome is ACCEPTED


def test_an_ended_session_is_renewed_at_once(erp):
    if not erp.sessions:
        pytest.skip("this protocol has no sessions")
    order, adapter = erp.order(), erp.adapter()
    for _ in range(2):
        assert adapter.send(posting(order)).outcome is ACCEPTED
        erp.ask("POST", "expire", {"sessions": True})
    assert len(erp.documents(order)) == 2


def test_an_expired_token_is_renewed_at_once(erp):
    if not erp.tokens:
        pytest.skip("this protocol has no tokens")
    order, adapter = erp.order(), erp.adapter(**erp.oauth())
    for _ in range(2):
        assert adapter.send(posting(order)).outcome is ACCEPTED
        erp.ask("POST", "expire", {"tokens": True})
    assert len(erp.documents(order)) == 2


def test_wrong_credentials_are_nobody_elses_fault(erp):
    sent = posting(erp.order())
    oauth = erp.oauth()
    oauth["oauth"]["client_secret"] = "wrong"
    adapters = [erp.adapter(**oauth)] if erp.tokens else []
    if "password" in erp.access():
        adapters.append(erp.adapter(password="wrong"))
    for adapter in adapters:
        answer = adapter.send(sent)
        assert answer.outcome is Outcome.UNAUTHORISED
        assert "wrong" not in repr(answer)
        assert adapter.find(sent).outcome is Outcome.UNAUTHORISED


@pytest.mark.parametrize("make", [posting, issue, receipt])
def test_a_reversal_takes_back_exactly_its_original(erp, make):
    order, adapter = erp.order(), erp.adapter()
    original = make(order)
    other = make(order)
    answers = [adapter.send(original), adapter.send(other)]
    back = reversal(original)
    assert adapter.find(back) is None
    answer = adapter.send(back)
    assert answer.outcome is ACCEPTED, answer
    documents = erp.documents(order)
    assert [d["number"] for d in documents[:2]] == [a.document for a in answers]
    assert documents[2]["number"] == answer.document
    assert documents[2]["reverses"] == answers[0].document
    assert adapter.find(back).document == answer.document
    assert adapter.find(original).document == answers[0].document
    assert adapter.send(back).document == answer.document
    assert len(erp.documents(order)) == 3


def test_a_reversal_of_what_is_not_there_is_refused(erp):
    order = erp.order()
    assert erp.adapter().send(reversal(posting(order))).outcome is REJECTED
    assert erp.documents(order) == []


def test_goods_movements_fail_later_and_come_after_all(erp):
    component = {
        "item": 10,
        "material": RAW,
        "required_thousandths": 1000,
        "unit": "KGM",
        "operation": "0010",
        "backflush": True,
    }
    order, adapter = erp.order(components=[component]), erp.adapter()
    plain = posting(order, good=100_000)
    moved = adapter.send(plain)
    assert adapter.movements(plain, moved.document).outcome is ACCEPTED
    erp.ask("PUT", "profile", {"movement_fails_after_s": 0.4})
    erp.fault("movement_fails")
    sent = posting(order, good=100_000)
    answer = adapter.send(sent)
    assert (answer.outcome, answer.follows) == (ACCEPTED, True)
    assert adapter.movements(sent, answer.document) is None
    time.sleep(0.6)
    failed = adapter.movements(sent, answer.document)
    assert failed.outcome is REJECTED
    assert failed.code
    assert failed.message
    erp.ask("POST", "open-movements", {})
    came = adapter.movements(sent, answer.document)
    assert came.outcome is ACCEPTED
    assert came.document == erp.documents(order)[-1]["number"]


def test_many_are_accepted_and_refused_each_by_itself(erp):
    adapter = erp.adapter()
    if adapter.many_max == 1:
        order = erp.order()
        assert [a.outcome for a in adapter.send_many([posting(order)])] == [ACCEPTED]
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


def test_many_in_doubt_are_found_one_by_one(erp):
    adapter = erp.adapter(read_timeout_s=0.5)
    if adapter.many_max == 1:
        pytest.skip("this protocol has no bulk requests")
    adapter.send(posting(erp.order()))
    erp.fault("timeout_after")
    sent = [posting(erp.order()) for _ in range(3)]
    assert {a.outcome for a in adapter.send_many(sent)} == {IN_DOUBT}
    assert {adapter.find(one).outcome for one in sent} == {ACCEPTED}
    if adapter.many_max > 1:
        erp.fault("partial")
        mixed = [posting(erp.order()) for _ in range(3)]
        answers = adapter.send_many(mixed)
        for one, answer in zip(mixed, answers, strict=True):
            found = adapter.find(one)
            assert (found is None) == (answer.outcome is not ACCEPTED)
        assert sorted(a.outcome for a in answers) == [ACCEPTED, ACCEPTED, IN_DOUBT]


def test_many_threads_share_an_adapter(erp):
    adapter = erp.adapter()
    orders = [erp.order() for _ in range(40)]

    def send(number):
        if number == 20:
            erp.ask("POST", "expire", {"sessions": True, "tokens": False})
        return adapter.send(posting(orders[number]))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(40)))
    assert {answer.outcome for answer in answers} == {ACCEPTED}
    assert [erp.documents(order)[0]["number"] for order in orders] == [answer.document for answer in answers]


def test_an_answer_bounds_what_an_erp_may_say():
    answer = Answer(REJECTED, code="c" * 999, message="m" * 9999)
    assert (len(answer.code), len(answer.message)) == (256, 1024)


def test_a_movement_between_places(erp):
    order, adapter = erp.order(), erp.adapter()
    line = movement("311", to_storage_location="WH02")
    sent = issue(order, line).model_copy(update={"kind": "stock-transfer", "order": "", "operation": ""})
    answer = adapter.send(sent)
    assert answer.outcome is ACCEPTED, answer
    assert adapter.find(sent).document == answer.document
