"""State bytes that this release wrote must decode in every later one.

Recorded once by running this file as a script; never edited. A new version gets files of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from canonical.columns import EventBatch, Sessions, Vocabulary
from canonical.policy import SequencePolicy
from dataflows.processors.arrival import Arrival
from dataflows.processors.sequence import Sequence

STATE = Path(__file__).parent / "state"
NUMBER = SequencePolicy(gap_timeout_s=1, conflict_horizon_rows=4)
ARRIVAL = SequencePolicy(mode="arrival")


def batch(vocabulary: Vocabulary, seqs: list[int], identities: list[int]) -> EventBatch:
    n = len(seqs)
    columns = {
        "plant": vocabulary.codes(["A"] * n),
        "source": vocabulary.codes(["m1"] * n),
        "lot": vocabulary.codes(["L1"] * n),
        "seq": np.array(seqs, np.int64),
        "good": np.array(seqs, np.int64) * 1000,
        "identity": np.array(identities, np.uint64),
        "session_start": np.array([i == 0 for i in range(n)], np.bool_),
        "occurred_us": np.maximum(np.array(seqs, np.int64), 0),
    }
    return EventBatch(n, columns)


def parts(name: str) -> dict[str, bytes]:
    return {path.name.split("-")[0]: path.read_bytes() for path in STATE.glob(f"sequence.*-{name}-1.arrows")}


def test_numbered() -> None:
    sequence = Sequence.decode(NUMBER, Sessions(Vocabulary()), parts("number"))
    table = sequence.table
    totals = {name: int(table[name][0]) for name in ("read", "released", "gaps", "missing", "next_seq")}
    assert totals == {"read": 5, "released": 4, "gaps": 1, "missing": 2, "next_seq": 6}
    assert sequence.held_rows().tolist() == [1]
    done = sequence.step(batch(sequence.sessions.vocabulary, [2, 6, 5], [0, 0, 0]), 0)
    assert done.late["seq"].tolist() == [2]
    assert done.ready["seq"].tolist() == [6, 7]
    assert done.ready["good"].tolist() == [6000, 7000]
    assert int(table["duplicates"][0]) == 1


def test_held_rows_of_before_version_3_concern_no_quantity() -> None:
    sequence = Sequence.decode(NUMBER, Sessions(Vocabulary()), parts("number"))
    vocabulary = sequence.sessions.vocabulary
    moved = {"quantity": np.array([1_500], np.int64), "from_bin": vocabulary.codes(["B-1"])}
    done = sequence.step(batch(vocabulary, [6], [0]).with_columns(moved), 0)
    assert done.ready["quantity"].tolist() == [1_500, 0]
    assert vocabulary.text(done.ready["from_bin"]) == ["B-1", ""]
    again = sequence.step(batch(vocabulary, [7, 6], [0, 0]).with_columns({"handling_unit": vocabulary.codes("HH")}), 0)
    assert [fault.code for fault in again.faults] == ["CONFLICTING_DUPLICATE"] * 2


def test_arrival() -> None:
    arrival = Arrival.decode(ARRIVAL, Sessions(Vocabulary()), parts("arrival"))
    done = arrival.step(batch(arrival.sessions.vocabulary, [-1] * 3, [11, 12, 13]), 0)
    assert done.ready["seq"].tolist() == [2]
    assert arrival.sessions.vocabulary.text(done.ready["session"]) == ["1970-01-01T00:00:00.000000Z"]


@pytest.mark.parametrize("name", ["number", "arrival"])
def test_every_part_is_kept(name: str) -> None:
    assert len(parts(name)) == 3


def record() -> None:
    sequence = Sequence(NUMBER, Sessions(Vocabulary()))
    vocabulary = sequence.sessions.vocabulary
    sequence.step(batch(vocabulary, [0, 1, 4, 5], [0] * 4), 0)
    sequence.wake(2_000_000)
    sequence.step(batch(vocabulary, [7], [0]), 2_000_000)
    arrival = Arrival(ARRIVAL, Sessions(Vocabulary()))
    arrival.step(batch(arrival.sessions.vocabulary, [-1, -1], [11, 12]), 0)
    for name, state in (("number", sequence.encode()), ("arrival", arrival.encode())):
        for part, value in state.items():
            (STATE / f"{part}-{name}-1.arrows").write_bytes(value)


if __name__ == "__main__":
    record()
