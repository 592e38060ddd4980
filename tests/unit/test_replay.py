"""A replay is recorded or not sent, finished after a crash, and never counts a record twice (M29, M35)."""

from __future__ import annotations

from collections import Counter

import pytest

from dataflows.dead_letter_box import fetched_again, letters
from dataflows.replay.original_records import OriginalRecords
from dataflows.replay.selection import Selection
from dataflows.trail.operator_trail import OperatorTrail, operator_trail
from dataflows.trail.trail_check import verified
from sinks.commit_log import CommitInDoubt, WriterFenced
from sinks.dead_letters import parse
from tests.mapped_plant import clock
from tests.replayed_plant import MAPPING, ReplayedPlant, record


@pytest.fixture
def plant(tmp_path) -> ReplayedPlant:
    plant = ReplayedPlant(tmp_path)
    plant.lands("1.json", record(0), record(1, u="STCK", o="2"), record(2))
    assert plant.good() == 1_000
    plant.mended()
    return plant


def test_a_record_that_is_understood_now_fills_its_hole(plant):
    plan = plant.replay.planned(Selection())
    assert plan.records == 1
    assert plan.would.totals == Counter(read=1, released=2, held=-1)
    assert {order[1]: sums["good"] for order, sums in plan.would.orders.items()} == {"2": 1_000}

    plant.apply()
    plant.run()
    assert plant.good() == 3_000


def test_a_link_that_leads_out_of_the_folder_is_a_dead_letter_that_cannot_be_sent(plant, monkeypatch):
    plant.lands("secret", record(3))
    (plant.landing / "secret").rename(plant.folder / "secret")
    (plant.landing / "3.json").symlink_to(plant.folder / "secret")
    plant.run()
    *_, (place, stored) = letters(plant.settings)
    letter = parse(stored)
    assert (letter.fault.code, letter.fault.plant, letter.topic, letter.value) == (
        "UNSAFE_NAME", "P", "p/3.json", b"3.json"
    )  # fmt: skip
    plan = plant.replay.planned(Selection(places=(place,)))
    assert (plan.records, plan.found.gone) == (0, 1)
    monkeypatch.setattr(OriginalRecords, "_is", lambda *_: True)  # whatever lies at its place is another record
    assert fetched_again(plant.settings, stored, clock) is None


def test_a_replay_cut_off_after_its_entry_is_finished_by_the_next(plant, monkeypatch):
    monkeypatch.setattr("dataflows.replay.replay.drop", lambda *_: None)
    plant.apply()
    monkeypatch.undo()
    assert plant.visible() == ["1.json"]
    assert len(plant.hidden()) == 1

    with operator_trail(plant.settings) as trail:
        assert plant.replay.finished(trail) == 1
        assert plant.replay.finished(trail) == 0
    plant.run()
    assert plant.good() == 3_000
    assert verified(plant.settings, clock).breaks == []


@pytest.mark.parametrize("error", [WriterFenced("taken over"), OSError("full")])
def test_without_its_entry_nothing_is_sent(plant, monkeypatch, error):
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(OperatorTrail, "append", refused)
    with pytest.raises(type(error)):
        plant.apply()
    assert plant.visible() == ["1.json"]
    assert plant.hidden() == []


@pytest.mark.parametrize("stored", [True, False])
def test_where_the_answer_was_lost_the_log_decides(plant, monkeypatch, stored):
    append = OperatorTrail.append

    def lost(*arguments: object) -> None:
        if stored:
            append(*arguments)
        raise CommitInDoubt("no answer")

    monkeypatch.setattr(OperatorTrail, "append", lost)
    with pytest.raises(CommitInDoubt):
        plant.apply()
    monkeypatch.undo()
    assert len(plant.hidden()) == 1

    with operator_trail(plant.settings) as trail:
        assert plant.replay.finished(trail) == stored
    assert plant.hidden() == []
    assert len(plant.visible()) == 1 + stored


def test_of_two_who_replay_at_once_one_is_refused(plant):
    with operator_trail(plant.settings) as first:
        plan = plant.replay.planned(Selection(), first.state)
        plant.apply()
        with pytest.raises(WriterFenced):
            plant.replay.applied(plan, first, "berta", "me too")
    plant.run()
    assert plant.good() == 3_000


def test_a_letter_is_replayed_once_unless_again(plant):
    plant.apply()
    plan = plant.replay.planned(Selection())
    assert (plan.records, plan.found.already) == (0, 1)

    plant.run()
    again = plant.replay.planned(Selection(again=True))
    assert (again.records, again.found.already) == (1, 0)
    assert again.would.totals == Counter(read=1, duplicates=1)
    plant.apply(Selection(again=True))
    plant.run()
    assert plant.good() == 3_000


def test_what_would_fail_again_stays_where_it_is(plant):
    plant.lands("2.json", record(3, u="ELLE"))
    plan = plant.replay.planned(Selection())

    assert plan.records == 1
    assert plan.found.faulty == Counter(UNKNOWN_UNIT=1)


def test_the_limit_leaves_the_rest_for_the_next_time(plant):
    plant.mapping.write_text(MAPPING)
    plant.lands("2.json", record(3, u="STCK"), record(4, u="STCK"))
    plant.mended()

    plan = plant.replay.planned(Selection(limit=2))
    assert (plan.records, plan.found.more) == (2, True)
    plant.apply(Selection(limit=2))
    plan = plant.replay.planned(Selection(limit=2))
    assert (plan.records, plan.found.more, plan.found.already) == (1, False, 2)


def test_letters_of_a_shard_that_is_gone_are_counted(plant):
    plant.mapping.write_text(MAPPING.replace('folder = "p"', 'folder = "q"'))

    assert plant.replay.planned(Selection()).found.strangers == Counter({"folder:p": 1})


@pytest.fixture
def held(tmp_path) -> tuple[ReplayedPlant, bytes]:
    """A reading that was held back, and refused by the counter when its bytes were gone."""
    plant, wild = ReplayedPlant(tmp_path), record(2, c=100_000, g=0)
    plant.lands("1.json", record(0, c=1, g=0), wild)
    plant.lands("2.json", record(1, c=2, g=0))
    return plant, wild


def test_bytes_that_were_not_kept_are_fetched_again(held):
    plant, wild = held
    ((_, stored),) = letters(plant.settings)
    assert not parse(stored).original

    found = fetched_again(plant.settings, stored, clock)
    assert found == (wild.rstrip(b"\n"), None, ())
    plan = plant.replay.planned(Selection())
    assert (plan.records, plan.would.totals) == (1, Counter(read=1, duplicates=1))


def test_bytes_that_are_gone_from_the_input_too_are_counted(held):
    plant, _ = held
    (plant.landing / "1.json").write_bytes(record(7))
    ((_, stored),) = letters(plant.settings)

    assert fetched_again(plant.settings, stored, clock) is None
    plan = plant.replay.planned(Selection())
    assert (plan.records, plan.found.gone) == (0, 1)


def test_another_record_at_the_same_place_is_not_taken_for_it(tmp_path):
    plant, wild = ReplayedPlant(tmp_path), record(2, c=100_000, g=0)
    first = record(0, c=1, g=0)
    plant.lands("0.json", first.replace(b'"m"', b'"x"'), record(1, s="x", c=2, g=0))
    plant.lands("1.json", first, wild)
    plant.lands("2.json", record(1, c=2, g=0))
    ((_, stored),) = letters(plant.settings)

    assert fetched_again(plant.settings, stored, clock) == (wild.rstrip(b"\n"), None, ())
    (plant.landing / "1.json").unlink()
    assert fetched_again(plant.settings, stored, clock) is None
