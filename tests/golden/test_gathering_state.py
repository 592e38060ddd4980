"""State of what is gathered that this release wrote must decode in every later one.

Recorded once by running this file as a script; never edited. A new version gets files of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canonical.contracts import Confirmation, Event
from canonical.identity import posting_id
from dataflows.processors.posting.activities import ActivityPolicy
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.gathering import Gathering, GatheringPolicy
from dataflows.processors.posting.scrap_watch import ScrapPolicy

FILE = Path(__file__).parent / "state/gathering-1.json"
MINUTE_US = 60_000_000
NOW_US = 1_772_539_200_000_000
POLICY = GatheringPolicy(activities=ActivityPolicy(), scrap=ScrapPolicy())


def event(kind: str, minute: int, **fields: object) -> Event:
    told = {"plant": "A", "source": "s", "order": "100", "operation": "0010", "work_center": "W", "lot": "Lä"} | fields
    return Event.model_validate({"type": kind, "occurred_us": NOW_US + minute * MINUTE_US, **told})


def confirmation() -> Confirmation:
    return Confirmation.model_validate({
        "plant": "A", "source": "m", "order": "100", "operation": "0010", "lot": "L", "posting_date": "2026-03-03",
        "first_seq": 0, "last_seq": 0, "first_occurred_us": NOW_US, "last_occurred_us": NOW_US, "events": 1,
        "first_offset": 0, "last_offset": 0, "close_reason": "count", "good": 9_000, "scrap": 91_000,
        "posting_id": posting_id("A", "m", "", 0, "confirmation"),
    })  # fmt: skip


def recorded() -> dict[str, str]:
    """State with something of each kind."""
    gathering = Gathering(POLICY)
    gathering.event(event("consume", 0, material="STEEL", unit="KGM", quantity=1_500, from_bin="B"), "e1", NOW_US)
    for number, (kind, minute, fields) in enumerate((
        ("start", 0, {}), ("start", 2, {"order": "200"}), ("downtime", 3, {"reason": "SETUP", "order": "200"}),
        ("downtime", 5, {"order": ""}), ("resume", 7, {"order": ""}), ("complete", 9, {}), ("pause", 60, {}),
    )):  # fmt: skip
        gathering.event(event(kind, minute, **fields), f"a{number}", NOW_US + minute * MINUTE_US)
    (moved,) = gathering.event(event("move", 0, material="STEEL", quantity=7, from_bin="B", to_bin="C"), "e2", NOW_US)
    gathering.put_back(moved, NOW_US)
    gathering.confirmation(confirmation(), NOW_US)
    return {part: value.decode() for part, value in gathering.encode().items()}


@pytest.fixture
def gathering() -> Gathering:
    restored = Gathering(POLICY)
    restored.decode({part: value.encode() for part, value in json.loads(FILE.read_text()).items()})
    return restored


def test_it_goes_on(gathering: Gathering) -> None:
    found: dict[str, list[Draft]] = {}
    while (due_us := gathering.due_us()) is not None:
        for draft in gathering.wake(due_us):
            found.setdefault(draft.cause.partition("/")[0], []).append(draft)
    assert sorted(found) == ["activity", "consumption", "move"]
    (issue,), (move,) = found["consumption"], found["move"]
    assert [(m.material, m.lot, m.quantity, m.storage_location) for m in issue.movements] == [
        ("STEEL", "Lä", 1_500, "B")
    ]
    assert (move.movements[0].quantity, move.movements[0].to_storage_location) == (7, "C")
    times = {(draft.order, draft.machine_us // MINUTE_US, draft.setup_us // MINUTE_US) for draft in found["activity"]}
    # Run for a minute, set up until its limit; cut at midnight.
    assert times == {("200", 1, 715), ("200", 0, 3)}


def test_a_breach_is_not_told_again(gathering: Gathering) -> None:
    assert gathering.confirmation(confirmation(), NOW_US + 1) == ([], [])


if __name__ == "__main__":
    FILE.write_text(json.dumps(recorded(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
