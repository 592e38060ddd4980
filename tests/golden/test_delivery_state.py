"""State of a delivery that this release wrote must decode in every later one.

Recorded once by running this file as a script; never edited. A new version gets files of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import pytest

from canonical.contracts import ActionKind
from dataflows.processors.delivery.delivery import STATE, Delivery
from dataflows.processors.delivery.entry import Entry, Phase
from tests.property.erp_twin import POLICY, S, World, posting

FILE = Path(__file__).parent / "state/delivery-1.json"


def recorded() -> dict[str, str]:
    """State with a posting in every phase, an outage, documents, and actions."""
    world = World(1, [posting(f"O{n}", m) for n in range(6) for m in range(2)], 0.0)
    keys = [str(p.posting_id) for p in world.queue]
    world.erp.faulty = {keys[0]}
    world.erp.follows = {keys[2], keys[4]}
    world.erp.failed = {keys[2]}
    for _ in range(24):
        world.advance(S // 10)
        world.tick()
        world.commit()
    world.act(ActionKind.DISCARD, posting_id=keys[0])
    world.queue = [*world.queue, posting("P1", 0), posting("P2", 0), posting("P2", 1)]
    world.erp.away_until_us = 10**18
    for _ in range(20):
        world.advance(S // 10)
        world.tick()
        world.commit()
    state = dict(world.log.state)
    for number, phase in enumerate((Phase.DOUBT, Phase.UNKNOWN, Phase.STUCK, Phase.MOVING, Phase.REJECTED)):
        entry = Entry(posting(f"X{number}", 0), 900 + number, 1, phase, due_us=2, attempts=3, maybe_us=4)
        if phase in (Phase.UNKNOWN, Phase.STUCK, Phase.REJECTED):
            entry.notice, entry.notice_us = "ERP_REJECTED", 5
        state[f"posting.{entry.key}"] = entry.encode()
    return {part: value.decode() for part, value in state.items()}


@pytest.fixture(scope="module")
def state() -> MappingProxyType[str, bytes]:
    return MappingProxyType({part: value.encode() for part, value in json.loads(FILE.read_text()).items()})


def test_recorded_state_decodes(state):
    delivery = Delivery("E", POLICY, lambda: 1.0, state, 2_000 * S)
    entries = delivery.book.entries.values()

    assert delivery.held == sum(part.startswith("posting.") for part in state)
    assert {entry.phase for entry in entries} == {*Phase} - {Phase.ADMITTED}
    documents = json.loads(state["documents.0"])
    assert {key: delivery.book.documents.get(key) for key in documents} == documents != {}
    assert delivery.decisions.known
    assert json.loads(state[STATE])["notices"][0][0] == "ERP_UNAVAILABLE"
    assert delivery.away_us == json.loads(state[STATE])["notices"][0][2]  # the ERP is away, as the state says
    assert not delivery.idle  # and is tried first, since only the process before this one knew it
    assert json.loads(state[STATE])["version"] == 1


def test_recorded_state_is_written_as_it_was(state):
    for part, value in state.items():
        if part.startswith("posting."):
            assert Entry.decode(value).encode() == value


def test_state_of_a_newer_release_is_refused(state):
    newer = {**state, STATE: state[STATE].replace(b'"version":1', b'"version":2')}

    with pytest.raises(ValueError, match="upgrade plantsync"):
        Delivery("E", POLICY, lambda: 1.0, newer, 0)


if __name__ == "__main__":
    FILE.write_text(json.dumps(recorded(), indent=1, sort_keys=True) + "\n")
