"""A plant nobody has seen is connected from 200 of its records, with fewer than 40 lines by hand (M45)."""

from __future__ import annotations

import difflib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from canonical.mapping import load, problems
from canonical.records import RawRecords
from dataflows.onboarding.column import Column
from dataflows.onboarding.onboarding import draft, examine
from dataflows.onboarding.report import Report, Status
from dataflows.onboarding.sample import raw_records
from dataflows.onboarding.suite import examined
from dataflows.onboarding.trial import tried
from tests.onboarding.unknown_plant import RECORDS, as_csv, as_fixed, rows

HERE = Path(__file__).parent
NOW_US = int(datetime(2026, 3, 3, 12, tzinfo=UTC).timestamp()) * 1_000_000
EDITS_MAX = 40
FORMS = {
    "plant_d": ("export.csv", as_csv, "D", ""),
    "plant_e": ("export.txt", as_fixed, "E", "Europe/Berlin"),
}


@pytest.fixture(params=FORMS)
def onboarded(request, tmp_path):
    """The proposal's text, the edited file, the sample and the truth, as semicolon CSV and as fixed width."""
    name, form, plant, zone = FORMS[request.param]
    records, truth = rows()
    sample = tmp_path / name
    sample.write_bytes(form(records))
    return draft(sample, plant, zone), HERE / f"{request.param}.toml", sample, truth


def test_the_hand_edits_of_a_proposal_are_few_and_reach_the_truth(onboarded):
    proposal, edited, sample, truth = onboarded
    changed = difflib.unified_diff(
        proposal.text.replace(sample.name, "").splitlines()[1:], edited.read_text().splitlines()[1:], n=0, lineterm=""
    )
    assert sum(line[:1] in "+-" and line[:3] not in {"+++", "---"} for line in changed) < EDITS_MAX
    assert problems(edited) == []

    mapping = load(edited)
    report = examine(mapping, sample, NOW_US)

    assert report.records - report.totals["skipped"] == RECORDS
    assert report.faults == []
    assert report.has_passed
    assert report.totals["operational"] == truth.stops
    assert report.totals["duplicates"] == truth.repeated
    made = tried(mapping, [raw_records(mapping.format, sample.read_bytes(), "")], NOW_US).confirmations
    for name in ("good", "scrap"):
        by_order: dict[str, int] = {}
        for row in made:
            by_order[row["order"]] = by_order.get(row["order"], 0) + row[name]
        assert {order: n for order, n in by_order.items() if n} == {o: n for o, n in getattr(truth, name).items() if n}


def test_a_proposal_can_be_used_at_once_and_leaves_nothing_unsaid(onboarded, tmp_path):
    proposal, _, sample, _ = onboarded
    path = tmp_path / "plant.toml"
    path.write_text(proposal.text)
    assert problems(path) == []
    assert proposal.unsure == proposal.text.count("# unsure:")
    report = examine(load(path), sample, NOW_US)
    # What nobody but the plant can say is a fault, or reaches no ERP; it is never guessed.
    assert report.totals["accounted"] == 0


def test_what_the_values_of_a_column_do_decides_what_it_is(tmp_path):
    records, _ = rows()
    sample = tmp_path / "export.csv"
    sample.write_bytes(as_csv(records))
    text = draft(sample, "D").text
    assert 'seq = "Lfd. Nr."  # the name says' in text
    assert "its name and its values say it goes on counting" in text

    presses = [record[1] for record in records]
    one_by_one = Column("x", [record[2] for record in records])
    counter = Column("x", [record[8] or None for record in records], ",")
    made = Column("x", [str(i * 7919 % 13) for i in range(len(records))])
    assert [column.numbers_records(presses) for column in (one_by_one, counter, made)] == [True, False, False]
    assert [column.goes_on(presses) for column in (one_by_one, counter, made)] == [True, True, False]
    assert not one_by_one.numbers_records([""] * len(records))  # of all presses together it repeats itself


def damage(raw: RawRecords, row: int, value: bytes) -> RawRecords:
    values = [raw.value(i) for i in range(len(raw))]
    values[row] = value
    return RawRecords.from_values(values, np.arange(len(values), dtype=np.int64))


@pytest.mark.parametrize(
    ("old", "new", "failed"),
    [
        ("", "", []),
        ('ST = "downtime"', "", ["decodes"]),
        ('RM = "partial"', 'RM = "state"', ["confirmations"]),
        ('mode = "number"', 'mode = "arrival"\nidentity_horizon_rows = 1', ["dedup"]),
        ("[units]", '[units]\n"no such word" = "KGM"\nno = "KGM"', ["bad records"]),
    ],
)
def test_the_suite_finds_what_is_wrong_with_a_mapping(onboarded, tmp_path, old, new, failed):
    _, edited, sample, _ = onboarded
    path = tmp_path / "plant.toml"
    path.write_text(edited.read_text().replace(old, new, 1))

    report = examine(load(path), sample, NOW_US)

    assert failures(report) == failed
    assert report.has_passed == (not failed)


def test_a_fault_that_is_explained_fails_nothing(onboarded):
    _, edited, sample, _ = onboarded
    mapping = load(edited)
    raw = raw_records(mapping.format, sample.read_bytes(), "")
    short, foreign = damage(raw, 5, b"RM;P1"), damage(raw, 5, raw.value(5).replace(b"Stk", b"Fas"))

    assert failures(examined(mapping, short, NOW_US)) == ["decodes"]
    assert failures(examined(mapping, foreign, NOW_US)) == ["decodes", "units"]
    # The number that is missing now is told, and fails nothing.
    report = examined(mapping, short, NOW_US, ["TRUNCATED"])
    assert failures(report) == []
    assert next(check for check in report.checks if check.name == "order").status is Status.NOTED


def failures(report: Report) -> list[str]:
    return [check.name for check in report.checks if check.status is Status.FAILED]


def test_a_report_says_it_to_people_and_to_scripts(onboarded):
    _, edited, sample, _ = onboarded
    mapping = load(edited)
    raw = damage(raw_records(mapping.format, sample.read_bytes(), ""), 5, b"RM;P1")
    report = examined(mapping, raw, NOW_US)

    page, told = report.markdown("plant.toml", sample.name), json.loads(json.dumps(report.told()))

    assert "### TRUNCATED: 1" in page
    assert "      RM;P1" in page
    assert not told["passed"]
    assert told["faults"][0]["examples"][0]["original"] == "RM;P1"
    assert report.checks[0].told in page
