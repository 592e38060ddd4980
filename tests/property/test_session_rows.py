"""Session rows: each (plant, source, session) has one row, numbered as they arrive, up to the limit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from canonical.columns import EventBatch, Sessions, Vocabulary
from dataflows.processors.session_rows import SessionRows
from dataflows.processors.session_table import SessionTable

KEYS = st.tuples(st.sampled_from(["P", "Q"]), st.sampled_from("abcde"), st.sampled_from(["", "1", "2"]))
NAMES = ("plant", "source", "session")


@given(st.lists(st.lists(KEYS, min_size=1, max_size=30), max_size=6), st.integers(1, 12))
def test_rows_are_those_of_a_dictionary(batches: list, limit: int) -> None:
    sessions = Sessions(Vocabulary())
    rows, twin, fresh = SessionRows(SessionTable(sessions, 1), limit), {}, 0
    for batch in batches:
        codes = [sessions.vocabulary.codes(texts) for texts in zip(*batch, strict=True)]
        n = len(batch)
        events = EventBatch(n, {**dict(zip(NAMES, codes, strict=True)), "row": np.arange(n, dtype=np.int32)})

        sid, kept, faults = rows.of(events)

        for key in batch:
            if len(twin) < limit:
                twin.setdefault(key, len(twin))
        expected = [twin.get(key, -1) for key in batch]
        assert sid.tolist() == [row for row in expected if row >= 0]
        assert kept["row"].tolist() == [i for i, row in enumerate(expected) if row >= 0]
        assert [fault.row for fault in faults] == [i for i, row in enumerate(expected) if row < 0]
        assert rows.take_new() == list(range(fresh, len(twin)))
        fresh = len(twin)
    named = [sessions.vocabulary.text(np.array(column, np.int32)) for column in (sessions.plant, sessions.source)]
    assert list(zip(*named, strict=True)) == [key[:2] for key in twin]
