"""``plantsync simulate --prove``: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataflows.cli.app import app
from dataflows.proof import BrokenLaw, Campaign, Law, Verdict

OWN = """
plant = "Q"
time_zone = "Europe/Berlin"
format = "csv"
[input]
folder = "q"
[csv]
columns = ["Maschine", "Nr", "Art", "Zeit", "Gut"]
[fields]
source = "Maschine"
seq = "Nr"
type = "Art"
occurred = "Zeit"
good = "Gut"
[sequencing]
modulus = 32
gap_timeout_s = 4
[aggregation]
count_max = 3
idle_s = 9
"""


@pytest.fixture
def prove(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *options: CliRunner().invoke(app, ["simulate", "--prove", *options])


def settings() -> None:
    Path("q.toml").write_text(OWN)
    Path("plantsync.toml").write_text(
        'landing = "landing"\nplants = ["q.toml"]\n[log]\nkind = "sqlite"\npath = "log.db"\n'
    )


def test_without_settings_the_shipped_plants_are_proven(prove):
    result = prove("--seeds", "4", "--jobs", "1", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["schedules"], told["broken"], told["plants"]) == (4, 0, ["A", "B", "C", "M", "P"])


def test_with_settings_it_is_your_own_plants(prove):
    settings()
    result = prove("--seeds", "30", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "30 schedules over the policies of Q" in result.stdout
    assert "every law holds" in result.stdout


def test_a_seed_tells_what_happened(prove):
    result = prove("--seed", "7")
    assert result.exit_code == 0
    assert result.stdout.startswith("seed 7, plant A, calm: every law holds")
    assert "all processes die" in result.stdout


def test_a_broken_law_is_told_with_its_seed_and_ends_in_1(prove, monkeypatch):
    broken = BrokenLaw(Law.ONCE, "every posting id once", "one again")
    monkeypatch.setattr(Campaign, "run", lambda _, seed: Verdict(seed, "A", True, broken, ["a fault"], {}))
    result = prove("--seed", "7")
    assert result.exit_code == 1
    assert "broken law: once" in result.stdout
    assert prove("--seed", "7", "--json").exit_code == 1


@pytest.mark.parametrize(
    "options", [("--seed", "1", "--seeds", "5"), ("--out", "there"), ("--seed", "1", "--jobs", "2")]
)
def test_options_that_exclude_each_other(prove, options):
    assert prove(*options).exit_code == 2


def test_its_options_need_it():
    assert CliRunner().invoke(app, ["simulate", "--out", "there", "--seeds", "5"]).exit_code == 2
