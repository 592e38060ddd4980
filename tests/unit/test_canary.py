"""A new version of a mapping is run on recorded traffic before it goes live; nothing is written (A21)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canonical import mapping
from dataflows.canary import Canary, CanaryRefused, Taken, canary
from tests.command import plantsync
from tests.mapped_plant import AT_S, MAPPING, MappedPlant, clock, line

ALL = Taken(10_000)


@pytest.fixture
def plant(tmp_path):
    """Forty records of four orders; a tenth of them in a unit that the mapping does not know; a start each ten."""
    made = MappedPlant(tmp_path)
    lines = [
        line(n, o=str(n // 10), u="KGM1" if n % 10 == 5 else "PCE", t="start" if n % 10 == 0 else "complete")
        for n in range(40)
    ]
    made.lands("1.json", *lines[:25])
    made.lands("2.json", *lines[25:])
    return made


def run(plant: MappedPlant, *changes: tuple[str, str], taken: Taken = ALL) -> Canary:
    text = MAPPING
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    new = plant.folder / "new.toml"
    new.write_text(text)
    return canary(plant.settings, mapping.load(new), taken, clock)


def test_another_layout_of_the_same_mapping_differs_in_nothing(plant):
    done = run(plant, ("# What the plant engineer wrote.\n", "# Other words.\n\n"))
    assert not done.differs
    assert done.records == {"folder:p": 40}
    assert not done.cut
    told = done.told()
    assert told["confirmations"]["new"] == told["confirmations"]["old"] > 0
    assert told["orders"] == []
    assert told["fault_examples"] == []


def test_a_unit_that_becomes_known_moves_quantities_and_faults(plant):
    before = plant.log()
    told = run(plant, ('PCE = "H87"', 'PCE = "H87"\nKGM1 = "H87"')).told()
    assert told["differs"]
    assert told["faults"] == {"UNKNOWN_UNIT": {"old": 4, "new": 0}}
    assert [each["new"] for each in told["fault_examples"]] == [""] * 4
    assert {row["order"]: row["new"]["good"] - row["old"]["good"] for row in told["orders"]} == {
        str(n): 2_000 for n in range(4)
    }
    assert plant.log() == before, "nothing was written"


def test_another_factor_changes_quantities_and_a_key_table_changes_other_fields(plant):
    told = run(plant, ('good = "g"', 'good = { path = "g", scale = 10 }')).told()
    assert told["confirmations"]["changed_fields"].keys() == {"good"}
    assert all(row["new"]["good"] == 10 * row["old"]["good"] for row in told["orders"])
    assert told["faults"] == {"UNKNOWN_UNIT": {"old": 4, "new": 4}}

    told = run(plant, ("[units]", '[keys.work_center]\nW1 = "WC-1"\n[units]')).told()
    assert told["confirmations"]["changed_fields"].keys() == {"work_center"}
    assert told["orders"] == []
    assert told["beside"]["events"] == {"old": 4, "new": 4, "only_old": 4, "only_new": 4}


def test_the_last_records_and_those_of_a_time_begin_in_the_middle_of_a_session(plant):
    done = run(plant, taken=Taken(12))
    assert (done.records, done.cut, done.differs) == ({"folder:p": 12}, True, False)
    assert done.was.totals["held"] == 0
    assert {order for _, order, *_ in done.was.orders} == {"2", "3"}

    since, until = ((AT_S + minute * 60) * 1_000_000 for minute in (10, 20))
    done = run(plant, taken=Taken(1_000, since, until))
    # One record of each ten cannot be read, and who knows of what time it is.
    assert (done.records, done.cut) == ({"folder:p": 13}, True)
    assert {order for _, order, *_ in done.was.orders} == {"1"}


def test_what_is_no_version_of_a_plant_of_the_settings_is_refused(plant):
    with pytest.raises(CanaryRefused, match="no plant 'Q': they have P"):
        run(plant, ('plant = "P"', 'plant = "Q"'))


@pytest.mark.usefixtures("plant")
def test_the_command_ends_with_1_where_they_differ(tmp_path: Path):
    new = tmp_path / "new.toml"
    new.write_text(MAPPING.replace('PCE = "H87"', 'PCE = "KGM"'))
    shown = plantsync(tmp_path, "canary", "new.toml", "--last", "20", code=1)
    assert "-> 0" in shown
    assert "fault UNKNOWN_UNIT" in shown
    told = json.loads(plantsync(tmp_path, "canary", "new.toml", "--json", code=1))
    assert told["differs"]
    assert {row["unit"] for row in told["orders"]} == {"H87", "KGM"}
