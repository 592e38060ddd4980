"""``plantsync audit`` as an auditor uses it: simulated plants, a store and a log, damage planted in either."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import uuid
from pathlib import Path

import duckdb
import orjson
import pytest

from canonical.plants import shipped
from tests.command import plantsync

SETTINGS = """\
landing = "landing"
plants = ["shipped:plant_a", "shipped:plant_b", "shipped:plant_c", "shipped:plant_m"]
[pace]
settle_s = 0
"""
STORE = "analytics.duckdb"
LOG = Path("state/plantsync.db")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder in which both flows have run to the end over simulated plants."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "plantsync.toml").write_text(SETTINGS)
    plantsync(folder, "simulate", "--out", "landing", "--preset", "small", "--seed", 5)
    plantsync(folder, "run", "confirmations", "--until-end", "-q")
    plantsync(folder, "run", "analytics", "--until-end", "-q")
    return folder


@pytest.fixture
def damaged(site, tmp_path) -> Path:
    """A copy of the site, to be damaged."""
    shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("landing"))
    return tmp_path / "site"


def audited(folder: Path, *arguments: object, code: int = 0) -> dict:
    told = json.loads(plantsync(folder, "audit", *arguments, "--json", code=code))
    assert told["clean"] == (code == 0)
    return told


def named(told: dict) -> set[tuple]:
    return {(f["kind"], f["plant"], f["source"], f["first_seq"], f["last_seq"]) for f in told["audit"]["findings"]}


def test_sound_plants_are_clean_both_ways(site):
    store, log = audited(site), audited(site, "--log")
    alone = audited(site, "--store", STORE)
    ((read,),) = (
        row.values() for row in json.loads(plantsync(site, "query", "SELECT sum(read) FROM ledger", "--json"))
    )

    assert store["audit"] == log["audit"] == alone["audit"]
    assert store["audit"]["records"] == int(read) > 4_000
    assert store["audit"]["ranges"] > 100
    assert store["on_the_way"] == {}
    assert store["alone"] == ""
    assert alone["alone"]
    assert plantsync(site, "audit").startswith("Nothing lost, nothing twice, nothing altered.\nAudited: store")


def test_a_scope_is_smaller(site):
    whole, plant = audited(site)["audit"], audited(site, "--plant", "A")["audit"]
    (order,) = json.loads(
        plantsync(site, "query", "SELECT order_id FROM confirmation WHERE plant = 'A' LIMIT 1", "--json")
    )

    assert 0 < plant["sessions"] < whole["sessions"]
    assert 0 < audited(site, "--order", order["order_id"])["audit"]["sessions"] <= plant["sessions"]
    assert audited(site, "--until", "2020-01-01")["audit"]["sessions"] == 0
    assert audited(site, "--since", "2020-01-01T00:00+01:00")["audit"]["sessions"] == whole["sessions"]
    plantsync(site, "audit", "--since", "yesterday", code=2)
    plantsync(site, "audit", "--log", "--store", STORE, code=2)


def test_a_hole_a_double_and_an_altered_quantity_in_the_store_are_named(damaged):
    with duckdb.connect(damaged / STORE) as db:
        rows = db.execute(
            "SELECT posting_id, plant, source, first_seq, last_seq FROM confirmation WHERE good > 0 ORDER BY 1 LIMIT 3"
        ).fetchall()
        (hole, double, altered) = (str(row[0]) for row in rows)
        db.execute("DELETE FROM store_hot_confirmation WHERE posting_id = ?", [hole])
        db.execute("INSERT INTO store_hot_confirmation FROM confirmation WHERE posting_id = ?", [double])
        db.execute("UPDATE store_hot_confirmation SET good = good - 1000 WHERE posting_id = ?", [altered])
    expected = {(kind, *row[1:]) for kind, row in zip(("HOLE", "DOUBLE", "ALTERED"), rows, strict=True)}

    for arguments in ((), ("--store", STORE)):
        told = audited(damaged, *arguments, code=1)
        assert named(told) == expected
        assert told["audit"]["counts"] == {"ALTERED": 1, "DOUBLE": 1, "HOLE": 1}
    text = plantsync(damaged, "audit", "--limit", 1, code=1)
    assert text.startswith("3 findings.")
    assert hole[:8] in text
    assert "2 more" in text
    assert audited(damaged, "--log")["clean"]


def test_the_same_in_the_log(damaged):
    db = sqlite3.connect(damaged / LOG)
    rows = [
        (offset, value, json.loads(value))
        for offset, value in db.execute("SELECT offset, value FROM record WHERE stream = 'confirmations'")
    ]
    (gone, _, hole), (_, doubled, double), (changed, _, altered) = [row for row in rows if row[2]["good"]][:3]
    with db:
        db.execute("DELETE FROM record WHERE stream = 'confirmations' AND offset = ?", [gone])
        db.execute("INSERT INTO record VALUES ('confirmations', ?, '', NULL, ?, NULL)", [rows[-1][0] + 1, doubled])
        value = orjson.dumps(altered | {"good": altered["good"] + 1})
        db.execute("UPDATE record SET value = ? WHERE stream = 'confirmations' AND offset = ?", [value, changed])
    db.close()
    kinds = (("HOLE", hole), ("DOUBLE", double), ("ALTERED", altered))

    told = audited(damaged, "--log", code=1)

    expected = {(kind, c["plant"], c["source"], c["first_seq"], c["last_seq"]) for kind, c in kinds}
    assert named(told) == expected | {("GONE", None, None, None, None)}


@pytest.mark.parametrize("stream", ["ranges", "ledger"])
def test_a_record_of_the_ledger_that_is_gone_from_the_log_is_missed(damaged, stream):
    db = sqlite3.connect(damaged / LOG)
    with db:
        db.execute("DELETE FROM record WHERE stream = ? AND offset = 1", [stream])
    db.close()

    told = audited(damaged, "--log", code=1)

    assert told["audit"]["counts"]["GONE"] == 1
    assert f"records 1 to 1 of stream {stream}" in told["audit"]["findings"][0]["what"]
    assert stream == "ledger" or told["audit"]["counts"]["UNACCOUNTED"] >= 1


def test_what_is_on_its_way_into_the_store_is_read_from_the_log(site, tmp_path):
    """The analytics flow has loaded the ledger, and of the other streams only the beginning."""
    folder = tmp_path / "site"
    shutil.copytree(site, folder, ignore=shutil.ignore_patterns("landing"))
    with duckdb.connect(folder / STORE) as db:
        for stream, table in (("confirmations", "confirmation"), ("events", "event"), ("gaps", "gap")):
            position = json.dumps({"stream": stream, "offset": 2})
            db.execute(f"DELETE FROM store_hot_{table} WHERE stream_offset > 2")
            db.execute("UPDATE store_mark SET position = ? WHERE shard = ?", [position, f"stream:{stream}"])
        ((rows,),) = db.execute("SELECT count(*) FROM ledger_range WHERE posting_id IS NOT NULL").fetchall()

    assert audited(folder)["on_the_way"]["confirmations"] == rows - 2
    (folder / LOG).rename(folder / "state/away.db")
    strict = audited(folder, "--limit", 5, code=1)
    assert strict["audit"]["counts"]["HOLE"] == rows - 2
    assert len(strict["audit"]["findings"]) == 5
    assert "no such file" in strict["alone"]
    plantsync(folder, "audit", "--log", code=75)


@pytest.mark.kafka
def test_a_log_on_kafka_and_a_store_beside_it(kafka, tmp_path):
    prefix = f"t{uuid.uuid4().hex}."
    (tmp_path / "plantsync.toml").write_text(
        'landing = "landing"\nplants = ["shipped:plant_a"]\n[pace]\nsettle_s = 0\n[log]\nkind = "kafka"\n[kafka]\n'
        f'prefix = "{prefix}"\npartitions = 2\nreplication_factor = 1\n'
        f'properties = {{ "bootstrap.servers" = "{kafka.servers}" }}\n'
    )
    text = next(path for path in shipped() if path.stem == "plant_a").read_text()
    (tmp_path / "plant_a.toml").write_text(re.sub(r"(?m)^topics = .*$", "", text))
    settings = (tmp_path / "plantsync.toml").read_text().replace("shipped:plant_a", "plant_a.toml")
    (tmp_path / "plantsync.toml").write_text(settings)
    plantsync(tmp_path, "simulate", "--out", "landing", "--preset", "small", "--plant", "A")
    plantsync(tmp_path, "run", "confirmations", "--until-end", "-q")
    log = audited(tmp_path, "--log")["audit"]
    plantsync(tmp_path, "run", "analytics", "--until-end", "-q")

    assert log["ranges"] > 50
    assert audited(tmp_path)["audit"] == log
    with duckdb.connect(tmp_path / STORE) as db:
        first = "SELECT min(stream_offset) FROM confirmation"
        db.execute(f"DELETE FROM store_hot_confirmation WHERE stream_offset = ({first})")
    assert set(audited(tmp_path, code=1)["audit"]["counts"]) == {"HOLE"}


def test_there_is_nothing_to_audit_yet(tmp_path):
    (tmp_path / "plantsync.toml").write_text(SETTINGS)
    plantsync(tmp_path, "audit", code=75)
    plantsync(tmp_path, "audit", "--store", "none.duckdb", code=75)
    with duckdb.connect(tmp_path / "other.duckdb") as db:
        db.execute("CREATE TABLE t (i INTEGER)")
    plantsync(tmp_path, "audit", "--store", "other.duckdb", code=75)
