"""docs/analysts.md: each of the ten questions is answered as shown (M37, M47, A14, A18)."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from sinks.analytics.published import query
from tests.analysts_day import analysts_day

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "analysts.md").read_text("utf-8")
QUESTION = re.compile(r"^## (\d+)\. [^\n]*\n\n```sql\n(.*?)^```\n\n((?:\|[^\n]*\n)+)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return analysts_day(tmp_path_factory.mktemp("analysts"))


@pytest.mark.parametrize("number", range(1, 11))
def test_the_answer_is_the_one_shown(published, number):
    questions = {int(n): (sql, answer.splitlines()) for n, sql, answer in QUESTION.findall(PAGE)}
    assert sorted(questions) == list(range(1, 11))
    sql, (head, _, *shown) = questions[number]
    rows = query(published, sql).rows
    assert _cells(head) == rows.column_names
    assert [_cells(line) for line in shown] == [
        ["" if value is None else str(value) for value in row.values()] for row in rows.to_pylist()
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_python_shown_runs(published, monkeypatch, capsys):
    monkeypatch.chdir(published.parent)
    (shown,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(shown, {})
    assert "WO-9" in capsys.readouterr().out


def test_the_worked_analysis_runs_and_its_losses_are_the_time_that_is_missing(published, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["losses.py", str(published)])
    run = runpy.run_path(str(DOCS / "notebooks/losses.py"))
    ((lost,),) = run["losses"].sum("hours").fetchall()
    ((planned, good),) = run["db"].sql("SELECT sum(pbt) / 3600, sum(pru_gq) / 3600 FROM oee_by_shift").fetchall()
    assert lost == pytest.approx(float(planned - good))
    run["db"].close()
    assert re.search(r"CRACK .* 0\.6667", capsys.readouterr().out)
