"""Versions of a mapping are kept in the trail, pinned, and gone back to, with a record of it (A21, M35)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canonical import mapping
from canonical.contracts import TrailAction
from dataflows import settings
from dataflows.canary import in_force
from dataflows.mapping_versions import Rollback, VersionRefused, history, version_of
from dataflows.settings import SettingsInvalid
from dataflows.trail.attest import KEPT_MAX
from dataflows.trail.operator_trail import operator_trail
from dataflows.trail.trail_check import verified
from sinks.commit_log import WriterFenced
from tests.command import plantsync
from tests.mapped_plant import MAPPING, MappedPlant, clock, line

CHANGED = MAPPING.replace('PCE = "H87"', 'PCE = "KGM"')


@pytest.fixture
def plant(tmp_path: Path) -> MappedPlant:
    """It worked under one version, then under another."""
    made = MappedPlant(tmp_path)
    made.lands("1.json", line(0))
    made.mapping.write_text(CHANGED)
    made.lands("2.json", line(1))
    return made


def digests(plant: MappedPlant) -> list[str]:
    return [version.digest for version in history(plant.settings, "P")]


def back(plant: MappedPlant, digest: str) -> None:
    plan = Rollback.planned(plant.settings, "P", version_of(plant.settings, "P", digest))
    with operator_trail(plant.settings) as trail:
        plan.apply(trail, "anna@line-3", "wrong unit", clock())


def test_each_version_is_kept_as_its_file_was(plant):
    first, second = history(plant.settings, "P")
    assert (first.text, second.text) == (MAPPING, CHANGED)
    assert second.digest == mapping.load(plant.mapping).digest
    assert (first.shards, second.shards) == ([], ["folder:p"])
    assert first.since_us < second.since_us
    assert history(plant.settings, "Q") == []


def test_the_way_back_and_forward_again_is_recorded_and_what_was_made_stays(plant):
    first, second = digests(plant)
    made = plant.records("confirmations")
    back(plant, first[:8])
    assert plant.mapping.read_text() == MAPPING
    assert plant.records("confirmations") == made
    entry = plant.records("trail")[-1]
    assert (entry["action"], entry["subject"], entry["actor"]) == (TrailAction.MAPPING_ROLLED_BACK, "P", "anna@line-3")
    assert (entry["before"], entry["after"], entry["reason"]) == (second, first, "wrong unit")

    plant.lands("3.json", line(2))
    assert plant.records("trail")[-1]["after"] == first, "the shard attests what it works under"
    assert [row["unit"] for row in plant.records("confirmations")] == ["H87", "KGM", "H87"]
    assert not verified(plant.settings, clock).breaks

    back(plant, second)
    assert plant.mapping.read_text() == CHANGED
    assert list(plant.folder.glob(".p.toml*")) == []


def test_a_version_that_no_shard_worked_under_is_kept_when_it_is_replaced(plant):
    never = MAPPING.replace('"H87"', '"MTR"')
    plant.mapping.write_text(never)
    digest = mapping.load(plant.mapping).digest
    back(plant, digests(plant)[0])
    assert version_of(plant.settings, "P", digest).text == never
    assert history(plant.settings, "P")[-1].since_us is None


def test_what_cannot_be_gone_back_to_is_refused_with_the_way_out(plant):
    first, second = digests(plant)
    for prefix in (first[:7], "00000000"):
        with pytest.raises(VersionRefused, match=f"known are {first[:16]}, {second[:16]}"):
            version_of(plant.settings, "P", prefix)
    version = version_of(plant.settings, "P", first)
    with pytest.raises(VersionRefused, match="no plant 'Q'"):
        Rollback.planned(plant.settings, "Q", version)
    version.files = {"e.avsc": "{}"}
    with pytest.raises(VersionRefused, match=r"--file e\.avsc"):
        Rollback.planned(plant.settings, "P", version)
    version.files, version.text = {}, CHANGED.replace("KGM", "MTR")
    with pytest.raises(VersionRefused, match=f"took it for {first[:16]}, this one takes it for"):
        Rollback.planned(plant.settings, "P", version)
    version.text = "no mapping"
    with pytest.raises(VersionRefused, match="this plantsync refuses version"):
        Rollback.planned(plant.settings, "P", version)
    plan = Rollback.planned(plant.settings, "P", version_of(plant.settings, "P", first))
    with operator_trail(plant.settings) as trail, operator_trail(plant.settings), pytest.raises(WriterFenced):
        plan.apply(trail, "anna", "too late", clock())
    assert plant.mapping.read_text() == CHANGED, "what is not recorded is not done"


def test_of_a_file_that_is_too_large_only_the_digest_is_kept(plant):
    plant.mapping.write_text(f"# {'x' * KEPT_MAX}\n" + MAPPING.replace('"H87"', '"MTR"'))
    plant.lands("3.json", line(2))
    version = history(plant.settings, "P")[-1]
    assert version.shards == ["folder:p"]
    with pytest.raises(VersionRefused, match="was not kept"):
        Rollback.planned(plant.settings, "P", version)


def test_a_plant_is_held_to_the_version_that_is_pinned(plant):
    first, second = digests(plant)
    text = plant.config.read_text()
    plant.config.write_text(f'{text}[pins]\nP = "{second[:16]}"\n')
    held = plant.settings
    plant.mapping.write_text(MAPPING)
    (problem,) = settings.problems(plant.config)
    assert (problem.key, problem.line) == ("pins.P", len(text.splitlines()) + 2)
    assert problem.hint == f"plantsync mapping rollback P {second[:16]}, or pin the new version"
    with pytest.raises(SettingsInvalid, match=f"version {first[:16]}, and another one is pinned"):
        plant.run()
    with pytest.raises(SettingsInvalid, match="another one is pinned"):
        held.mappings()  # a flow that began under the other version, and begins again after an outage

    plantsync(plant.folder, "mapping", "rollback", "P", second[:16], "--apply", "--reason", "back to what is pinned")
    assert settings.problems(plant.config) == []
    plant.config.write_text(f'{text}[pins]\nQ = "{second[:16]}"\n')
    assert [(each.key, each.message) for each in settings.problems(plant.config)] == [
        ("pins.Q", "there is no such plant")
    ]


def test_of_a_plant_with_several_files_none_is_pinned_or_replaced(plant):
    (plant.folder / "q.toml").write_text(MAPPING.replace('folder = "p"', 'folder = "q"'))
    text = plant.config.read_text().replace('"p.toml"', '"p.toml", "q.toml"')
    plant.config.write_text(text)
    with pytest.raises(VersionRefused, match="several mapping files"):
        Rollback.planned(plant.settings, "P", version_of(plant.settings, "P", digests(plant)[0]))
    new = mapping.load(plant.mapping)
    assert in_force(plant.settings, new).input.folder == "p"
    plant.config.write_text(f'{text}[pins]\nP = "{new.digest[:16]}"\n')
    assert [each.message for each in settings.problems(plant.config)] == ["several mappings are of it"]


def test_the_commands(plant):
    first, second = digests(plant)
    told = json.loads(plantsync(plant.folder, "mapping", "history", "P", "--json"))
    assert [(each["digest"], each["kept"], each["in_file"]) for each in told["versions"]] == [
        (first, True, False),
        (second, True, True),
    ]
    assert plantsync(plant.folder, "mapping", "show", "P", first[:10]) == MAPPING
    said = plantsync(plant.folder, "mapping", "rollback", "P", first[:10])
    assert "Nothing has been changed." in said
    assert "confirmations are not taken back" in said
    assert f'[pins] P = "{first[:16]}"' in said
    assert plant.mapping.read_text() == CHANGED


def test_a_key_that_says_what_holds_anyway_is_no_other_version(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(MAPPING)
    plain = mapping.load(path).digest
    path.write_text(
        MAPPING + '[limits]\ndepth_max = 16\n[time]\nformat = "iso8601"\n[routes]\nstate = "analytics-only"\n'
    )
    assert mapping.load(path).digest == plain
    path.write_text(MAPPING + "[limits]\ndepth_max = 17\n")
    assert mapping.load(path).digest != plain
