"""Days of three plants end in documents of ERPs that misbehave: to the thousandth, once, in order (M24-M27, M49)."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from canonical.contracts import OWNERS, ExceptionCode
from dataflows.erp_simulator.faults import Fault
from dataflows.simulator import SimulationConfig
from tests.erp_day.day import FLOWS, Day, Outcome

FAULTS = {
    "rates": dict.fromkeys((fault.value for fault in Fault), 0.02), "slow_s": 0.2, "hang_s": 4.0,
    "retry_after_s": 600.0, "lock_s": 1800.0, "movement_fails_after_s": 600.0, "movement_repaired_after_s": 600.0,
}  # fmt: skip
LONG = "PLANTSYNC_TORTURE" in os.environ
NATURAL = {ExceptionCode.QUALITY_RELEASE_MISSING}
"""What may stay open: lots on which the quality system has said nothing when the day ends, or said no."""


def config(start: datetime, seed: int) -> SimulationConfig:
    return SimulationConfig(
        seed=seed,
        start=start,
        hours=24,
        plants=("A", "B", "C"),
        machines=3,
        orders=4,
        records=20_000 if LONG else 8_000,
    )


def open_exceptions(outcome: Outcome) -> Counter[str]:
    newest = {row["exception_id"]: row for row in outcome.streams.get("exceptions", [])}
    for row in newest.values():
        assert row["owner"] == OWNERS[ExceptionCode(row["code"])], row
    return Counter(row["code"] for row in newest.values() if row["resolution"] == "open")


@pytest.mark.timeout(600)
def test_every_fault_and_five_kills_of_each_flow(tmp_path: Path) -> None:
    day = Day(tmp_path, config(datetime(2026, 10, 13, 12, tzinfo=UTC), 3), speed=1200, faults=FAULTS, kills=5)
    outcome = day.run()
    assert outcome.differences() == []
    assert set(open_exceptions(outcome)) <= NATURAL
    met = {fault for erp in outcome.erps.values() for fault in erp["faults"]["counts"]}
    assert met >= {"timeout_after", "reset_after", "error_after", "order_locked", "throttled", "server_error"}
    assert outcome.kills == dict.fromkeys(FLOWS, 5)


@pytest.mark.timeout(600)
def test_one_erp_is_away_for_hours_over_the_end_of_a_month(tmp_path: Path) -> None:
    start = datetime(2026, 10, 31, 12, tzinfo=UTC)
    day = Day(tmp_path, config(start, 5), speed=1200, away={"s5": (8.0, 14.0)})
    outcome = day.run()
    assert outcome.differences() == []
    assert set(open_exceptions(outcome)) <= NATURAL
    begin_us, end_us = (day.config.start_us + hour * 3_600_000_000 for hour in (8, 14))
    answered = {
        erp: [row["answered_us"] for row in outcome.streams["receipts"] if row["erp"] == erp] for erp in ("s4", "s5")
    }
    assert not [at for at in answered["s5"] if begin_us + 600_000_000 < at < end_us], "nobody was there"
    assert len([at for at in answered["s4"] if begin_us < at < end_us]) > 20, "the other one was not disturbed"
    told = [row for row in outcome.streams["exceptions"] if row["code"] == ExceptionCode.ERP_UNAVAILABLE]
    assert {row["erp"] for row in told} == {"s5"}
    assert len({row["exception_id"] for row in told}) == 1
