"""An ERP that is away for hours, over a month's end: the other goes on, all is posted to its day (M41, M42)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from canonical.contracts import ExceptionCode
from tests.erp_day.day import NATURAL, Day, plants


@pytest.mark.timeout(600)
def test_one_erp_is_away_for_hours_over_the_end_of_a_month(tmp_path: Path) -> None:
    start = datetime(2026, 10, 31, 12, tzinfo=UTC)
    day = Day(tmp_path, plants(start, 5), speed=1200, away={"s5": (8.0, 14.0)})
    outcome = day.run()
    assert outcome.differences() == []
    assert outcome.unsettled() <= NATURAL
    assert outcome.answered("s5", day, (8.2, 14.0)) == 0, "nobody was there"
    assert outcome.answered("s4", day, (8.0, 14.0)) > 15, "the other one was not disturbed"
    told = [row for row in outcome.streams["exceptions"] if row["code"] == ExceptionCode.ERP_UNAVAILABLE]
    assert {row["erp"] for row in told} == {"s5"}
    assert len({row["exception_id"] for row in told}) == 1
