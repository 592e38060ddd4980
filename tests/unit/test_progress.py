"""Progress: what a run holds is told by the newest ledger entry of each session."""

from __future__ import annotations

from canonical.contracts import LedgerEntry
from canonical.wire import encode_ledger
from dataflows.progress import Progress
from sinks.commit_log import Record
from sinks.streams import EVENTS, LEDGER


def entries(shard: str, held: dict[str, int]) -> Record:
    columns = {name: [0] * len(held) for name, field in LedgerEntry.model_fields.items() if field.annotation is int}
    texts = {"plant": ["P"] * len(held), "source": list(held), "session": [""] * len(held)}
    return Record(LEDGER, *encode_ledger(shard, columns | texts | {"held": list(held.values())})[0])


def test_the_newest_entry_of_a_session_counts() -> None:
    progress = Progress()
    progress.ledger([entries("one", {"a": 2, "b": 3}), Record(EVENTS, None, b'{"held":9}'), entries("two", {"a": 4})])
    assert progress.held == 9
    progress.ledger([entries("one", {"a": 0, "b": 5})])
    assert progress.held == 9
    progress.ledger([entries("two", {"a": 0}), entries("one", {"b": 0})])
    assert progress.held == 0


def test_a_name_that_looks_like_a_field_is_a_name() -> None:
    name = 'x","start_seq":1,"held":7,\n"'
    progress = Progress()
    progress.ledger([entries("one", {name: 2, "b": 1})])
    assert progress.held == 3
    progress.ledger([entries("one", {name: 0})])
    assert progress.held == 1
