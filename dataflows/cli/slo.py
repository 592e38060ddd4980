"""``plantsync slo``: how the objectives are kept, and what is affected where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROWS_MAX = 10_000
NAMES_SHOWN = 10


def slo(
    ended: Annotated[bool, typer.Option("--ended", help="Also tell what is over.")] = False,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Tell how the objectives are kept: what is left of each budget, how fast it goes, and what that affects.

    Ends with 1 while an objective is missed fast enough to tell somebody.

    Example: plantsync slo --json
    """
    from dataflows.cli.output import print_json, results
    from dataflows.settings import load
    from sinks.analytics.published import query

    published = load(config).store.published
    state = query(published, "FROM slo_state ORDER BY objective, erp, plant", rows_max=ROWS_MAX).rows.to_pylist()
    every = "FROM slo_breach WHERE $ended OR ended IS NULL ORDER BY begun DESC, objective, erp, plant, urgency"
    breaches = query(published, every, {"ended": ended}, rows_max=ROWS_MAX).rows.to_pylist()
    if as_json:
        print_json({"objectives": state, "breaches": breaches})
    else:
        console = results()
        console.print(_table(state))
        for breach in breaches:
            console.print(_told(breach), highlight=False, markup=False, soft_wrap=True)
    if any(breach["ended"] is None for breach in breaches):
        raise typer.Exit(1)


def _table(state: Sequence[Mapping[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(header_style="bold")
    numbers = ("attained", "budget left", "burn 1 h", "6 h", "3 d", "late", "waiting")
    for name in ("objective", "ERP", "plant", "is to be", *numbers, "now"):
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in state:
        table.add_row(
            *(row["objective"], row["erp"], row["plant"], f"{row['percent']:g} % in {row['within_s']:,} s"),
            *(f"{row['attained']:.2%}", f"{row['budget_left']:.0%}"),
            *(f"{row[name]:.1f}" for name in ("burn_1h", "burn_6h", "burn_3d")),
            *(f"{row['late']:,}", f"{row['waiting']:,}", row["burning"] or "fine"),
        )
    return table


def _told(breach: Mapping[str, Any]) -> str:
    until = f", ended {breach['ended']:%Y-%m-%d %H:%M} UTC" if breach["ended"] else ""
    threats = [words for name, words in _THREATS.items() if breach[name]]
    why = f" ({', '.join(breach['codes'])})" if breach["codes"] else ""
    told = (
        f"{breach['urgency']}: {breach['objective']}, plant {breach['plant']} to {breach['erp']}, since "
        f"{breach['begun']:%Y-%m-%d %H:%M} UTC{until}. {breach['severity']}: {'; '.join(threats) or 'it is a delay'}. "
        f"For {', '.join(breach['owners'])}{why}."
    )
    stake = ", ".join(breach["quantities"]) or "no output"
    lines = [told, f"  {breach['postings']:,} postings late, {stake} at stake"]
    lines += [f"  {name}: {_named(breach[name])}" for name in ("orders", "materials", "lots") if breach[name]]
    return "\n".join(lines)


_THREATS = {"line_stop": "a line may stop", "financial": "books may be wrong"}


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
