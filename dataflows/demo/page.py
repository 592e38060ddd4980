"""The page: the report as a person reads it, on a terminal or piped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataflows.demo.erp_report import ErpOutcome
from dataflows.demo.plot import GOOD, SCRAP, plot
from dataflows.demo.report import PlantReport, Report

COLUMNS: Final = ("read", "released", "late", "duplicates", "faults", "held", "gaps", "confirmations")
DIFFERENCES_MAX: Final = 20
PIECES: Final = "H87"
WIDTH: Final = 80


def show(report: Report, console: Console) -> None:
    """Print the tables, the facts, the plot and what to try next."""
    outcome, erps, width = report.outcome, report.erps, min(WIDTH, console.width)
    console.print(_plants(report), width=width)
    console.print(_facts(report), width=width)
    _differences(outcome.differences, console)
    pieces = [hour for hour in outcome.hours if hour.unit == PIECES]
    console.print(f"\npieces an hour, UTC: {GOOD} good (left scale), {SCRAP} scrap (right scale)", highlight=False)
    console.print(Text.from_ansi(plot(pieces, colour=console.is_terminal)), soft_wrap=True)
    console.print("\nin the ERPs:", highlight=False)
    console.print(documents_table(erps), width=width)
    console.print(_erp_facts(report), width=width)
    _differences(erps.differences, console)
    console.print("\nwaiting for somebody:", highlight=False)
    console.print(exceptions_table(erps), width=width)
    for title, commands in (("ask the store:", report.queries), ("ask about documents:", report.commands)):
        console.print(f"\n{title}", highlight=False)
        for command in commands:
            console.print(command, highlight=False, markup=False, soft_wrap=True)


def _differences(differences: tuple[str, ...], console: Console) -> None:
    for difference in differences[:DIFFERENCES_MAX]:
        console.print(f"  {difference}", style="red", highlight=False, markup=False, soft_wrap=True)
    if (more := len(differences) - DIFFERENCES_MAX) > 0:
        console.print(f"  and {more} more", style="red", highlight=False)


def _plants(report: Report) -> Table:
    table = _table(("plant",), COLUMNS)
    table.add_column("balanced")
    for plant in report.outcome.plants:
        table.add_row(plant.plant, *_counts(plant), _verdict(good=plant.balanced))
    totals = (f"{report.outcome.total(name):,}" for name in COLUMNS)
    table.add_row("all", *totals, _verdict(good=report.outcome.balanced), style="bold")
    return table


def _counts(plant: PlantReport) -> list[str]:
    return [f"{getattr(plant, name):,}" for name in COLUMNS]


def documents_table(erps: ErpOutcome) -> Table:
    """Return what each ERP has of what its plant made."""
    table = _table(("plant", "ERP", "unit"), ("confirmations", "receipts", "made", "in the ERP", "waiting"))
    table.add_column("equal")
    for plant in erps.plants:
        counts = (f"{plant.confirmations:,}", f"{plant.receipts:,}")
        quantities = (f"{quantity / 1000:,.3f}" for quantity in (plant.made, plant.booked, plant.waiting))
        table.add_row(plant.plant, plant.erp, plant.unit, *counts, *quantities, _verdict(good=plant.equal))
    return table


def exceptions_table(erps: ErpOutcome) -> Table:
    """Return what waits for whom."""
    table = _table(("owner", "code"), ("exceptions", "waiting"))
    for each in erps.exceptions:
        table.add_row(each.owner, each.code, f"{each.count:,}", f"{each.waiting:,}")
    return table


def _table(words: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _verdict(*, good: bool) -> Text:
    return Text("yes", "green") if good else Text("NO", "bold red")


def _facts(report: Report) -> Table:
    outcome = report.outcome
    total = outcome.total
    events = total("confirmed_events") / max(total("confirmations"), 1)
    facts: dict[str, str | Text] = {
        "balance": f"{total('read'):,} read = {total('released'):,} released + {total('late'):,} late + "
        f"{total('duplicates'):,} duplicates + {total('faults'):,} faults + {total('held'):,} held",
        "truth matched": _matched(outcome.truth_matched, outcome.differences),
        "events/confirmation": f"{events:.1f}",
        "late": f"{total('late'):,} events; {total('supplementary'):,} supplementary confirmations",
        "gaps": f"{total('gaps'):,} declared; {total('missing'):,} numbers never came",
        "faults": ", ".join(f"{code} {count}" for code, count in outcome.faults_by_code().items()),
        "killed": "; ".join(
            f"{kill.flow} once, with signal {kill.signal} after {kill.committed:,} records"
            for kill in (report.collect_kill, report.kill)
            if kill is not None
        ),
        "seconds": f"{report.seconds}, of which {report.cpu_seconds} processor time",
        "store": str(report.store),
    }
    return _named(facts)


def _erp_facts(report: Report) -> Table:
    erps = report.erps
    kill = report.delivery_kill
    wrong = ", ".join(f"{fault} {count}" for fault, count in sorted(erps.faults.items()))
    return _named(
        {
            "documents": f"{erps.documents:,}, each once, by {erps.requests:,} requests",
            "truth matched": _matched(erps.truth_matched, erps.differences),
            "went wrong": wrong or "nothing",
            "answers lost": f"{len(erps.found)} documents were found by asking, and not made again",
            "killed": f"delivery once, with signal {kill.signal} after {kill.committed:,} documents",
        }
    )


def _matched(matched: bool, differences: tuple[str, ...]) -> Text:  # noqa: FBT001 - the only bool there is
    return Text("yes", "green") if matched else Text(f"NO, {len(differences)} differences", "red")


def _named(facts: Mapping[str, str | Text]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table
