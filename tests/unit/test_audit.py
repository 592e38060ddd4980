"""One damage at a time in the log of a small run: each is named with its kind, source and range (M31, M34)."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from canonical.identity import posting_id
from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS, RawRecords
from sinks import dead_letters
from sinks.audit.check import KINDS, Scope
from tests import scripted_flow
from tests.audited import audited

NOW_US = 1_767_610_800_000_000  # 2026-01-05 12:00 in Berlin
SECOND_US = 1_000_000
PLANT = PlantMapping.model_validate({
    "plant": "P",
    "time_zone": "Europe/Berlin",
    "format": "json",
    "input": {"folder": "p"},
    "fields": {name: name for name in ("source", "order", "type", "good", "scrap", "seq", "good_counter")}
    | {"occurred": "at"},
    "time": {"format": "epoch_us"},
    "sequencing": {"gap_timeout_s": 5, "conflict_horizon_rows": 64},
    "counters": {"jump_max": 10},
    "aggregation": {"idle_s": 8},
})  # fmt: skip


def line(seq, **fields):
    event = {"source": "m1", "order": "a", "type": "partial", "good": 2, "seq": seq, "at": NOW_US - SECOND_US}
    return json.dumps(event | fields).encode()


@pytest.fixture(scope="module")
def whole():
    """m1: a 0-2, b 3-5, gap 6-9, b 10-12, 7-8 late; m2: refused by the counter, passed on, conflicting, still open."""
    first = [*(line(s) for s in range(3)), *(line(s, order="b") for s in range(3, 6))]
    first += [line(s, order="b", scrap=1) for s in range(10, 13)]
    other = [line(0, source="m2"), line(1, source="m2", type="downtime"), line(2, source="m2", good_counter=0)]
    other += [line(3, source="m2", good_counter=900), line(0, source="m2", good=3), b"{"]
    late = [line(s, order="b", good=1) for s in (7, 8)]
    fed, at = [], 0
    for wait_s, lines in ((0, [*first, *other]), (6, []), (1, late), (70, []), (0, [line(4, source="m2", good=5)])):
        at += wait_s
        raw = RawRecords.from_values(lines, np.arange(len(lines))) if lines else NO_RECORDS
        fed.append((NOW_US + at * SECOND_US, raw))
    return scripted_flow.run(PLANT, fed, fed[-1][0]).store


def only(values, **fields):
    """Return the one of these that has these fields."""
    (value,) = (v for v in values if fields.items() <= v.items())
    return value


class Damage:
    """A copy of the log, in which records can be changed as JSON."""

    def __init__(self, store):
        self.store = copy.deepcopy(store)

    def lines(self, stream):
        return [json.loads(text) for row in self.store.records[stream] for text in row.value.splitlines()]

    def change(self, stream, edit, **fields):
        """Replace each line that has these fields by those that ``edit`` returns."""
        rows = []
        for row in self.store.records[stream]:
            lines = [json.loads(text) for text in row.value.splitlines()]
            lines = [new for old in lines for new in (edit(old) if fields.items() <= old.items() else [old])]
            if lines:
                rows.append(replace(row, value=b"\n".join(json.dumps(value).encode() for value in lines)))
        self.store.records[stream] = [replace(row, offset=number) for number, row in enumerate(rows, 1)]

    def delete(self, stream, **fields):
        self.change(stream, lambda _: [], **fields)

    def double(self, stream, **fields):
        self.change(stream, lambda value: [value, value], **fields)

    def set(self, stream, where, **fields):
        self.change(stream, lambda value: [value | fields], **where)


def test_the_run_has_everything_in_it_and_is_clean(whole):
    damage = Damage(whole)
    fates = [(r["fate"], r["source"], r["first_seq"], r["last_seq"], r["events"]) for r in damage.lines("ranges")]
    assert sorted(fates) == [
        ("confirmed", "m1", 0, 2, 3),
        ("confirmed", "m1", 3, 5, 3),
        ("confirmed", "m1", 10, 12, 3),
        ("confirmed", "m2", 0, 2, 2),
        ("late", "m1", 7, 8, 2),
        ("refused", "m2", 3, 3, 1),
        ("supplementary", "m1", 7, 8, 2),
    ]
    newest = {entry["source"]: entry for entry in damage.lines("ledger")}
    told = {name: newest["m2"][name] for name in ("open", "good", "accounted", "faults", "operational", "released")}
    assert told == {"open": 1, "good": 4000, "accounted": 3, "faults": 2, "operational": 1, "released": 4}
    assert (newest["m1"]["good"], newest["m1"]["scrap"], newest["m1"]["open"]) == (20_000, 3000, 0)
    assert newest["m1"]["committed_us"] == max(r["committed_us"] for r in damage.lines("ranges"))
    found = audited(whole)
    assert (found.counts, found.findings) == ({}, ())
    assert (found.sessions, found.ranges, found.events, found.records) == (2, 5, 13, 18)


B = {"source": "m1", "first_seq": 3}
HOLE, DOUBLE, OVERLAP, ALTERED, UNACCOUNTED, UNDECLARED, IMBALANCE = list(KINDS)[:7]
M1, M2 = ("m1", 0, 12), ("m2", 0, 4)
DAMAGES = {
    "a confirmation is gone": (lambda d: d.delete("confirmations", **B), [(HOLE, "m1", 3, 5)]),
    "a confirmation is there twice": (lambda d: d.double("confirmations", **B), [(DOUBLE, "m1", 3, 5)]),
    "a quantity is altered": (lambda d: d.set("confirmations", B, good=7000), [(ALTERED, "m1", 3, 5)]),
    "an order is altered": (lambda d: d.set("confirmations", B, order="c"), [(ALTERED, "m1", 3, 5)]),
    "a confirmation has grown": (lambda d: d.set("confirmations", B, last_seq=6), [(ALTERED, "m1", 3, 5)]),
    "both sides say another quantity": (
        lambda d: [d.set(stream, B, good=7000) for stream in ("confirmations", "ranges")],
        [(IMBALANCE, *M1)],
    ),
    "both sides are gone": (
        lambda d: [d.delete(stream, **B) for stream in ("confirmations", "ranges")],
        [(IMBALANCE, *M1), (IMBALANCE, *M1)],
    ),
    "both sides have grown": (
        lambda d: [d.set(stream, B, last_seq=6) for stream in ("confirmations", "ranges")],
        [(OVERLAP, "m1", 6, 9)],
    ),
    "both sides are there under another number": (
        lambda d: [d.set(stream, B, first_seq=4) for stream in ("confirmations", "ranges")],
        [(ALTERED, "m1", 4, 5)],
    ),
    "a confirmation more": (
        lambda d: d.change("confirmations", lambda c: [c, c | another(c, 4)], **B),
        [(OVERLAP, "m1", 4, 5)],
    ),
    "a confirmation of what never came": (
        lambda d: d.change("confirmations", lambda c: [c, c | another(c, 13) | {"last_seq": 14}], **B),
        [(UNACCOUNTED, "m1", 13, 14)],
    ),
    "a range is gone": (
        lambda d: d.delete("ranges", fate="confirmed", **B),
        [(UNACCOUNTED, "m1", 3, 5), (IMBALANCE, *M1), (IMBALANCE, *M1)],
    ),
    "a range is there twice": (
        lambda d: d.double("ranges", fate="confirmed", **B),
        [(DOUBLE, "m1", 3, 5), (OVERLAP, "m1", 3, 5), (IMBALANCE, *M1), (IMBALANCE, *M1)],
    ),
    "late numbers are gone": (lambda d: d.delete("ranges", fate="late"), [(IMBALANCE, *M1), (IMBALANCE, *M1)]),
    "a refusal is gone": (lambda d: d.delete("ranges", fate="refused"), [(IMBALANCE, *M2)]),
    "the newest entry of a session is gone": (
        lambda d: d.delete("ledger", source="m2", open=1),
        [(IMBALANCE, "m2", 0, 3)] * 2,
    ),
    "all entries of a session are gone": (lambda d: d.delete("ledger", source="m2"), [(UNACCOUNTED, "m2", 0, 3)]),
    "records read are more": (lambda d: d.set("ledger", {"source": "m1"}, read=99), [(IMBALANCE, *M1)]),
    "events passed on are fewer": (lambda d: d.delete("events", source="m2"), [(IMBALANCE, *M2)]),
    "an event is passed on twice": (
        lambda d: d.change("events", lambda e: [e, e], source="m2"),
        [(DOUBLE, "m2", 1, 1), (IMBALANCE, *M2)],
    ),
    "a gap is gone": (
        lambda d: d.delete("gaps", source="m1"),
        [(UNDECLARED, "m1", 7, 8), (UNDECLARED, "m1", 7, 8), *[(IMBALANCE, *M1)] * 3],
    ),
    "a gap is shorter": (
        lambda d: d.set("gaps", {"source": "m1"}, last_seq=7),
        [(UNDECLARED, "m1", 7, 8), (UNDECLARED, "m1", 7, 8), (IMBALANCE, *M1), (IMBALANCE, *M1)],
    ),
}  # fmt: skip


def another(confirmation, first_seq):
    own = posting_id("P", confirmation["source"], confirmation["session"], first_seq, "confirmation", 0)
    return {"posting_id": str(own), "first_seq": first_seq}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named(whole, name):
    planted, expected = DAMAGES[name]
    damage = Damage(whole)
    planted(damage)
    found = audited(damage.store)
    assert sorted((f.kind, f.source, f.first_seq, f.last_seq) for f in found.findings) == sorted(expected), found
    assert sum(found.counts.values()) == len(expected)
    assert all(f.expected != f.found and f.plant == "P" for f in found.findings)


def test_dead_letters_that_are_gone_are_missed(whole):
    for place, source in ((0, ""), (1, "m2"), (2, "m2")):
        damage = Damage(whole)
        del damage.store.records["dead-letters"][place]
        (finding,) = audited(damage.store).findings
        assert (finding.kind, finding.source) == (IMBALANCE, source)


def test_a_finding_says_what_is_wrong(whole):
    damage = Damage(whole)
    damage.set("confirmations", B, good=7000, unit="KGM")
    (finding,) = audited(damage.store).findings
    assert (finding.order, finding.posting_id) == ("b", only(damage.lines("confirmations"), **B)["posting_id"])
    assert (finding.expected, finding.found) == ("unit H87, good 6000", "unit KGM, good 7000")


def test_findings_outside_of_the_scope_are_not_told(whole):
    damage = Damage(whole)
    damage.delete("confirmations", **B)
    at_us = only(damage.lines("ranges"), fate="confirmed", **B)["committed_us"]

    def kinds(**scope):
        return audited(damage.store, Scope(**scope)).counts

    assert kinds(plant="P") == kinds(order="b") == kinds(since_us=at_us, until_us=at_us + 1) == {HOLE: 1}
    assert kinds(plant="Q") == kinds(order="a") == kinds(since_us=at_us + 1) == kinds(until_us=at_us) == {}
    assert audited(damage.store, Scope(plant="Q")).sessions == 0
    assert audited(damage.store, Scope(order="a")).sessions == 2


def test_all_findings_are_counted_and_the_first_ones_told(whole):
    damage = Damage(whole)
    damage.delete("confirmations")
    found = audited(damage.store, findings_max=2)
    assert found.counts == {HOLE: 5}
    assert [(f.source, f.first_seq) for f in found.findings] == [("m1", 0), ("m1", 3)]


def test_records_of_sessions_for_which_there_is_no_room_are_counted():
    """They are read and set aside like those that could not be read, also over a restart."""
    content = PLANT.model_dump(mode="json")
    del content["plant"]
    content["fields"]["plant"] = "plant"
    content["sequencing"]["sessions_max"] = 1
    lines = [line(seq, source=source, plant="Q") for seq, source in ((0, "m1"), (0, "m2"), (0, "m3"), (1, "m1"))]
    fed = [
        (NOW_US + at, RawRecords.from_values(lines[at : at + 2], np.arange(at, at + 2)))
        for at in range(0, len(lines), 2)
    ]
    plant = PlantMapping.model_validate(content)
    store = scripted_flow.run(plant, fed[:1], NOW_US).store
    outcome = scripted_flow.run(plant, fed, NOW_US + 3, store=store)
    assert outcome.ledger()["", "", ""]["read"] == outcome.ledger()["", "", ""]["faults"] == 2
    assert outcome.totals()["read"] == 4
    assert audited(outcome.store).findings == ()


def test_a_dead_letter_names_the_plant_that_its_record_names():
    content = PLANT.model_dump(mode="json")
    del content["plant"]
    content["fields"]["plant"] = "plant"
    lines = [line(0, plant="Q"), line(0, plant="Q", good=9), line(1, plant="Q", good_counter=0)]
    lines.append(line(2, plant="Q", good_counter=900))
    fed = [(NOW_US, RawRecords.from_values(lines, np.arange(len(lines))))]
    outcome = scripted_flow.run(PlantMapping.model_validate(content), fed, NOW_US)
    letters = [dead_letters.parse(stored).fault for stored in outcome.stored("dead-letters")]
    assert [(fault.code, fault.plant) for fault in letters] == [
        ("CONFLICTING_DUPLICATE", "Q"),
        ("ABSURD_QUANTITY", "Q"),
    ]
    assert audited(outcome.store).findings == ()


@pytest.fixture(scope="module")
def beside():
    """m1 at w1: 0, 2, 4 (a), 8 (b); at w2: 1, 3, 5, 7 (a); 6 is missing."""
    content = PLANT.model_dump(mode="json")
    content["fields"]["work_center"] = "work_center"
    content["aggregation"] |= {"open_max": 2}
    lines = [line(seq, work_center=f"w{1 + seq % 2}", order="ab"[seq == 8]) for seq in (*range(6), 7, 8)]
    raw = RawRecords.from_values(lines, np.arange(len(lines)))
    fed = [(NOW_US, raw), (NOW_US + 6 * SECOND_US, NO_RECORDS), (NOW_US + 20 * SECOND_US, NO_RECORDS)]
    return scripted_flow.run(PlantMapping.model_validate(content), fed, fed[-1][0]).store


@pytest.mark.parametrize(
    ("first_seq", "altered", "expected"),
    [
        (0, {}, []),
        (0, {"last_seq": 8}, [(OVERLAP, "m1", 6, 6), (OVERLAP, "m1", 8, 8)]),  # over the gap, and its own work centre's
        (1, {"last_seq": 6}, [(OVERLAP, "m1", 6, 6)]),
        (1, {"events": 4}, [(OVERLAP, "m1", 0, 5), (IMBALANCE, "m1", 0, 8)]),
    ],
)
def test_ranges_side_by_side_are_apart_at_each_work_centre(beside, first_seq, altered, expected):
    damage = Damage(beside)
    ranges = [(c["work_center"], c["first_seq"], c["last_seq"], c["events"]) for c in damage.lines("confirmations")]
    assert sorted(ranges) == [("w1", 0, 4, 3), ("w1", 8, 8, 1), ("w2", 1, 5, 3), ("w2", 7, 7, 1)]
    for stream in ("confirmations", "ranges"):
        damage.set(stream, {"first_seq": first_seq}, **altered)
    found = audited(damage.store).findings
    assert sorted((f.kind, f.source, f.first_seq, f.last_seq) for f in found) == sorted(expected), found
