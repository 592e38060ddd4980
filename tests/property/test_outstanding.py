"""What is not settled is known, in whatever order postings, receipts and what waits are read (A14, M19, M38)."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import Event, Posting, Receipt, Unposted
from canonical.identity import posting_id
from sinks.analytics.outstanding import brought_up
from sinks.analytics.store import Store, StoreConfig
from tests.store_rows import NOON_US, table

PLANTS = (f"P{number}" for number in count())
TABLES = ("open_posting", "waiting", "lot_word")

cases = st.lists(
    st.tuples(
        st.sampled_from(["waits", "posted", "waits, then posted", "waits, then discarded"]),
        st.lists(st.sampled_from(["rejected", "accepted", "withdrawn"]), max_size=2).filter(
            lambda said: said.count("accepted") <= 1 and "accepted" not in said[:-1]
        ),
    ),
    max_size=8,
)
words = st.lists(
    st.tuples(st.sampled_from(["hold", "release"]), st.integers(0, 2), st.sampled_from(["K", "L"])), max_size=5
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outstanding")
    opened = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    yield opened
    opened.close()


def world(plant, told):
    """Return postings, receipts, and what is not posted, in the order in which they were written; and what is left."""
    postings, receipts, unposted, opened, waiting = [], [], [], {}, set()
    for number, (fate, said) in enumerate(told):
        cause = f"{plant}-{number}"
        about = {"cause": cause, "kind": "confirmation", "plant": plant, "causes": (cause,), "good": number}
        if fate != "posted":
            unposted.append(Unposted(**about, state="waiting", at_us=NOON_US + number, document_date="2026-09-21"))
        if fate == "waits":
            waiting.add(cause)
        if fate.endswith("discarded"):
            unposted.append(Unposted(**about, state="discarded", at_us=NOON_US + 50 + number))
        if fate.endswith("posted"):
            name = posting_id(plant, "s", "", number, "confirmation", 0)
            about = {"posting_id": name, "kind": "confirmation", "erp": "E", "plant": plant}
            posting = Posting(
                **about, erp_plant="1", number=number, posting_date="2026-09-21", document_date="2026-09-21",
                start_us=NOON_US, end_us=NOON_US, causes=(cause,), good=number,
            )  # fmt: skip
            postings.append(posting)
            opened[str(name)] = "pending"
            for status in said:
                at = dict.fromkeys(("occurred_us", "enqueued_us", "first_sent_us", "sent_us", "answered_us"), NOON_US)
                receipts.append(Receipt(**about, status=status, lane="standard", attempts=1, **at))
                opened[str(name)] = status
    left = {name: status for name, status in opened.items() if status != "accepted"}
    return {"posting": postings, "receipt": receipts, "unposted": unposted}, left, waiting


def rows(name, told, start):
    made = table(told, list(range(start, start + len(told))))
    if name == "posting":
        enqueued = [NOON_US + 100] * len(told)
        made = made.append_column("known_us", [enqueued]).append_column("enqueued_us", [enqueued])
    return made


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases, words, st.data())
def test_what_is_left_is_what_nothing_has_settled(store, told, words, data):
    plant = next(PLANTS)
    streams, left, waiting = world(plant, told)
    streams["event"] = [
        Event(plant=plant, source="q", seq=number, type=word, occurred_us=NOON_US + at, lot=lot, material="M")
        for number, (word, at, lot) in enumerate(words)
    ]
    places = dict.fromkeys(streams, 0)
    for name in streams:
        store.restore(f"{plant} {name}")
    while rest := [name for name, records in streams.items() if places[name] < len(records)]:
        name = data.draw(st.sampled_from(rest))
        end = data.draw(st.integers(places[name] + 1, len(streams[name])))
        read = rows(name, streams[name][places[name] : end], places[name])
        for _ in range(data.draw(st.integers(1, 2))):
            store.commit(f"{plant} {name}", f"{end}", {name: read})
        places[name] = end
    db = store._db
    found = db.execute("SELECT posting_id, coalesce(status, 'pending') FROM open_posting WHERE plant = ?", [plant])
    assert {str(name): status for name, status in found.fetchall()} == left
    assert db.execute("SELECT count(*) FROM open_posting WHERE NOT placed").fetchall() == [(0,)]
    assert {c for (c,) in db.execute("SELECT cause FROM waiting WHERE plant = ?", [plant]).fetchall()} == waiting
    newest = {lot: word for word, _, lot in sorted(words, key=lambda each: (each[1], each[0] == "hold"))}
    assert dict(db.execute("SELECT lot, type FROM lot_word WHERE plant = ?", [plant]).fetchall()) == newest

    kept = {name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=str) for name in TABLES}
    db.execute("BEGIN")
    for name in TABLES:
        db.execute(f"DELETE FROM {name}")
    for statement in brought_up():
        db.execute(statement)
    again = {name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=str) for name in TABLES}
    db.execute("ROLLBACK")
    assert again == kept, "as an older store is brought up to date"


def test_a_posting_that_is_told_again_is_open_once(store):
    plant = next(PLANTS)
    streams, left, _ = world(plant, [("posted", []), ("posted", [])])
    first, second = streams["posting"]
    store.restore(plant)
    for start, told in ((0, [first]), (1, [first, second, second]), (4, [second, first])):
        store.commit(plant, f"{start}", {"posting": rows("posting", told, start)})
    found = store._db.execute("SELECT posting_id FROM open_posting WHERE plant = ?", [plant]).fetchall()
    assert sorted(str(name) for (name,) in found) == sorted(left)
