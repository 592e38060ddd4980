"""From confirmation to document the audit finds what its naive twin finds, whatever is damaged (M31, M34)."""

from __future__ import annotations

from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.chain_world import World, event_name
from tests.property import twin_chain

quantities = st.tuples(*[st.integers(0, 5).map(lambda n: 1_000 * n)] * 3)
fates = st.sampled_from(
    ["posted", "split", "received", "reversed", "refused", "withdrawn", "pending", "unread", "nameless"]
)
untold = st.sampled_from(["waiting", "ruled-out", "discarded", "superseded", "refused", "not-counted"])
made_ = st.lists(
    st.tuples(st.one_of(fates, untold.map("told {}".format)), quantities, st.sampled_from("ab")), min_size=1, max_size=8
)
used_ = st.lists(st.lists(st.integers(1, 900), min_size=1, max_size=3), max_size=2)
damages_ = st.tuples(
    st.integers(0, 4), st.integers(0, 15), st.sampled_from(["gone", "twice", "altered", "another"]),
    st.integers(0, 3), st.integers(1, 9),
)  # fmt: skip
RELATIONS = ("posting", "unposted", "receipt", "business_exception", "document")
ALTERED = {
    "posting": ("good", "scrap", "rework", "number"),
    "unposted": ("good", "scrap", "rework"),
    "document": ("good", "scrap", "rework", "quantity"),
}


def built(made: list, used: list) -> World:
    """Return a sound world. What is not settled is at the end: nothing of its order may be settled behind it."""
    w = World()
    for fate, (good, scrap, rework), order in sorted(made, key=lambda each: each[0] in {"refused", "pending"}):
        c = w.confirm(
            good, scrap, rework, order if fate not in {"refused", "pending"} else f"{order}{len(w.confirmation)}"
        )
        name = c["posting_id"]
        if fate == "nameless":
            c["order"], c["work_center"] = "", "W"
            start = w.consume("start", 0, order=order, work_center="W", occurred_us=0)
            w.accept(*w.post_made(c, order=order, told_by=(event_name(start),)))
        elif fate.startswith("told "):
            w.not_posted(c, fate.removeprefix("told "))
        elif fate == "unread":
            w.not_posted(c, "waiting")
        else:
            parts = w.post_made(c, ("0010", "0020") if fate == "split" else ("0010",))
            if fate in {"pending", "refused"}:
                w.held.append(parts[0]["posting_id"])
            if fate == "refused":
                w.answer(parts[0], "rejected")
                w.complain(parts[0])
            elif fate == "withdrawn":
                w.answer(parts[0], "withdrawn")
            elif fate != "pending":
                receipts = [w.accept(part) for part in parts]
                if fate == "received":
                    w.accept(w.move("goods-receipt", name, [name], good, order, good=good))
                if fate == "reversed":
                    w.accept(w.reverse(parts[0]), reverses=receipts[0]["document"])
    for amounts in used:
        names = sorted(event_name(w.consume("consume", amount)) for amount in amounts)
        w.accept(w.move("goods-issue", f"consumption/{names[0]}", names, sum(amounts), "a", operation=""))
    return w.seal()


def damaged(w: World, damage: tuple[int, int, str, int, int]) -> None:
    at, place, how, name, other = damage
    relations = [each for each in RELATIONS if getattr(w, each)] or ["confirmation"]
    relation = relations[at % len(relations)]
    rows = getattr(w, relation)
    row = rows[place % len(rows)]
    names = [each for each in ALTERED.get(relation, ()) if each in row]
    if relation == "confirmation" or how == "gone":
        if relation != "confirmation":
            rows.remove(row)
    elif how == "twice" and relation not in {"unposted", "business_exception", "document"}:
        rows.append(row | {"stream_offset": max(each["stream_offset"] for each in rows) + 1})
    elif how == "another" and "posting_id" in row and relation != "business_exception":
        row["posting_id"] = str(UUID(int=other))
    elif names:
        row[names[name % len(names)]] += 1_000


@settings(max_examples=20)
@given(made_, used_, st.lists(damages_, max_size=3))
# The ERP's document stays that of the posting it carries, whichever receipt names another one beside it.
@example([("posted", (0, 0, 0), "a")], [], [(1, 0, "twice", 0, 1), (1, 0, "another", 0, 1)])
@example([("posted", (0, 0, 0), "a")], [], [(1, 0, "twice", 0, 1), (1, 1, "another", 0, 1)])
# A document may be called that of a posting of another kind.
@example([("posted", (0, 0, 0), "a")], [[1]], [(0, 1, "another", 0, 1), (1, 0, "another", 0, 1)])
def test_the_audit_finds_what_its_twin_finds(made: list, used: list, damages: list) -> None:
    world = built(made, used)
    for damage in damages:
        damaged(world, damage)
    found = world.audited()
    expected = twin_chain.findings(world)
    assert damages or not expected
    told = {(f.kind, f.posting_id) for f in found.findings}
    assert told == {(kind, name) for kind, name, _ in expected}, found.findings
    assert {f.document for f in found.findings} >= {document for _, _, document in expected if document}
