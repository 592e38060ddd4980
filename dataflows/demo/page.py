"""The page: the report as a person reads it, on a terminal or piped."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataflows.demo.plot import GOOD, SCRAP, plot
from dataflows.demo.report import PlantReport, Report

COLUMNS: Final = ("read", "released", "late", "duplicates", "faults", "held", "gaps", "confirmations")
DIFFERENCES_MAX: Final = 20
PIECES: Final = "H87"
WIDTH: Final = 80


def show(report: Report, console: Console) -> None:
    """Print the table, the facts, the plot and what to try next."""
    outcome = report.outcome
    console.print(_plants(report), width=min(WIDTH, console.width))
    console.print(_facts(report), width=min(WIDTH, console.width))
    for difference in outcome.differences[:DIFFERENCES_MAX]:
        console.print(f"  {difference}", style="red", highlight=False, markup=False, soft_wrap=True)
    if (more := len(outcome.differences) - DIFFERENCES_MAX) > 0:
        console.print(f"  and {more} more", style="red", highlight=False)
    pieces = [hour for hour in outcome.hours if hour.unit == PIECES]
    console.print(f"\npieces an hour, UTC: {GOOD} good (left scale), {SCRAP} scrap (right scale)", highlight=False)
    console.print(Text.from_ansi(plot(pieces, colour=console.is_terminal)), soft_wrap=True)
    console.print("\nask the store:", highlight=False)
    for query in report.queries:
        console.print(query, highlight=False, markup=False, soft_wrap=True)


def _plants(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("plant")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    table.add_column("balanced")
    for plant in report.outcome.plants:
        table.add_row(plant.plant, *_counts(plant), _verdict(good=plant.balanced))
    totals = (f"{report.outcome.total(name):,}" for name in COLUMNS)
    table.add_row("all", *totals, _verdict(good=report.outcome.balanced), style="bold")
    return table


def _counts(plant: PlantReport) -> list[str]:
    return [f"{getattr(plant, name):,}" for name in COLUMNS]


def _verdict(*, good: bool) -> Text:
    return Text("yes", "green") if good else Text("NO", "bold red")


def _facts(report: Report) -> Table:
    outcome = report.outcome
    total = outcome.total
    events = total("confirmed_events") / max(total("confirmations"), 1)
    matched = outcome.truth_matched
    facts: dict[str, str | Text] = {
        "balance": f"{total('read'):,} read = {total('released'):,} released + {total('late'):,} late + "
        f"{total('duplicates'):,} duplicates + {total('faults'):,} faults + {total('held'):,} held",
        "truth matched": Text("yes", "green")
        if matched
        else Text(f"NO, {len(outcome.differences)} differences", "red"),
        "events/confirmation": f"{events:.1f}",
        "late": f"{total('late'):,} events; {total('supplementary'):,} supplementary confirmations",
        "gaps": f"{total('gaps'):,} declared; {total('missing'):,} numbers never came",
        "faults": ", ".join(f"{code} {count}" for code, count in outcome.faults_by_code().items()),
        "killed": f"confirmations once, with signal {report.kill.signal} after {report.kill.committed:,} records",
        "seconds": f"{report.seconds}, of which {report.cpu_seconds} processor time",
        "store": str(report.store),
    }
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table
