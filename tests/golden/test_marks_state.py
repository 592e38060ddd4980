"""State of marks that this release wrote must decode in every later one.

Recorded once by running this file as a script; never edited. A new version gets a file of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from canonical.columns import TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts import EventType
from canonical.policy import StatePolicy
from dataflows.processors.marks import Marks

FILE = Path(__file__).parent / "state" / "marks-1.arrows"


def batch(sessions: Sessions, kinds: list[EventType]) -> EventBatch:
    """One row for each of the sources m1, m2, ..."""
    vocabulary, n = sessions.vocabulary, len(kinds)
    sids = [
        sessions.row(vocabulary.code("A"), vocabulary.code(f"m{i}"), vocabulary.code("b7")) for i in range(1, n + 1)
    ]
    columns = {
        "sid": np.array(sids, np.int32),
        "seq": np.zeros(n, np.int64),
        "type": np.array([TYPE_CODE[kind] for kind in kinds], np.int8),
        "good": np.full(n, 1_000, np.int64),
        "occurred_us": np.zeros(n, np.int64),
    }
    return EventBatch(n, columns)


def test_recorded_state_decodes() -> None:
    sessions = Sessions(Vocabulary())
    marks = Marks.decode(StatePolicy(), sessions, FILE.read_bytes())
    found = marks.step(batch(sessions, [EventType.PARTIAL] * 3), EventBatch.empty())
    assert list(zip(found["source"], found["session"], found["state"], strict=True)) == [
        ("m1", "b7", "production"), ("m3", "b7", "production")
    ]  # fmt: skip


def record() -> None:
    marks = Marks(StatePolicy(), sessions := Sessions(Vocabulary()))
    marks.step(batch(sessions, [EventType.DOWNTIME, EventType.START, EventType.PAUSE]), EventBatch.empty())
    FILE.write_bytes(marks.encode())


if __name__ == "__main__":
    record()
