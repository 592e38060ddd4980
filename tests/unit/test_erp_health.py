"""What the doctor says of the reference data that postings need: what is missing, and what to do (M51)."""

from datetime import UTC, date, datetime

import pytest

from canonical.contracts import PeriodReference, RouteReference
from dataflows.health.erp_health import reference_findings, source_findings
from dataflows.processors.posting.reference_book import ReferenceBook
from dataflows.settings import load

NOW_US = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1e6)
ERP = """
[erps.s4.adapter]
kind = "drop"
folder = "in"
acknowledgements = "ack"
"""


def settings(folder, more=ERP):
    (folder / "plantsync.toml").write_text('landing = "landing"\nplants = ["shipped:plant_a"]\n' + more)
    return load(folder / "plantsync.toml")


def book(*records):
    made = ReferenceBook(100)
    for record in records:
        made.tell(record, NOW_US)
    return made


def route(erp):
    return RouteReference(changed_us=1, plant="A", erp=erp, erp_plant="1000")


def period(*, is_open):
    first, last = date(2026, 11, 1), date(2026, 11, 30)
    return PeriodReference(changed_us=1, erp="s4", first=first, last=last, open=is_open)


@pytest.mark.parametrize(
    ("records", "name", "state", "said"),
    [
        ((), "reference data", "note", "none yet"),
        ((), "plant A", "note", "route record"),
        ((route("s4"),), "plant A", "fine", "posts to s4 as 1000; its days are of Europe/Berlin"),
        ((route("s5"),), "plant A", "problem", "[erps.s5]"),
        ((route("s4"), period(is_open=True)), "reference data", "fine", "period 1, route 1"),
        ((period(is_open=False),), "periods of s4", "note", "2026-11-20"),
    ],
)
def test_what_is_missing_is_told(tmp_path, records, name, state, said):
    (found,) = [f for f in reference_findings(settings(tmp_path), book(*records), NOW_US) if f.name == name]
    assert found.state == state
    assert said in found.detail


def test_an_open_period_is_no_news(tmp_path):
    found = reference_findings(settings(tmp_path), book(period(is_open=True)), NOW_US)
    assert "periods of s4" not in {each.name for each in found}


def test_where_reference_data_come_from(tmp_path):
    (missing,) = source_findings(settings(tmp_path))
    assert (missing.state, missing.name) == ("problem", "reference data")
    given = settings(tmp_path, ERP + '[reference]\nfolder = "reference"\nsystems = ["s4", "lab"]\n')
    assert [each.state for each in source_findings(given)] == ["note", "note"]
    (tmp_path / "reference/s4").mkdir(parents=True)
    assert [each.state for each in source_findings(given)] == ["fine", "note"]
    assert list(source_findings(settings(tmp_path, ""))) == []
