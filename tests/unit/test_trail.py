"""The audit trail tells every way of tampering with it by name (M35)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from canonical.contracts import TrailAction, TrailEntry, trail_hash
from sinks.commit_log import CommitLogError, Stored
from sinks.trail import PART, Deed, Head, append, breaks

DEED = Deed(TrailAction.REPLAY, "anna@line-3", "r1", "Zähler war \u2028verstellt", after="ab" * 32, detail="{}")
Entries = list[dict]


def chain(name: str, length: int) -> tuple[Entries, Head]:
    head, entries = None, []
    for number in range(length):
        head, record = append(name, head, DEED, 1_760_000_000_000_000 + number)
        assert record.key == name.encode()
        entries.append(json.loads(record.value))
    assert head is not None
    return entries, head


def stored(*chains: Entries) -> list[Stored]:
    flat = [entry for entries in chains for entry in entries]
    return [Stored(i, e["chain"].encode(), json.dumps(e).encode()) for i, e in enumerate(flat, 1)]


def hashed(entry: dict) -> dict:
    return {**entry, "hash": trail_hash(TrailEntry.model_validate(entry))}


def test_the_hash_is_that_of_the_documented_form():
    entries, _ = chain("folder:plant-a", 1)
    content = {name: value for name, value in entries[0].items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert entries[0]["hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_entries_are_numbered_and_linked_and_the_head_is_the_last():
    entries, head = chain("operator", 3)

    assert [e["number"] for e in entries] == [0, 1, 2]
    assert [e["previous"] for e in entries] == ["", entries[0]["hash"], entries[1]["hash"]]
    assert Head.of({PART: head.encode()}) == head == Head(2, entries[2]["hash"], "ab" * 32)


def test_whole_chains_hold_however_they_are_interleaved():
    a, head_a = chain("a", 3)
    b, head_b = chain("b", 2)
    heads = {"a": head_a, "b": head_b}

    assert breaks(stored([a[0], b[0], a[1], a[2], b[1]]), heads, heads) == []
    assert breaks([], {}, {}) == []


def test_an_entry_committed_while_the_trail_was_read_breaks_nothing():
    entries, after = chain("a", 4)
    _, before = chain("a", 3)

    assert breaks(stored(entries), {"a": before}, {"a": after}) == []
    assert breaks(stored(entries[:3]), {"a": before}, {"a": after}) == []


def altered(name: str, value: object) -> Callable[[Entries], Entries]:
    return lambda entries: [{**e, name: value} if e["number"] == 2 else e for e in entries]


def rehashed(entries: Entries) -> Entries:
    return [hashed({**e, "actor": "nobody"}) if e["number"] == 2 else e for e in entries]


def rehashed_last(entries: Entries) -> Entries:
    return [*entries[:-1], hashed({**entries[-1], "actor": "nobody"})]


def inserted(entries: Entries) -> Entries:
    return [*entries[:3], hashed({**entries[2], "reason": "made up"}), *entries[3:]]


def appended(entries: Entries) -> Entries:
    last = entries[-1]
    return [*entries, hashed({**last, "number": last["number"] + 1, "previous": last["hash"]})]


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        *[
            (altered(name, value), [("altered", 2)])
            for name, value in {
                "at_us": 5,
                "actor": "nobody",
                "action": "mapping-changed",
                "subject": "r2",
                "reason": "",
                "before": "00" * 32,
                "after": "",
                "detail": "{ }",
                "version": "9",
            }.items()
        ],
        (altered("previous", "00" * 32), [("altered", 2), ("unlinked", 2)]),
        (altered("hash", "00" * 32), [("altered", 2), ("unlinked", 3)]),
        (lambda entries: entries[1:], [("missing", 0)]),
        (lambda entries: [*entries[:2], *entries[3:]], [("missing", 2)]),
        (lambda entries: entries[:-1], [("truncated", 4)]),
        (lambda entries: entries[:-2], [("truncated", 3)]),
        (lambda _: [], [("truncated", 0)]),
        (inserted, [("inserted", 2)]),
        (appended, [("inserted", 5)]),
        (rehashed, [("unlinked", 3)]),
        (rehashed_last, [("altered", 4)]),
        (lambda entries: [entries[0], entries[2], entries[1], *entries[3:]], [("missing", 1), ("inserted", 1)]),
    ],
)
def test_what_was_tampered_with_is_named(tamper, expected):
    entries, head = chain("a", 5)
    other, other_head = chain("b", 2)
    heads = {"a": head, "b": other_head}

    found = breaks(stored(other, tamper(entries)), heads, heads)

    assert [(b.kind, b.number) for b in found] == expected
    assert {b.chain for b in found} == {"a"}


def test_a_chain_that_no_state_knows_was_put_in():
    entries, _ = chain("ghost", 1)

    assert [(b.kind, b.chain) for b in breaks(stored(entries), {}, {})] == [("inserted", "ghost")]


def test_what_is_no_entry_is_altered():
    entries, head = chain("a", 1)
    (record,) = stored(entries)
    heads = {"a": head}

    (unreadable,) = breaks([record, Stored(2, b"a", b"{}")], heads, heads)
    assert (unreadable.kind, unreadable.chain) == ("altered", "a")
    assert "record 2 is no entry" in unreadable.detail
    (other_key,) = breaks([Stored(1, b"b", record.value)], heads, heads)
    assert (other_key.kind, other_key.chain, other_key.number) == ("altered", "a", 0)


def test_a_head_of_a_newer_plantsync_is_refused():
    with pytest.raises(CommitLogError, match="upgrade plantsync"):
        Head.of({PART: b'{"version":2}'})
