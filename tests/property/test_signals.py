"""What of a signal is told: laws, agreement with a twin, and indifference to cuts and kills (issue F2, M51, S1)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.collectors import signals as module
from dataflows.collectors.pulses import TOLD_MAX
from dataflows.collectors.reading import Reading
from dataflows.collectors.signal_settings import (
    DeadbandSignal,
    DebounceSignal,
    PulseSignal,
    SignalRule,
    SwingingDoorSignal,
)
from dataflows.collectors.signals import SLACK_US, Signals, counts
from dataflows.processors.state import StateVersionUnknown
from tests.property.twin_signals import Twin, between, number

SECOND_US = 1_000_000
LATER_US = 10**10
RULES: list[SignalRule] = [
    DeadbandSignal(items=["*"], rule="deadband", width="0.3", heartbeat_s=4),
    SwingingDoorSignal(items=["*"], rule="swinging-door", width="0.3", heartbeat_s=4),
    SwingingDoorSignal(items=["*"], rule="swinging-door", width="0.3", heartbeat_s=1_000),
    DebounceSignal(items=["*"], rule="debounce", settle_s=0.5, heartbeat_s=4),
    PulseSignal(items=["*"], rule="pulse", gap_s=0.5),
]
VALUES = st.one_of(
    st.sampled_from(["0", "0.1", "0.3", "0.4", "0.6", "1", "-1e1", "UNAVAILABLE", ""]),
    st.integers(-12, 12).map(lambda tenths: str(tenths / 10)),
)
STEPS_US = st.sampled_from([0, 1, 100_000, 200_000, 500_000, SECOND_US, SECOND_US, 4 * SECOND_US])


@st.composite
def readings(draw: st.DrawFn, *, back: bool = True) -> list[tuple[str, Reading]]:
    """Readings of two signals, each with a record of its own; their time seldom goes back."""
    steps = st.one_of(STEPS_US, *([st.just(-300_000)] if back and draw(st.booleans()) else []))
    at_us, found = 0, []
    for count, (item, step_us, value) in enumerate(draw(st.lists(st.tuples(st.sampled_from("ab"), steps, VALUES)))):
        at_us += step_us
        found.append((item, Reading(at_us, value, b"%d\xff" % count)))
    return found


def fed(signals: Signals, given: list[tuple[str, Reading]], now_us: int = 0) -> list[Reading]:
    return [told.reading for item, reading in given for told in signals.take("m", item, reading, now_us)]


@settings(max_examples=250)
@given(rule=st.sampled_from(RULES), given=readings())
def test_what_is_told_is_what_the_definition_tells(rule, given):
    for item in "ab":
        twin, own = Twin(rule), [each for each in given if each[0] == item]
        for _, reading in own:
            twin.take(reading)
        signals = Signals([rule])
        assert fed(signals, own) == twin.told
        assert [each.reading for each in signals.wake(LATER_US)] == twin.held()


@settings(max_examples=150)
@given(
    rule=st.sampled_from(RULES), given=readings(), cuts=st.sets(st.integers(0, 40)), waits=st.sets(st.integers(0, 40))
)
def test_a_kill_between_any_two_readings_changes_nothing(rule, given, cuts, waits):
    whole, parts = Signals([rule]), Signals([rule])
    state, told, again = {}, [], []
    for count, each in enumerate(given):
        now_us = count * 700_000
        told += fed(whole, [each], now_us)
        again += fed(parts, [each], now_us)
        if count in waits:
            told += [one.reading for one in whole.wake(now_us + 500_000)]
            again += [one.reading for one in parts.wake(now_us + 500_000)]
        state |= parts.state()
        if count in cuts:
            parts = Signals([rule])
            parts.seek(dict(reversed(state.items())))
    whole_state = whole.state()
    assert again == told
    assert (whole_state, counts(whole_state)) == (state, counts(state))
    assert whole.wake(LATER_US) == parts.wake(LATER_US)


@settings(max_examples=100)
@given(rule=st.sampled_from(RULES), given=readings())
def test_every_reading_is_told_once_as_it_came_or_counted_as_left_out(rule, given):
    signals = Signals([rule])
    told = fed(signals, given)
    state = signals.state()
    before = counts(state)
    told += [each.reading for each in signals.wake(LATER_US)]
    after = counts(state | signals.state())
    assert {each for _, each in given} >= set(told)
    assert len(set(told)) == len(told)
    if given:
        assert before["read"] == after["read"] == len(given)
        assert (after["told"], after["held"]) == (len(told), 0)
        assert before["left_out"] == after["left_out"] == len(given) - len(told)


@given(given=readings(back=False))
def test_what_a_deadband_leaves_out_is_near_the_last_told_and_never_long_after_it(given):
    rule = RULES[0]
    own = [each for each in given if each[0] == "a"]
    told = set(fed(Signals([rule]), own))
    last = None
    for _, reading in own:
        if reading in told:
            last = reading
            continue
        assert reading.at_us - last.at_us < 4 * SECOND_US
        values = number(last.text), number(reading.text)
        assert last.text == reading.text if None in values else abs(values[0] - values[1]) <= number("0.3")


@given(rule=st.sampled_from(RULES[1:3]), given=readings(back=False), waits=st.sets(st.integers(0, 40)))
def test_what_a_swinging_door_leaves_out_is_near_the_line_between_what_is_told(rule, given, waits):
    signals, told = Signals([rule]), []
    own = [each for each in given if each[0] == "a"]
    for count, each in enumerate(own):
        told += fed(signals, [each])
        if count in waits:
            told += [one.reading for one in signals.wake(LATER_US)]
    told += [one.reading for one in signals.wake(LATER_US)]  # the last is not lost
    place = {reading.record: at for at, (_, reading) in enumerate(own)}
    if own:
        assert own[0][1] == told[0]
        assert own[-1][1].text == told[-1].text or number(own[-1][1].text) == number(told[-1].text) is not None
    for one, other in pairwise(told):
        assert place[one.record] < place[other.record]
        left_out = [reading for _, reading in own[place[one.record] + 1 : place[other.record]]]
        for reading in left_out:
            if None in (number(one.text), number(other.text)) or one.at_us == other.at_us:
                assert reading.text == one.text or number(reading.text) == number(one.text) is not None
            else:
                assert between(one, reading, other) <= number("0.3")
            assert reading.at_us - one.at_us < rule.heartbeat_s * SECOND_US


def test_what_is_held_is_told_when_its_time_is_over_by_our_clock_and_not_sooner():
    door, debounce = RULES[1], RULES[3]
    for rule, hold_us in ((door, 4 * SECOND_US), (debounce, SECOND_US // 2)):
        signals = Signals([rule], slack_us=SLACK_US)
        fed(signals, [("a", Reading(0, "0")), ("a", Reading(1, "1", b"last"))], now_us=7)
        due_us = 7 + hold_us + SLACK_US
        assert signals.wake(due_us - 1) == []
        assert [each.reading.record for each in signals.wake(due_us)] == [b"last"]
        assert signals.wake(LATER_US) == []


def test_a_contact_that_bounces_is_one_piece_and_a_flicker_is_no_state():
    ms = 1_000
    bounces = [(0, "1"), (3, "0"), (5, "1"), (9, "0"), (700, "1"), (702, "1"), (1_400, "0")]
    said = [("a", Reading(at * ms, text)) for at, text in bounces]
    assert [(each.at_us // ms, each.text) for each in fed(Signals([RULES[4]]), said)] == [
        (0, "1"), (3, "0"), (700, "1"), (1_400, "0")
    ]  # fmt: skip
    signals = Signals([RULES[4]])
    fed(signals, said)
    assert fed(signals, said[2:]) == [], "a broker sends again what it does not know to be acknowledged"
    many = [("a", Reading(10_000 * ms * count, "1")) for count in range(1, TOLD_MAX + 1)]
    assert fed(signals, many) == [each for _, each in many]
    assert len(fed(signals, said[:1])) == 1, "what was told so long ago is forgotten"
    states = [(0, "ACTIVE"), (1_000, "STOPPED"), (1_020, "ACTIVE"), (3_000, "STOPPED"), (3_500, "READY")]
    said = [("a", Reading(at * ms, text)) for at, text in states]
    assert [(each.at_us // ms, each.text) for each in fed(Signals([RULES[3]]), said)] == [
        (0, "ACTIVE"), (3_000, "STOPPED")
    ]  # fmt: skip


def test_a_rule_that_is_another_after_a_restart_tells_what_was_held_and_begins_anew():
    signals = Signals([RULES[1]])
    fed(signals, [("a", Reading(0, "0")), ("a", Reading(1, "1", b"held"))])
    state = signals.state()
    for rules in ([], [RULES[2]], [RULES[3]]):
        other = Signals(rules)
        other.seek(state)
        assert [each.reading.record for each in other.wake(0)] == [b"held"]
        assert other.state() == dict.fromkeys(state, b"")
        other = Signals(rules)
        other.seek(dict.fromkeys(state, b""))
        assert len(fed(other, [("a", Reading(2, "1"))])) == 1


def test_at_an_end_what_is_held_is_told_and_what_comes_then_is_told_anew_and_counted_on():
    signals = Signals([RULES[1]])
    fed(signals, [("a", Reading(5, "0")), ("a", Reading(6, "1")), ("b", Reading(0, "0")), ("b", Reading(1, "1"))])
    assert [each.reading.at_us for each in signals.end()] == [1, 6]
    assert len(fed(signals, [("a", Reading(0, "1")), ("a", Reading(1, "1"))])) == 1
    assert counts(signals.state()) == {"read": 6, "told": 5, "held": 1, "left_out": 0}
    assert signals.end()[0].reading.at_us == 1


def test_what_cannot_be_judged_is_told_as_it_comes(monkeypatch):
    monkeypatch.setattr(module, "SIGNALS_MAX", 1)
    signals = Signals([RULES[0]])
    long = b"x" * (module.READING_BYTES_MAX + 1)
    said = [("a", Reading(0, "1")), ("a", Reading(1, "1", long)), ("b", Reading(2, "1")), ("b", Reading(3, "1"))]
    assert fed(signals, said) == [each for _, each in said]
    assert fed(signals, [("a", Reading(4, "1"))]) == []
    assert fed(Signals([]), said) == [each for _, each in said]


def test_state_of_this_version_is_read_for_ever_and_of_a_newer_one_never():
    part = module.PART + '["m","a"]'
    told = (
        b'{"version":1,"key":["m","a"],"rule":"{\\"rule\\":\\"swinging-door\\",\\"width\\":\\"0.3\\",'
        b'\\"heartbeat_s\\":4.0}","read":4,"told":1,"last_us":3,"due_us":5000003,'
        b'"state":[[0,"0",""],["-0.3",2],["0.5",2]],"held":[3,"0.2","rec\xc3\xbf"]}'
    )
    signals = Signals([RULES[1]])
    signals.seek({part: told, "committed_us": b"1"})
    assert counts({part: told}) == {"read": 4, "told": 1, "held": 1, "left_out": 2}
    assert [each.reading.record for each in signals.wake(5_000_003)] == [b"rec\xff"]
    with pytest.raises(StateVersionUnknown, match="found 2"):
        Signals([]).seek({part: told.replace(b'"version":1', b'"version":2')})
