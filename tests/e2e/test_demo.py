"""``plantsync demo`` as a newcomer types it: a process of its own, flows that are processes, a real kill."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.demo.report import read_outcome
from dataflows.simulator import Truth

PLANTSYNC = Path(sys.executable).with_name("plantsync")
RECORDS = 12_000


def demo(folder, *options):
    command = [PLANTSYNC, "demo", "--folder", folder, "--records", str(RECORDS), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("newcomer") / "demo"


@pytest.fixture(scope="module")
def report(folder):
    done = demo(folder, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_record_is_accounted_for(report):
    plants = report["outcome"]["plants"]
    assert [plant["plant"] for plant in plants] == ["A", "B", "C", "M"]
    for plant in plants:
        parts = sum(plant[name] for name in ("released", "late", "duplicates", "faults", "held"))
        assert plant["read"] == parts > 0
        assert plant["held"] == 0
        assert plant["accounted"] == plant["confirmed_events"]
    assert sum(plant["read"] for plant in plants) > RECORDS / 2
    assert report["outcome"]["balanced"]


def test_what_was_made_is_what_was_confirmed(report):
    assert report["outcome"]["differences"] == []
    assert report["outcome"]["truth_matched"]
    assert report["passed"]


def test_confirmations_was_killed_half_way_and_another_process_went_on(report):
    kill = report["kill"]
    assert kill["signal"] == 9
    assert kill["pid"] != kill["restarted_pid"]
    read = sum(plant["read"] for plant in report["outcome"]["plants"])
    assert 0 < kill["committed"] < read


@pytest.mark.usefixtures("report")
def test_a_single_piece_too_few_in_the_store_would_be_found(folder):
    truth = Truth.load(folder / "truth.json")
    plant = truth.plants["A"]
    order = plant.orders[0].model_copy(update={"good": plant.orders[0].good + 1000})
    made = plant.model_copy(update={"orders": (order, *plant.orders[1:])})
    outcome = read_outcome(
        folder / "analytics.duckdb", truth.model_copy(update={"plants": {**truth.plants, "A": made}})
    )
    assert len(outcome.differences) == 1
    assert f"good {order.good - 1000} confirmed, {order.good} made" in outcome.differences[0]
    assert not outcome.truth_matched


def test_the_queries_shown_work_when_pasted(report):
    for query in report["queries"]:
        done = subprocess.run(shlex.split(query), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) > 2


def test_it_runs_again_in_its_folder_and_shows_the_same_outcome_in_plain_text(report, folder):
    done = demo(folder)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.partition("ask the store:")[0].splitlines())) <= 80
    read = sum(plant["read"] for plant in report["outcome"]["plants"])
    assert f"{read:,} read = " in done.stdout
    assert "truth matched yes" in " ".join(done.stdout.split())
    assert "▒" in done.stdout
    assert "killed" in done.stderr


@pytest.mark.parametrize("marked", [False, True])
def test_a_folder_with_other_things_in_it_is_refused_and_left_as_it_is(tmp_path, marked):
    if marked:
        (tmp_path / ".plantsync-demo").touch()
        (tmp_path / "landing").mkdir()
        (tmp_path / "landing" / "old.csv").write_text("of an earlier demo")
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("three years of work")
    before = sorted(tmp_path.rglob("*"))
    done = demo(tmp_path)
    assert done.returncode == 1
    assert "--folder" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert thesis.read_text() == "three years of work"
