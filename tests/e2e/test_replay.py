"""``plantsync replay`` on simulated plants: dry run, apply, the truth is reached, repeats change nothing (M29, M35).

The traffic of plants A and B says units that their mappings do not know at first, so that much of it
becomes dead letters; then the mappings are mended.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from canonical.plants import shipped
from dataflows.simulator.truth import MEASURES, ORDER_KEY, Truth
from sinks.sqlite import SqliteStreams
from tests.command import plantsync, ran, started, told

SETTINGS = """\
landing = "landing"
plants = ["plants/plant_a.toml", "plants/plant_b.toml", "plants/plant_c.toml", "plants/plant_m.toml"]
[pace]
commit_interval_s = 0.2
settle_s = 0
"""
LOCAL = {
    "a": {(b'"unit":"PCE"', b'"unit":"STCK"'): 'STCK = "H87"'},
    # All units: what a counter made while its readings were refused is in the next one accepted, whatever its order.
    "b": {(b";Stk;", b";Teil;"): 'Teil = "H87"', (b";kg;", b";Kilo;"): 'Kilo = "KGM"'},
}
"""Of each plant: what its records say, what they say here (of plant A one in three), and what its mapping lacks."""
REASON = "the unit is mapped now"


def run(folder: Path) -> None:
    plantsync(folder, "run", "confirmations", "--until-end", "-q")


def mend(folder: Path) -> None:
    for plant, words in LOCAL.items():
        path = folder / f"plants/plant_{plant}.toml"
        path.write_text(path.read_text().replace("[units]\n", "\n".join(["[units]", *words.values(), ""])))


def committed(folder: Path) -> dict[str, list[bytes]]:
    """Values of every stream but those that tell of the replay itself."""
    with closing(SqliteStreams(folder / "state/plantsync.db")) as log:
        streams = ("confirmations", "events", "dead-letters", "gaps")
        return {stream: [stored.value for stored in log.read(stream, 0, 1_000_000)] for stream in streams}


def trail(folder: Path) -> list[dict]:
    with closing(SqliteStreams(folder / "state/plantsync.db")) as log:
        return [json.loads(stored.value) for stored in log.read("trail", 0, 1_000_000)]


def on_disk(folder: Path) -> dict[str, bytes]:
    """Every file, but for those that SQLite keeps beside its own while somebody reads."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".db-shm", ".db-wal"})
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def sums(folder: Path, plant: str) -> dict[tuple, Counter]:
    out: dict[tuple, Counter] = defaultdict(Counter)
    for value in committed(folder)["confirmations"]:
        row = json.loads(value)
        if row["plant"] == plant:
            out[tuple(row[name] for name in ORDER_KEY)].update({name: row[name] for name in MEASURES})
    return {key: +counter for key, counter in out.items() if +counter}


def truth(folder: Path, plant: str) -> dict[tuple, Counter]:
    rows = Truth.load(folder / "landing/truth.json").plants[plant].orders
    return {tuple(getattr(r, n) for n in ORDER_KEY): +Counter({n: getattr(r, n) for n in MEASURES}) for r in rows}


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Path:
    """Traffic that has been read with mappings that lack a unit; gaps have been declared, open runs closed."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "plants").mkdir()
    (folder / "plantsync.toml").write_text(SETTINGS)
    for path in shipped():
        text = re.sub(r"(?m)^gap_timeout_s = \d+", "gap_timeout_s = 0.3", path.read_text())
        text = re.sub(r"(?m)^idle_s = \d+", "idle_s = 0.3", text)
        (folder / "plants" / path.name).write_text(text)
    plantsync(folder, "simulate", "--out", "landing", "--preset", "small", "--seed", 7)
    for plant, words in LOCAL.items():
        for path in (folder / f"landing/plant-{plant}").iterdir():
            stamp, content = path.stat(), path.read_bytes()
            for said, says in words:
                content = b"".join(
                    line if plant == "a" and numbered(line) % 3 else line.replace(said, says)
                    for line in content.splitlines(keepends=True)
                )
            path.write_bytes(content)
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # The order of the files is their time's.
    settled(folder)
    return folder


def numbered(line: bytes) -> int:
    """Number of a record of plant A: what is said twice under one number is spoilt alike, or the wrong one counts."""
    found = re.search(rb'"n":(\d+)', line)
    return int(found[1]) if found else 0


def settled(folder: Path) -> None:
    """Run the flow, and again after whatever waits has waited long enough."""
    for _ in range(3):
        run(folder)
        time.sleep(0.35)
    run(folder)


@pytest.fixture
def folder(broken, tmp_path) -> Path:
    shutil.copytree(broken, tmp_path / "plant")
    mend(tmp_path / "plant")
    return tmp_path / "plant"


@pytest.fixture(scope="module")
def mended(broken, tmp_path_factory) -> Path:
    """The same after the mappings were mended, the dead letters replayed, and the flow has taken them in."""
    folder = tmp_path_factory.mktemp("mended") / "plant"
    shutil.copytree(broken, folder)
    mend(folder)
    done = told(folder, "replay", "--code", "UNKNOWN_UNIT", "--apply", "--reason", REASON, "--actor", "anna@line-3")
    (folder / "done.json").write_text(json.dumps(done))
    settled(folder)
    return folder


def test_a_dry_run_says_what_would_change_and_changes_nothing(folder):
    before = on_disk(folder)
    plan = told(folder, "replay", "--code", "UNKNOWN_UNIT")
    text = plantsync(folder, "replay", "--code", "UNKNOWN_UNIT")

    assert on_disk(folder) == before
    assert plan["applied"] is None
    assert plan["records"] > 1_000
    assert plan["records"] == sum(plan["shards"].values())
    assert set(plan["shards"]) == {"folder:plant-a", "folder:plant-b"}
    assert plan["would"]["confirmations"]["supplementary"] > 0
    assert plan["would"]["ledger"]["late"] > 0
    assert plan["left_out"]["still_faulty"]["UNKNOWN_UNIT"] == 3
    assert "Nothing has been changed." in text


def test_the_truth_is_reached(broken, mended):
    for plant in "ABCM":
        assert sums(mended, plant) == truth(mended, plant), plant
    for plant in "AB":
        assert sums(broken, plant) != truth(broken, plant), plant


def test_the_forecast_comes_true(folder, mended):
    plan = json.loads((mended / "done.json").read_text())
    key = ("plant", "order", "operation", "lot", "unit")

    def by_order(where: Path) -> dict[tuple, Counter]:
        out: dict[tuple, Counter] = defaultdict(Counter)
        for value in committed(where)["confirmations"]:
            row = json.loads(value)
            out[tuple(row[name] for name in key)].update({name: row[name] for name in MEASURES})
        return out

    before, after = by_order(folder), by_order(mended)
    for order, counter in before.items():
        after[order].subtract(counter)
    grown = {order: +counter for order, counter in after.items() if +counter}
    assert grown == {
        tuple(row[n] for n in key): +Counter({n: row[n] for n in MEASURES}) for row in plan["would"]["orders"]
    }


def test_mapping_and_replay_stand_in_the_trail(mended):
    done = json.loads((mended / "done.json").read_text())
    entries = trail(mended)
    changes = {e["chain"]: e for e in entries if e["action"] == "mapping-changed" and e["number"] == 1}
    (replayed,) = [e for e in entries if e["action"] == "replay"]

    assert set(changes) == {"folder:plant-a", "folder:plant-b"}
    assert all(e["before"] and e["after"] not in ("", e["before"]) for e in changes.values())
    assert (replayed["chain"], replayed["number"], replayed["actor"]) == ("operator", 0, "anna@line-3")
    assert (replayed["reason"], replayed["subject"]) == (REASON, done["applied"]["id"])
    assert replayed["hash"] == done["applied"]["hash"]
    detail = json.loads(replayed["detail"])
    assert detail["records"] == done["records"]
    assert detail["selection"]["codes"] == ["UNKNOWN_UNIT"]
    for name in done["files"]:
        assert done["applied"]["id"] in Path(name).name


def test_a_second_replay_leaves_out_what_was_replayed(mended):
    again = told(mended, "replay", "--code", "UNKNOWN_UNIT", "--plant", "B")

    assert again["left_out"]["replayed_before"] > 400
    assert again["records"] == 0


def test_replaying_again_all_the_same_changes_nothing(mended, tmp_path):
    folder = tmp_path / "plant"
    shutil.copytree(mended, folder)
    before = committed(folder)
    done = told(folder, "replay", "--code", "UNKNOWN_UNIT", "--again", "--apply", "--reason", "once more")
    settled(folder)

    assert done["records"] > 1_000
    assert done["would"]["orders"] == []
    assert done["would"]["ledger"]["duplicates"] == done["would"]["ledger"]["read"] == done["records"]
    assert committed(folder) == before


def test_original_records_of_a_numbered_source_change_nothing(mended, tmp_path):
    folder = tmp_path / "plant"
    shutil.copytree(mended, folder)
    before = committed(folder)
    plan = told(folder, "replay", "--from", "input", "--plant", "A", "--limit", 500)
    done = told(folder, "replay", "--from", "input", "--plant", "A", "--limit", 500, "--apply", "--reason", "proof")
    settled(folder)

    assert plan["records"] == done["records"]
    assert 400 < plan["records"] <= 500
    assert plan["left_out"]["more"]
    assert plan["would"]["orders"] == []
    assert committed(folder) == before


def test_original_records_are_found_by_order_lot_time_and_place(mended):
    letter = next(path for path in sorted((mended / "landing/plant-a").iterdir()) if "replay" not in path.name)
    first = json.loads(letter.read_bytes().splitlines()[0])
    by = ("replay", "--from", "input", "--shard", "folder:plant-a")
    order = told(mended, *by, "--order", first["order"], "--lot", first["lot"])["records"]
    one = told(mended, *by, "--topic", f"plant-a/{letter.name}", "--offsets", "0:0")

    assert 0 < order < told(mended, *by)["records"]
    assert one["records"] == 1
    assert told(mended, *by, "--source", first["machine"], "--until", "2001-01-01", code=1)["records"] == 0


def test_original_records_without_numbers_are_refused(mended):
    done = ran(mended, "replay", "--from", "input", "--plant", "B")

    assert done.returncode == 1
    assert "identity_horizon_rows" in done.stderr


def test_dead_letters_of_an_order_are_chosen_by_the_mapping_in_force(folder):
    whole = told(folder, "replay", "--plant", "A")
    order = whole["would"]["orders"][0]["order"]
    part = told(folder, "replay", "--plant", "A", "--order", order)

    assert 0 < part["records"] < whole["records"]
    assert {row["order"] for row in part["would"]["orders"]} == {order}
    assert list(part["shards"]) == ["folder:plant-a"]


def test_what_nothing_matches_is_told_by_the_exit_code(folder):
    assert "No record matches" in plantsync(folder, "replay", "--source", "nobody", "--code", "NOT_UTF8", code=1)
    plantsync(folder, "replay", "--place", "99999999", code=1)
    plantsync(folder, "replay", "--apply", code=2)
    plantsync(folder, "replay", "--offsets", "9:1", "--shard", "x", code=2)


def test_a_replay_while_the_flow_runs(folder):
    service = started(folder, "run", "confirmations", said=(folder / "log", folder / "log"))
    try:
        done = told(folder, "replay", "--code", "UNKNOWN_UNIT", "--apply", "--reason", REASON)
        deadline = time.monotonic() + 60
        while any(sums(folder, plant) != truth(folder, plant) for plant in "AB"):
            assert service.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        service.terminate()
        service.wait(30)
    assert done["records"] > 1_000
    assert [entry["number"] for entry in trail(folder) if entry["chain"] == "folder:plant-a"] == [0, 1]
