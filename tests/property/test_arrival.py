"""Laws of ``arrival`` (M03, M08): sources that number nothing, against a twin."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from canonical.columns import EventBatch, Sessions, Vocabulary
from canonical.policy import SequencePolicy
from dataflows.processors.arrival import Arrival

ROW = st.tuples(st.sampled_from(["m1", "m2"]), st.integers(1, 12), st.booleans())
Told = list[tuple[str, str, int, int]]


def twin(rows: list, horizon: int) -> Told:
    """Row by row: an identity is known while fewer than ``horizon`` newer ones have come."""
    known: dict = {}
    session: dict = {}
    number: dict = {}
    out = []
    for offset, (source, identity, start) in enumerate(rows):
        if known.get((source, identity), -horizon - 1) >= len(out) - horizon:
            continue
        known[source, identity] = len(out)
        if start:
            session[source] = str(np.datetime64(offset, "us")) + "Z"
        key = (source, session.get(source, ""))
        out.append((*key, number.get(key, 0), offset))
        number[key] = number.get(key, 0) + 1
    return sorted(out)


def run(rows: list, horizon: int, cuts: list[int], *, restart: bool) -> tuple[Told, Arrival]:
    policy = SequencePolicy(mode="arrival", identity_horizon_rows=horizon)
    arrival = Arrival(policy, Sessions(Vocabulary()))
    out = []
    bounds = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    for a, b in pairwise(bounds):
        if restart:
            vocabulary = Vocabulary()
            vocabulary.code(f"noise {a}")
            arrival = Arrival.decode(policy, Sessions(vocabulary), arrival.encode())
        vocabulary = arrival.sessions.vocabulary
        part = rows[a:b]
        columns = {
            "source": vocabulary.codes([r[0] for r in part]),
            "identity": np.array([r[1] for r in part], np.uint64),
            "session_start": np.array([r[2] for r in part], np.bool_),
            "occurred_us": np.arange(a, b, dtype=np.int64),
            "offset": np.arange(a, b, dtype=np.int64),
        }
        ready = arrival.step(EventBatch(len(part), columns), 0).ready
        texts = vocabulary.texts
        names = (ready[n].tolist() for n in ("source", "session", "seq", "offset"))
        out += [(texts[s], texts[e], q, o) for s, e, q, o in zip(*names, strict=True)]
    return sorted(out), arrival


@given(st.lists(ROW, max_size=60), st.sampled_from([1, 2, 5, 100]), st.lists(st.integers(1, 59)), st.booleans())
def test_agrees_with_the_twin_however_cut_and_restarted(rows: list, horizon: int, cuts: list, restart: bool) -> None:
    told, arrival = run(rows, horizon, cuts, restart=restart)
    assert told == twin(rows, horizon)
    table = arrival.table
    read, released, duplicates = (int(table[n][: table.size].sum()) for n in ("read", "released", "duplicates"))
    assert (read, released, duplicates) == (len(rows), len(told), len(rows) - len(told))


@given(st.lists(ROW, max_size=40))
def test_input_that_comes_again_yields_nothing_new(rows: list) -> None:
    told, _ = run([*rows, *rows], 1000, [len(rows)], restart=True)
    assert told == run(rows, 1000, [], restart=False)[0]
