"""``plantsync audit --trail`` on a log that somebody has tampered with (M35)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from canonical.contracts import TrailEntry, trail_hash
from canonical.plants import shipped
from tests.command import plantsync

RECORD = (
    b'{"machine":"m","boot":"b","n":0,"kind":"CYCLE","ts":"2026-01-05T06:00:00Z","unit":"STCK","order":"1","good":1}\n'
)


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    """A log whose mapping has changed twice, so that its chain has three entries, and one replay."""
    folder = tmp_path_factory.mktemp("honest")
    (mapping,) = [path for path in shipped() if path.stem == "plant_a"]
    (folder / "landing/plant-a").mkdir(parents=True)
    (folder / "landing/plant-a/1.ndjson").write_bytes(RECORD)
    (folder / "plantsync.toml").write_text('landing = "landing"\nplants = ["a.toml"]\n[pace]\nsettle_s = 0\n')
    text = re.sub(r"past_max_s = \d+", "", mapping.read_text()).replace("[limits]", "[limits]\npast_max_s = 315360000")
    for version in (
        text,
        text.replace("[units]", '[units]\nSTCK = "H87"'),
        text.replace("[units]", '[units]\nSTCK = "EA"'),
    ):
        (folder / "a.toml").write_text(version)
        plantsync(folder, "run", "confirmations", "--until-end", "-q")
    plantsync(folder, "replay", "--apply", "--reason", "mended", "--actor", "anna")
    return folder


@pytest.fixture
def folder(honest, tmp_path) -> Path:
    with closing(sqlite3.connect(honest / "state/plantsync.db")) as source:
        (tmp_path / "state").mkdir()
        with closing(sqlite3.connect(tmp_path / "state/plantsync.db")) as target:
            source.backup(target)
    for name in ("plantsync.toml", "a.toml"):
        (tmp_path / name).write_text((honest / name).read_text())
    return tmp_path


def test_an_honest_trail_holds(folder):
    report = json.loads(plantsync(folder, "audit", "--trail", "--json"))

    assert report["clean"]
    assert report["entries"] == 4
    assert {chain: head["number"] for chain, head in report["heads"].items()} == {"folder:plant-a": 2, "operator": 0}
    assert report["heads"]["operator"]["hash"] in plantsync(folder, "audit", "--trail")


def rewritten(number: int, change: dict, *, rehash: bool) -> Callable[[sqlite3.Connection], None]:
    def tamper(db: sqlite3.Connection) -> None:
        for offset, value in db.execute("SELECT offset, value FROM record WHERE stream = 'trail'").fetchall():
            entry = json.loads(value)
            if entry["chain"] == "folder:plant-a" and entry["number"] == number:
                entry |= change
                if rehash:
                    entry["hash"] = trail_hash(TrailEntry.model_validate(entry))
                text = json.dumps(entry).encode()
                db.execute("UPDATE record SET value = ? WHERE stream = 'trail' AND offset = ?", (text, offset))

    return tamper


def removed(number: int) -> Callable[[sqlite3.Connection], None]:
    return lambda db: db.execute(
        "DELETE FROM record WHERE stream = 'trail' AND CAST(key AS TEXT) = 'folder:plant-a'"
        f" AND json_extract(CAST(value AS TEXT), '$.number') = {number}"
    )


def inserted(db: sqlite3.Connection) -> None:
    (value,) = db.execute("SELECT value FROM record WHERE stream = 'trail' ORDER BY offset LIMIT 1").fetchone()
    entry = {**json.loads(value), "reason": "made up"}
    entry["hash"] = trail_hash(TrailEntry.model_validate(entry))
    db.execute(
        "INSERT INTO record SELECT 'trail', max(offset) + 1, 'folder:plant-a', ?, ?, NULL FROM record",
        (entry["chain"].encode(), json.dumps(entry).encode()),
    )


@pytest.mark.parametrize(
    ("tamper", "kind", "number"),
    [
        (rewritten(1, {"actor": "somebody else"}, rehash=False), "altered", 1),
        (rewritten(1, {"actor": "somebody else"}, rehash=True), "unlinked", 2),
        (rewritten(2, {"actor": "somebody else"}, rehash=True), "altered", 2),
        (removed(1), "missing", 1),
        (removed(2), "truncated", 2),
        (inserted, "inserted", 0),
    ],
    ids=["altered", "rehashed", "rehashed-last", "deleted", "truncated", "inserted"],
)
def test_tampering_is_named(folder, tamper, kind, number):
    with closing(sqlite3.connect(folder / "state/plantsync.db")) as db:
        tamper(db)
        db.commit()

    report = json.loads(plantsync(folder, "audit", "--trail", "--json", code=1))

    assert [(b["kind"], b["chain"], b["number"]) for b in report["breaks"]] == [(kind, "folder:plant-a", number)]
    if kind == "unlinked":  # One of them is enough to see what a person sees.
        assert "does not hold, 1 breaks" in plantsync(folder, "audit", "--trail", code=1)
