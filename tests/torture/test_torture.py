"""Real processes, really killed: nothing is lost and nothing is there twice (M25, M48; DESIGN laws 3, 4).

The share of ``make torture`` that every run of the tests affords. The torture runs in a process of its own,
because it forks, which a process with drivers in it cannot. What it printed is shown with ``pytest -s``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.torture import report
from tests.torture.place import Place

pytestmark = pytest.mark.timeout(600)  # Far beyond what it takes, for machines that are busy with other things.
ROOT = Path(__file__).parents[2]
SEED = 1 if os.environ.get("CI") == "true" else time.time_ns() % 1_000_000
"""CI takes the same each time; elsewhere every run looks further. A failure says which it was."""


def tortured(*options, seed=SEED):
    command = [sys.executable, "-m", "tests.torture", "--json", "--seed", str(seed), *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout, f"torture ended with {done.returncode}"
    told = json.loads(done.stdout)
    print(report.text(told))
    assert done.returncode == (not told["passed"])
    return told


def killed(told, **wanted):
    """Return how many were killed so: log, flow, processes, how, place."""
    names = ("log", "flow", "processes", "how", "place")
    rows = [dict(zip(names, row, strict=False)) | {"kills": row[-1]} for row in told["kills_by_place"]]
    return sum(row["kills"] for row in rows if wanted.items() <= row.items())


def test_150_kills_on_sqlite_leave_no_trace():
    told = tortured("--kills", "150")
    assert told["passed"], told["problems"]
    assert told["kills"] >= 150
    assert told["kills_inside_commits"] >= 15
    assert killed(told, processes=1, flow="confirmations") >= 5
    assert killed(told, processes=2, flow="confirmations") >= 15
    assert killed(told, flow="analytics") >= 5
    assert killed(told, how="command") >= 3
    assert killed(told, place=Place.BEFORE_FIRST_COMMIT.name) >= 5


@pytest.mark.kafka
def test_50_kills_on_kafka_leave_no_trace(kafka):
    told = tortured("--kills", "50", "--kafka", kafka.servers, "--only", "kafka")
    assert told["passed"], told["problems"]
    assert told["kills"] >= 50
    assert told["kills_inside_commits"] >= 5
    assert killed(told, processes=2, flow="confirmations") >= 5
    assert killed(told, flow="analytics") >= 2


def noticed(told):
    """Return whether the outcome was found to be wrong; a process that crashed would be another matter."""
    return bool(told["problems"]) and not any("ended with" in problem for problem in told["problems"])


@pytest.mark.parametrize(
    ("mutant", "series"),
    [
        ("records-first", "sqlite-plants"),
        ("state-first", "sqlite-plants"),
        ("unfenced", "sqlite-plants"),
        ("store-position-first", "sqlite-live"),
    ],
)
def test_a_log_or_store_that_breaks_the_protocol_is_noticed(mutant, series):
    assert noticed(tortured("--kills", "400", "--records", "3000", "--only", series, "--mutant", mutant, "--discard"))


@pytest.mark.kafka
def test_a_log_on_kafka_that_breaks_the_protocol_is_noticed(kafka):
    options = ("--only", "kafka-plants", "--kafka", kafka.servers, "--mutant", "kafka-state-first", "--discard")
    assert noticed(tortured("--kills", "100", "--records", "3000", *options))
