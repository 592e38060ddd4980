"""What a person may decide about an exception, and the decision in the log and in the audit trail."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from canonical.contracts import OWNERS, SEVERITIES, Action, ActionKind, BusinessException, ExceptionCode, Resolution
from dataflows.exception_box import ExceptionUnknown, Filter, decide, effect, named
from dataflows.trail.operator_trail import OPERATOR, OperatorTrail
from sinks.memory import MemoryLog
from sinks.streams import ACTIONS, TRAIL
from sinks.trail import Head, breaks

C, K = ExceptionCode, ActionKind


def exception(code: ExceptionCode = C.ERP_REJECTED, number: int = 1, **more) -> BusinessException:
    fields = {
        "exception_id": UUID(int=number << 96),
        "code": code,
        "owner": OWNERS[code],
        "severity": SEVERITIES[code],
        "erp": "s4",
        "plant": "A",
        "order": "O1",
        "message": "no",
        "waiting": 3,
        "opened_us": 1,
        "changed_us": 1,
    }
    return BusinessException(**{**fields, **more})


@pytest.mark.parametrize(
    ("code", "kind", "possible", "words"),
    [
        (C.ERP_REJECTED, K.REPROCESS, True, "sent to s4 again, and the 2 behind it go on in their order"),
        (C.ERP_REJECTED, K.DISCARD, True, "it is not posted, and its quantity stays unposted, and the 2 behind it"),
        (C.ERP_ANSWER_UNKNOWN, K.RELEASE, True, "only where s4 has no document of it"),
        (C.ERP_ANSWER_UNKNOWN, K.REPROCESS, True, "asked again whether it made the document"),
        (C.ERP_UNAVAILABLE, K.REPROCESS, True, "s4 is tried at once"),
        (C.ERP_UNAVAILABLE, K.DISCARD, False, "an outage cannot be discarded"),
        (C.MOVEMENT_FAILED, K.DISCARD, True, "stays as it is"),
        (C.BOUND_REACHED, K.RELEASE, False, "it ends when"),
        (C.ORDER_NOT_RELEASED, K.RELEASE, True, "3 pass in spite of it"),
        (C.ROUTE_MISSING, K.RELEASE, False, "nothing that could be posted"),
        (C.ORDER_NOT_RELEASED, K.DISCARD, True, "3 are not posted"),
        (C.ORDER_NOT_RELEASED, K.REPROCESS, True, "3 are checked again"),
    ],
)
def test_a_dry_run_says_what_a_decision_does(code, kind, possible, words):
    told = effect(exception(code), kind)

    assert told.possible is possible
    assert words in told.words


@pytest.mark.parametrize("kind", [K.RELEASE, K.REPROCESS, K.DISCARD])
@pytest.mark.parametrize("code", ExceptionCode)
def test_every_decision_about_every_exception_has_words(code, kind):
    assert effect(exception(code), kind).words
    assert not effect(exception(code, resolution=Resolution.DISCARDED), kind).possible


def test_the_beginning_of_an_id_names_one_exception():
    known = {str(each.exception_id): each for each in (exception(number=0xABCD1111), exception(number=0xABCD2222))}

    assert named(known, ["ABCD1"]) == [exception(number=0xABCD1111)]
    for name, words in (
        ("abcd", "2 exceptions begin with abcd"),
        ("abc", "no exception abc"),
        ("ffff", "no exception"),
    ):
        with pytest.raises(ExceptionUnknown, match=words):
            named(known, [name])


def test_a_filter_lets_through_what_fits():
    assert Filter().lets(exception())
    assert Filter(C.ERP_REJECTED, "A", "O1", "s4", "integration-support").lets(exception())
    for wrong in (Filter(C.LOT_MISSING), Filter(plant="B"), Filter(order="2"), Filter(erp="x"), Filter(owner="y")):
        assert not wrong.lets(exception())
    assert not Filter().lets(exception(resolution=Resolution.RELEASED))
    assert Filter(ended=True).lets(exception(resolution=Resolution.RELEASED))


def test_a_decision_is_an_action_and_an_entry_of_the_trail():
    log = MemoryLog()
    trail = OperatorTrail(log)
    about = str(exception().exception_id)
    decide(trail, K.REPROCESS, about, "anna", "mended", 7)
    head = decide(trail, K.REVERSE, str(UUID(int=5)), "anna", "twice", 8)

    first, second = (Action.model_validate_json(r.value) for r in log.store.read(ACTIONS, 0, 9))
    assert (first.kind, first.exception_id, first.posting_id, first.actor, first.reason, first.at_us) == (
        *(K.REPROCESS, about, "", "anna", "mended", 7),
    )
    assert (second.kind, second.exception_id, second.posting_id) == (K.REVERSE, "", str(UUID(int=5)))
    assert first.action_id != second.action_id
    entries = log.store.read(TRAIL, 0, 9)
    assert [json.loads(e.value)["action"] for e in entries] == ["reprocess", "reverse"]
    assert json.loads(entries[0].value)["detail"] == first.model_dump_json()
    heads = {OPERATOR: head}
    assert breaks(entries, heads, heads) == []
    assert Head.of(log.store.snapshots[OPERATOR].state) == head
