"""State of the desk of the flow postings that a release wrote must decode in every later one, and be gone on from.

Recorded by running this file as a script, once for each form of the state; never edited. ``desk-1`` is of before it was
kept what of each component was issued.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canonical.contracts import Event, OrderComponent
from dataflows.processors.posting.consumption import ConsumptionPolicy
from dataflows.processors.posting.gathering import GatheringPolicy
from dataflows.processors.posting.policy import PostingPolicy
from tests.postings_world import HOUR_US, NOW_US, Plant, action, confirmation, lot, material, order, references, word

FOLDER = Path(__file__).parent / "state"
FORMS = sorted(path.stem for path in FOLDER.glob("desk-*.json"))
STEEL = OrderComponent(item="1", reservation="77", material="STEEL", quantity=9_000, unit="KGM")
POLICY = PostingPolicy(
    patience_us=0,
    quality_timeout_us=HOUR_US,
    gathering=GatheringPolicy(ConsumptionPolicy(window_us=HOUR_US), final_wait_us=0),
)


def used(quantity: int) -> Event:
    about = {"plant": "A", "source": "s", "order": "4711", "operation": "0010", "material": "STEEL", "unit": "KGM"}
    return Event.model_validate({"type": "consume", "occurred_us": NOW_US, "quantity": quantity, **about})


def told() -> Plant:
    """A desk with something in each part of its state."""
    plant = Plant(POLICY, references())
    plant.tell(
        order(changed_us=3, components=(STEEL,)),
        order("4712", "created"),
        material("STEEL", base_unit="KGM"),
        material(inspected=True, changed_us=4),
        lot("Lä"),
        lot("L2"),
    )
    (first, *_) = plant.tell(confirmation(0, good=5_000))
    plant.tell(confirmation(1, good=4_000), confirmation(2, order="4712"), confirmation(0, good=3_000, revision=1))
    plant.tell(confirmation(0, "0020", good=1_000, lot="Lä"), word(of="L2"))
    plant.tell(confirmation(1, "0020", good=2_000, lot="Lä"))
    plant.tell(action("reverse", posting_id=str(plant.postings[1].posting_id)), action("discard", exception_id="x"))
    plant.desk.event(used(1_500), "e1", plant.now_us)
    plant.later(HOUR_US)  # The receipts go to quality stock, the issue is posted.
    plant.desk.event(used(250), "e2", plant.now_us)
    plant.tell(action("reverse", 1, posting_id="nothing known"))
    assert first.good == 5_000
    plant.commit()
    return plant


def stored(form: str) -> dict[str, str]:
    return json.loads((FOLDER / f"{form}.json").read_text())


@pytest.fixture(params=FORMS)
def plant(request: pytest.FixtureRequest) -> Plant:
    plant = Plant(POLICY, ())
    plant.parts = {part: value.encode() for part, value in stored(request.param).items()}
    plant.now_us = NOW_US + HOUR_US
    plant.restart()
    return plant


def test_every_part_is_recorded() -> None:
    for form in FORMS:
        kinds = {name.partition(":")[0] for name in stored(form)}
        assert kinds == {"case", "consumption", "desk", "exception", "lot", "order", "posted", "reference"}


def test_it_goes_on(plant: Plant) -> None:
    plant.later(0)
    assert plant.exceptions == [], "nothing is told twice"
    posted = {name: len(plant.tell(confirmation(*given))) for name, given in (("copy", (1,)), ("new", (8,)))}
    assert posted == {"copy": 0, "new": 1}
    assert plant.postings[-1].number == 10, "the numbers of the order go on"
    assert plant.tell(action("reverse", 1, posting_id="nothing known")) == []
    assert [p.kind for p in plant.tell(word(of="Lä"))] == ["stock-transfer", "stock-transfer"]
    (released,) = plant.tell(order("4712", changed_us=9))
    assert (released.order, released.good) == ("4712", 1_000)
    assert {each.code.value: each.resolution for each in plant.exceptions} == {"QUALITY_RELEASE_MISSING": "revalidated"}
    plant.later(HOUR_US)
    assert plant.postings[-1].movements[0].quantity == 250


def test_what_was_issued_before_counts_where_it_was_kept(plant: Plant, request: pytest.FixtureRequest) -> None:
    plant.later(0)
    plant.later(HOUR_US)
    known = 0 if request.node.callspec.params["plant"] == "desk-1" else 1_500
    (steel,) = plant.usages
    assert (steel.planned, steel.actual) == (9_000, known + 250)


if __name__ == "__main__":
    for number in range(1, 100):
        file = FOLDER / f"desk-{number}.json"
        if not file.exists():
            file.write_text(json.dumps({name: value.decode() for name, value in told().parts.items()}, indent=1) + "\n")
            break
