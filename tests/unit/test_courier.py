"""The courier: every call answered once, none after its lease, a defect of an adapter kept to its posting (M42)."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from dataflows.delivery.courier import Courier, reply_of
from dataflows.processors.delivery.reply import Call, CallKind, ReplyKind
from sinks.erp.connection import TRACEPARENT
from sinks.erp.port import Answer, Outcome
from tests.property.erp_twin import posting

LEASE_US = 100


class Adapter:
    """Answers with the posting's number; waits and fails when told to."""

    many_max = 5

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.closed = False
        self.at_once = self.most = 0
        self.parts = []

    def send(self, wanted):
        self.parts.append(TRACEPARENT.get())
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.gate.wait()
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return Answer(Outcome.ACCEPTED, document=str(wanted.number))

    def send_many(self, many):
        return [self.send(each) for each in many]

    def find(self, _wanted):
        return None

    def movements(self, _wanted, document):
        return Answer(Outcome.REJECTED, message=document)

    def close(self):
        self.closed = True


@pytest.fixture
def adapter():
    return Adapter()


@pytest.fixture
def courier(adapter):
    made = Courier("E", adapter, 3, lambda: 50)
    yield made
    adapter.gate.set()
    made.close()


def call(kind: CallKind = CallKind.SEND, *numbers: int, until_us: int = LEASE_US) -> Call:
    made = tuple(posting("O", number) for number in numbers or (0,))
    return Call(kind, made, ("d",) * len(made), 1, until_us)


def answers(courier: Courier) -> list:
    assert courier.drain(10)
    return courier.collect()


def test_each_call_is_answered_in_its_own_words(courier):
    for each in (call(CallKind.SEND, 7), call(CallKind.SEND, 1, 2), call(CallKind.FIND), call(CallKind.MOVEMENTS)):
        courier.hand_out(each)
    found = {(a.call.kind, len(a.call.postings)): a for a in answers(courier)}

    assert [r.document for r in found[CallKind.SEND, 1].replies] == ["7"]
    assert [r.document for r in found[CallKind.SEND, 2].replies] == ["1", "2"]
    assert [r.kind for r in found[CallKind.FIND, 1].replies] == [ReplyKind.NONE]
    assert [r.message for r in found[CallKind.MOVEMENTS, 1].replies] == ["d"]
    assert courier.collect() == []


def test_the_flow_does_not_wait_and_no_more_are_under_way_than_threads(courier, adapter):
    adapter.gate.clear()
    began = time.monotonic()
    for number in range(9):
        courier.hand_out(call(CallKind.SEND, number))
    assert courier.collect() == []
    assert not courier.drain(0.05)
    assert time.monotonic() - began < 5
    adapter.gate.set()

    assert len(answers(courier)) == 9
    assert adapter.most == 3


def test_a_call_whose_lease_is_over_is_not_made(courier, adapter):
    courier.hand_out(call(until_us=50))
    (answered,) = answers(courier)

    assert answered.replies[0].kind is ReplyKind.UNAVAILABLE
    assert adapter.most == 0


def test_a_defect_of_the_adapter_is_in_doubt_and_logged(courier, adapter, caplog):
    adapter.error = KeyError("unit")
    with caplog.at_level(logging.ERROR):
        courier.hand_out(call(CallKind.SEND, 1, 2))
        (answered,) = answers(courier)
    assert [r.kind for r in answered.replies] == [ReplyKind.IN_DOUBT] * 2
    assert "KeyError" in caplog.text
    adapter.error = None
    courier.hand_out(call())

    assert answers(courier)[0].replies[0].kind is ReplyKind.ACCEPTED


def test_a_call_under_way_does_not_keep_the_process_from_ending(adapter):
    courier = Courier("E", adapter, 1, lambda: 0)
    adapter.gate.clear()
    courier.hand_out(call())
    courier.close()
    assert not adapter.closed  # somebody still uses it
    adapter.gate.set()
    assert courier.drain(10)


def test_every_outcome_of_the_port_has_its_word():
    for outcome in Outcome:
        assert reply_of(Answer(outcome, retry_after_s=1.5)).kind.value == outcome.value
    assert reply_of(Answer(Outcome.THROTTLED, retry_after_s=1.5)).retry_after_us == 1_500_000
    assert reply_of(Answer(Outcome.ACCEPTED, follows=True, committed_us=3)).committed_us == 3
    assert len(reply_of(Answer(Outcome.ACCEPTED, document="x" * 1000)).document) == 256


def test_a_call_for_one_posting_says_what_it_is_part_of_and_one_for_many_does_not(adapter):
    courier = Courier("E", adapter, 1, lambda: 50, parent_of=lambda wanted: f"part {wanted.number}")
    for made in (call(CallKind.SEND, 3), call(CallKind.SEND, 1, 2), call(CallKind.SEND, 4)):
        courier.hand_out(made)
    answers(courier)
    courier.close()

    assert adapter.parts == ["part 3", "", "", "part 4"]
