"""One damage at a time from confirmation to document: each is named with its kind, posting and document (M31, M34)."""

import json
from uuid import uuid4

import pytest

from canonical.identity import document_name
from sinks.audit.check import Scope
from sinks.audit.erp_documents import DocumentsUnreadable, erp_documents
from tests.chain_world import ERP, PLANT, event_name, whole_world

WORLD = whole_world()
C = [row["posting_id"] for row in WORLD.confirmation]
P = [row["posting_id"] for row in WORLD.posting]
PLAIN, END, FIRST, LAST, RECEIVED, MOVED, _, OTHER, _, TAKEN, BACK, REFUSED, WITHDRAWN, *REST = P
ISSUE, CARRIED, NAMELESS, PENDING = REST
AGAIN = document_name(PLANT, f"move/{event_name(WORLD.event[0])}", "stock-transfer")
HOLE, DOUBLE, ALTERED, UNACCOUNTED = "HOLE", "DOUBLE", "ALTERED", "UNACCOUNTED"


def rows(w, relation, **fields):
    return [row for row in getattr(w, relation) if fields.items() <= row.items()]


def delete(relation, **fields):
    def damage(w):
        (row,) = rows(w, relation, **fields)
        getattr(w, relation).remove(row)

    return damage


def double(relation, **fields):
    def damage(w):
        (row,) = rows(w, relation, **fields)
        getattr(w, relation).append(row | {"stream_offset": len(getattr(w, relation)) + 1})

    return damage


def change(relation, where, **fields):
    def damage(w):
        (row,) = rows(w, relation, **where)
        row.update(fields)

    return damage


def both(*damages):
    def damage(w):
        for each in damages:
            each(w)

    return damage


def paper(posting):
    return rows(WORLD, "document", posting_id=posting)[0]["document"]


def lines(place, **fields):
    (line,) = WORLD.posting[place]["movements"]
    return [line | fields]


DAMAGES = {
    # confirmation to posting
    "what waits is forgotten": (delete("unposted", state="waiting"), [(HOLE, C[2])]),
    "a posting is gone, and all that came of it": (
        both(*(delete(relation, posting_id=TAKEN) for relation in ("posting", "receipt", "document"))),
        [(HOLE, C[10]), (HOLE, None), (HOLE, BACK), (UNACCOUNTED, BACK)],
    ),
    "the last posting of an order is gone": (delete("posting", posting_id=PENDING), [(HOLE, C[15])]),
    "a posting is in the queue twice": (double("posting", posting_id=PENDING), [(DOUBLE, PENDING)]),
    "a posting is in two queues": (
        lambda w: w.posting.append(rows(w, "posting", posting_id=PENDING)[0] | {"erp": "s9", "number": 5}),
        [(DOUBLE, PENDING)],
    ),
    "a posting is given out again under another id": (
        lambda w: w.post("confirmation", str(uuid4()), [C[15]], "g", good=2_000),
        [(ALTERED, "another")],
    ),
    "what is discarded is posted": (lambda w: w.post_made(w.confirmation[4]), [(DOUBLE, "another")]),
    "good is altered": (change("posting", {"posting_id": PENDING}, good=2_001), [(ALTERED, PENDING)]),
    "a time is altered": (change("posting", {"posting_id": PENDING}, machine_us=8), [(ALTERED, PENDING)]),
    "good becomes scrap": (change("posting", {"posting_id": PENDING}, good=1_000, scrap=1_000), [(ALTERED, PENDING)]),
    "the order is altered": (
        change("posting", {"posting_id": PENDING}, order="z", number=0), [(ALTERED, PENDING)],
    ),
    "nobody told of the order": (change("event", {"order": "k"}, order="z"), [(UNACCOUNTED, NAMELESS)]),
    "the order was at another work centre": (
        change("event", {"order": "k"}, work_center="V"), [(UNACCOUNTED, NAMELESS)],
    ),
    "the order came after it was made": (change("event", {"order": "k"}, occurred_us=10**9), [(UNACCOUNTED, NAMELESS)]),
    "who told of the order is not cited": (
        lambda w: rows(w, "posting", posting_id=NAMELESS)[0]["causes"].pop(), [(UNACCOUNTED, NAMELESS)],
    ),
    "what others count is posted": (lambda w: w.post_made(w.confirmation[13]), [(DOUBLE, "another")]),
    "one of two operations is altered": (
        both(*(change(each, {"posting_id": FIRST}, good=5_306) for each in ("posting", "document"))),
        [(ALTERED, min(FIRST, LAST))],
    ),
    "one of two operations is gone": (
        both(*(delete(relation, posting_id=FIRST) for relation in ("posting", "receipt", "document"))),
        [(HOLE, None)],
    ),
    "the last of two operations is gone": (
        both(*(delete(relation, posting_id=LAST) for relation in ("posting", "receipt", "document"))),
        [(ALTERED, FIRST), (HOLE, None), (UNACCOUNTED, RECEIVED)],
    ),
    "scrap is converted at another ratio": (
        both(*(change(each, {"posting_id": OTHER}, scrap=3_001) for each in ("posting", "document"))),
        [(ALTERED, OTHER), (ALTERED, OTHER)],
    ),
    "all of it is converted at another ratio": (
        both(
            change("posting", {"posting_id": OTHER}, good=16_000, scrap=4_000),
            change("document", {"posting_id": OTHER}, good=16_000, scrap=4_000),
        ),
        [(ALTERED, OTHER)],
    ),
    "what waits is told of another quantity": (
        change("unposted", {"state": "waiting"}, good=999), [(ALTERED, C[2])],
    ),
    "a confirmation is told to wait that never was": (
        change("unposted", {"state": "waiting"}, cause=str(uuid4())),
        [(HOLE, C[2]), (UNACCOUNTED, "another")],
    ),
    "more is received than was confirmed": (
        both(
            change("posting", {"posting_id": RECEIVED}, movements=lines(4, quantity=5_001)),
            change("document", {"posting_id": RECEIVED}, quantity=5_001),
        ),
        [(ALTERED, RECEIVED)],
    ),
    "what is released was never received": (
        both(*(delete(relation, posting_id=RECEIVED) for relation in ("posting", "receipt", "document"))),
        [(HOLE, None), (UNACCOUNTED, MOVED)],
    ),
    "less is taken back than was posted": (
        both(change("posting", {"posting_id": BACK}, good=1_999), change("document", {"posting_id": BACK}, good=1_999)),
        [(ALTERED, BACK)],
    ),
    "more is issued than was consumed": (
        both(
            change("posting", {"posting_id": ISSUE}, movements=lines(13, quantity=1_001)),
            change("document", {"posting_id": ISSUE}, quantity=1_001),
        ),
        [(ALTERED, ISSUE)],
    ),
    "what was consumed is posted again": (
        lambda w: w.accept(
            w.move("stock-transfer", f"move/{event_name(w.event[0])}", [event_name(w.event[0])], 400, "", operation="")
        ),
        [(DOUBLE, max(ISSUE, AGAIN))],
    ),
    # posting to receipt
    "the receipt of the first of an order is gone": (delete("receipt", posting_id=PLAIN), [(HOLE, PLAIN)]),
    "the receipt of the last of an order is gone": (delete("receipt", posting_id=BACK), [(HOLE, BACK)]),
    "a receipt says it twice": (double("receipt", posting_id=ISSUE), [(DOUBLE, ISSUE)]),
    "a posting is accepted and withdrawn": (
        lambda w: w.answer(w.posting[13], "withdrawn"), [(DOUBLE, ISSUE)],
    ),
    "a receipt without a posting": (
        lambda w: w.answer(w.posting[13] | {"posting_id": str(uuid4())}, document=""), [(UNACCOUNTED, "another")],
    ),
    "two postings have one document": (
        both(
            change("receipt", {"posting_id": CARRIED}, document=paper(ISSUE)), delete("document", posting_id=CARRIED)
        ),
        [(DOUBLE, CARRIED), (HOLE, CARRIED)],
    ),
    "a receipt is of another order": (change("receipt", {"posting_id": CARRIED}, order="z"), [(ALTERED, CARRIED)]),
    "a refusal that nobody was told of": (delete("business_exception", posting_id=REFUSED), [(HOLE, REFUSED)]),
    "a refused posting is neither held nor settled": (lambda w: w.held.remove(REFUSED), [(HOLE, REFUSED)]),
    "a reversal is of another document": (change("receipt", {"posting_id": BACK}, reverses="D0/26"), [(ALTERED, BACK)]),
    # receipt to document
    "a document is gone": (delete("document", posting_id=ISSUE), [(HOLE, ISSUE)]),
    "a document is there again under another number": (
        lambda w: w.document.append(rows(w, "document", posting_id=PLAIN)[0] | {"document": "X/26"}),
        [(DOUBLE, PLAIN), (ALTERED, PLAIN)],
    ),
    "a document without a posting": (
        lambda w: w.document.append({"erp": ERP, "document": "X/26", "posting_id": str(uuid4()), "good": 1}),
        [(UNACCOUNTED, "another")],
    ),
    "a document by hand": (
        lambda w: w.document.append({"erp": ERP, "document": "X/26", "good": 1}), [(UNACCOUNTED, None)],
    ),
    "a document of what was withdrawn": (
        lambda w: w.document.append({"erp": ERP, "document": "X/26", "posting_id": WITHDRAWN, "good": 2_000}),
        [(UNACCOUNTED, WITHDRAWN)],
    ),
    "a document says more": (change("document", {"posting_id": PLAIN}, good=9_001), [(ALTERED, PLAIN)]),
    "a document says scrap for rework": (
        change("document", {"posting_id": LAST}, scrap=307, rework=0), [(ALTERED, LAST)],
    ),
    "a document is of another order": (change("document", {"posting_id": PLAIN}, order_id="b"), [(ALTERED, PLAIN)]),
    "a document moves more": (change("document", {"posting_id": ISSUE}, quantity=1_001), [(ALTERED, ISSUE)]),
    "a document moves another lot": (
        change("document", {"posting_id": ISSUE}, lot="L-9"), [(ALTERED, ISSUE), (ALTERED, ISSUE)],
    ),
}  # fmt: skip


def test_a_sound_world_is_whole():
    found = WORLD.audited()
    assert found.findings == ()
    told = found.chain
    assert (told.confirmations, told.posted, told.waiting, told.not_posted, told.unread) == (17, 10, 1, 5, 1)
    assert (told.postings, told.accepted, told.withdrawn, told.pending, told.documents) == (17, 14, 1, 2, 14)


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named(name):
    planted, expected = DAMAGES[name]
    world = WORLD.copy()
    planted(world)
    found = world.audited()
    known = {name: name for name in (None, AGAIN, *C, *P)}
    named = [(f.kind, known.get(f.posting_id, "another")) for f in found.findings]
    assert sorted(named, key=str) == sorted(expected, key=str), found.findings
    assert all(f.expected != f.found for f in found.findings)


def test_of_a_document_that_two_postings_have_both_are_told():
    world = WORLD.copy()
    world.receipt.append(rows(world, "receipt", posting_id=ISSUE)[0] | {"posting_id": AGAIN, "stream_offset": 99})
    found = {f.kind: (f.posting_id, f.document, f.found) for f in world.audited().findings}
    assert found["DOUBLE"] == (AGAIN, paper(ISSUE), f"that of posting {ISSUE}")


def test_what_is_on_its_way_is_no_hole():
    world = WORLD.copy()
    world.document.append({"erp": ERP, "document": "X/26", "posting_id": PENDING, "order_id": "g", "good": 2_000})
    found = world.audited()
    assert found.findings == ()
    assert found.chain.in_doubt == 1
    world.held.remove(PENDING)
    assert [(f.kind, f.posting_id) for f in world.audited().findings] == [(HOLE, PENDING)]
    world.delivered -= 1
    assert world.audited().findings == ()


def test_without_marks_the_last_that_something_cites_stands_for_them():
    world = WORLD.copy()
    assert world.audited(marks=False).findings == ()
    delete("unposted", state="waiting")(world)
    assert [(f.kind, f.posting_id) for f in world.audited(marks=False).findings] == [(HOLE, C[2])]


def test_what_an_erp_makes_by_itself_belongs_to_what_it_was_made_for():
    world = WORLD.copy()
    own = {
        "erp": ERP,
        "document": "X/26",
        "order_id": "a",
        "material": "M-9",
        "quantity": 7,
        "belongs_to": paper(PLAIN),
    }
    world.document.append(own)
    assert world.audited().findings == ()
    own["belongs_to"] = "Y/26"
    (finding,) = world.audited().findings
    assert (finding.kind, finding.document, finding.expected) == (UNACCOUNTED, "X/26", "document Y/26")


def test_what_an_erp_took_and_could_not_process_waits_under_an_exception():
    world = WORLD.copy()
    delete("document", posting_id=ISSUE)(world)
    world.answer(world.posting[P.index(ISSUE)], "movement-failed")
    assert [(f.kind, f.posting_id, f.expected) for f in world.audited().findings] == [(HOLE, ISSUE, "an exception")]
    world.complain(world.posting[P.index(ISSUE)], "MOVEMENT_FAILED")
    assert world.audited().findings == ()


def test_an_erp_whose_documents_were_not_handed_in_is_not_judged():
    world = WORLD.copy()
    world.document.clear()
    assert world.audited().findings == ()


def test_a_scope_tells_of_nothing_else():
    world = WORLD.copy()
    change("posting", {"posting_id": PENDING}, good=2_001)(world)
    delete("document", posting_id=ISSUE)(world)

    def named(**scope):
        return sorted(f.kind for f in world.audited(Scope(**scope)).findings)

    assert named() == named(plant="P") == [ALTERED, HOLE]
    assert named(order="g") == [ALTERED]
    assert named(order="a") == named(until_us=10) == [HOLE]
    assert named(plant="Q") == named(order="f") == []


def test_documents_are_read_as_json_lines_and_as_csv(tmp_path):
    told = {"erp": "s4", "document": "1/26", "posting_id": PLAIN.upper(), "order": "a", "good": "9.001", "note": "?"}
    (tmp_path / "d.ndjson").write_text(json.dumps(told) + "\n" + json.dumps(told | {"good": 2, "scrap": 1.125}))
    (tmp_path / "d.csv").write_text("erp,document,posting_id,order,good\ns4,1/26," + PLAIN + ",a,9.001\n")
    first, second = erp_documents(tmp_path / "d.ndjson").to_pylist()
    assert [first] == erp_documents(tmp_path / "d.csv").to_pylist()
    assert (first["posting_id"], first["order_id"], first["good"], first["scrap"]) == (PLAIN, "a", 9_001, None)
    assert (second["good"], second["scrap"]) == (2_000, 1_125)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"erp": "s4"}', "row 1 has no document"),
        ("[1]", "row 1 has no erp and no document"),
        ('{"erp": "s4", "document": "1", "good": 0.0001}', "good is '0.0001'"),
        ('{"erp": "s4", "document": "1", "good": "NaN"}', "good is 'NaN'"),
        ("{", "cannot be read"),
    ],
)
def test_documents_that_cannot_be_used_are_refused(tmp_path, text, words):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(DocumentsUnreadable, match=words):
        erp_documents(tmp_path / "d.json")
    with pytest.raises(DocumentsUnreadable, match="cannot be read"):
        erp_documents(tmp_path / "none.json")
