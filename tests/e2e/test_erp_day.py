"""A day of three plants ends in documents of ERPs that misbehave: exact, once, in order (M24-M27, M41, M49).

It holds the night in which clocks are set back, and in it an ERP that is down for hours.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dataflows.erp_simulator.faults import Fault
from tests.command import plantsync
from tests.erp_day.day import DOCUMENTS, FLOWS, NATURAL, THREE, Day, plants

FAULTS = {
    "rates": dict.fromkeys((fault.value for fault in Fault), 0.02), "slow_s": 0.2, "hang_s": 4.0,
    "retry_after_s": 600.0, "lock_s": 1800.0, "movement_fails_after_s": 600.0, "movement_repaired_after_s": 600.0,
}  # fmt: skip


@pytest.mark.timeout(600)
def test_every_fault_and_five_kills_of_each_flow(tmp_path: Path) -> None:
    # The clocks of two plants are set back at 13:00 of it. The ERP of the one that tells local times without an
    # offset is down then.
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)
    away = {"dynamics": (11.5, 14.5)}
    day = Day(tmp_path, plants(start, 3), speed=1200, erps=THREE, faults=FAULTS, away=away, kills=5)
    outcome = day.run()
    assert outcome.differences() == []
    assert outcome.unsettled() <= NATURAL
    met = {fault for erp in outcome.erps.values() for fault in erp["faults"]["counts"]}
    assert met >= {"timeout_after", "reset_after", "error_after", "order_locked", "throttled", "server_error"}
    assert outcome.answered("dynamics", day, (11.7, 14.5)) == 0, "nobody was there"
    assert outcome.answered("fusion", day, (11.7, 14.5)) > 0, "the other one was not disturbed"
    assert outcome.kills == dict.fromkeys(FLOWS, 5)
    _audited(tmp_path)


def _audited(folder: Path) -> None:
    """From raw records to documents: whole in the log and in a store; what is damaged is named (M31, M34)."""
    plantsync(folder, "run", "analytics", "--until-end", "-q")
    arguments = ("audit", "--documents", DOCUMENTS)
    whole = json.loads(plantsync(folder, *arguments, "--json"))["audit"]["chain"]
    assert (whole["unread"], whole["pending"], whole["in_doubt"]) == (0, 0, 0)
    assert whole["accepted"] == whole["postings"] > 400
    assert whole["erps"] == sorted(THREE)
    assert whole["posted"] + whole["waiting"] + whole["not_posted"] == whole["confirmations"]
    text = plantsync(folder, *arguments, "--log")
    assert text.startswith("Nothing lost, nothing twice, nothing altered.")
    assert f"Documents of dynamics, fusion, s4: {whole['documents']}." in text

    rows = [json.loads(line) for line in (folder / DOCUMENTS).read_text().splitlines()]
    gone, altered = [row for row in rows if row["erp"] == "s4" and Decimal(row.get("good", "0"))][:2]
    altered["good"] = str(Decimal(altered["good"]) + Decimal("0.001"))
    by_hand = {"erp": "s4", "document": "1/1", "order": gone["order"], "good": "1"}
    kept = [row for row in rows if row is not gone] + [by_hand]
    (folder / DOCUMENTS).write_text("".join(f"{json.dumps(row)}\n" for row in kept))
    told = json.loads(plantsync(folder, *arguments, "--log", "--json", code=1))
    named = [(each["kind"], each["document"]) for each in told["audit"]["findings"]]
    assert named == [("HOLE", gone["document"]), ("ALTERED", altered["document"]), ("UNACCOUNTED", "1/1")]
