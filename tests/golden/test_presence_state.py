"""State of presence that a release wrote must decode in every later one.

Recorded once by running this file as a script; never edited. A new version gets files of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

from canonical.contracts import EventType
from dataflows.processors.posting.presence import AttributionPolicy, Presence
from dataflows.processors.posting.timeline import Mark

FILE = Path(__file__).parent / "state/presence-1.json"
NOW_US = 1_772_539_200_000_000
POLICY = AttributionPolicy(interval_max_us=60, marks_max=3)


def told() -> dict[str, str]:
    presence = Presence(POLICY)
    for at, name, kind in ((0, "e1", "start"), (70, "e2", "pause"), (80, "é3", "start"), (90, "e4", "complete")):
        order = "4712" if kind == "complete" else "4711"
        mark = Mark(NOW_US + at, name, EventType(kind), order, "0010", is_setup=False)
        assert presence.tell("A", "Wä", mark)
    return {name: part.decode() for name, part in presence.encode().items() if part}


def test_it_goes_on() -> None:
    presence = Presence(POLICY)
    presence.decode({name: part.encode() for name, part in json.loads(FILE.read_text()).items()})
    assert len(presence) == 3
    found = presence.at("A", "Wä", "", NOW_US + 85, NOW_US + 95)
    assert isinstance(found, Mark)
    assert (found.order, found.operation, found.event_id) == ("4711", "0010", "é3")
    assert not isinstance(presence.at("A", "Wä", "", NOW_US + 50, NOW_US + 50), Mark), "that is forgotten"
    assert presence.encode() == {}


if __name__ == "__main__" and not FILE.exists():
    FILE.write_text(json.dumps(told(), indent=1) + "\n")
