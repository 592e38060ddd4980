"""A real machine's log through plant M: every line accounted for, and exactly 4 good parts."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from canonical.mapping import load
from canonical.plants import shipped
from canonical.records import RawRecords
from tests import scripted_flow

LOG = Path(__file__).parents[3] / "shared" / "fixtures" / "shdr" / "okuma_imts2022_shdr.txt"
READ_US = int(datetime(2022, 8, 9, tzinfo=UTC).timestamp() * 1_000_000)
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    if not LOG.exists():
        pytest.skip(f"{LOG} is not there: it is not part of this project")
    return LOG.read_bytes().splitlines(keepends=True)


def fed(lines: list[bytes], cuts: list[int]) -> scripted_flow.Outcome:
    mapping = load(next(path for path in shipped() if path.stem == "plant_m"))
    batches, offset = [], 0
    for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        data = b"".join(lines[a:b])
        batches.append((READ_US, RawRecords.from_lines(data, offset)))
        offset += len(data)
    return scripted_flow.run(mapping, batches, READ_US + DAY_US)


@pytest.fixture(scope="module")
def whole(lines: list[bytes]) -> scripted_flow.Outcome:
    return fed(lines, [])


def test_every_line_is_accounted_for(lines: list[bytes], whole: scripted_flow.Outcome) -> None:
    totals = whole.totals()
    assert scripted_flow.balanced(totals)
    assert totals["read"] + totals["skipped"] == len(lines) == 10_770
    assert totals["duplicates"] == 47
    assert totals["held"] == totals["gaps"] == 0


def test_sessions_are_separated_and_four_parts_are_confirmed(whole: scripted_flow.Outcome) -> None:
    told = whole.confirmations()
    assert sum(c["good"] for c in told) == 4_000
    sessions = {c["session"] for c in told}
    assert len(sessions) == 4
    assert {s: sum(c["good"] for c in told if c["session"] == s) for s in sessions} == dict.fromkeys(sessions, 1_000)


def test_the_machine_produced_while_its_programs_ran(whole: scripted_flow.Outcome) -> None:
    """States by EXECUTION (M22): each of four programs begins, ends, and leaves the machine idle."""
    marks = [json.loads(line) for record in whole.stored("states") for line in record.value.splitlines()]
    by_session: dict[str, list[str]] = {}
    for mark in marks:
        by_session.setdefault(mark["session"], []).append(mark["state"])
    assert list(by_session.values()) == [["production", "delay", "delay"]] * 4
    assert {mark["work_center"] for mark in marks} == {"WC-M100"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_cuts_change_nothing(lines: list[bytes], whole: scripted_flow.Outcome, seed: int) -> None:
    cuts = sorted(random.Random(seed).sample(range(1, len(lines)), 200))
    assert fed(lines, cuts).confirmations() == whole.confirmations()


def test_line_by_line_changes_nothing(lines: list[bytes], whole: scripted_flow.Outcome) -> None:
    again = fed(lines, list(range(1, len(lines))))
    assert again.confirmations() == whole.confirmations()
    assert again.accounts() == whole.accounts()
