"""``plantsync audit --trail``: the audit trail verified, entry by entry."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from dataflows.cli.exit_codes import ERROR

if TYPE_CHECKING:
    from dataflows.settings import Settings


def audit_trail(settings: Settings, *, as_json: bool) -> None:
    """Verify every chain of the trail and print its head, or each place where it breaks."""
    from rich.table import Table
    from rich.text import Text

    from dataflows.cli.output import print_json, results
    from dataflows.sources.clock import SystemClock
    from dataflows.trail.trail_check import verified

    report = verified(settings, SystemClock())
    clean = not report.breaks
    if as_json:
        heads = {chain: {"number": head.number, "hash": head.hash} for chain, head in sorted(report.heads.items())}
        found = [asdict(broken) for broken in report.breaks]
        print_json({"clean": clean, "entries": report.entries, "heads": heads, "breaks": found})
    else:
        console = results()
        verdict = "The audit trail holds" if clean else f"The audit trail does not hold, {len(report.breaks):,} breaks"
        console.print(f"{verdict}: {report.entries:,} entries in {len(report.heads):,} chains.", highlight=False)
        table = Table(header_style="bold")
        for name in ("chain", "last entry", "hash") if clean else ("kind", "chain", "entry", "what"):
            table.add_column(name, overflow="fold")
        for chain, head in sorted(report.heads.items()) if clean else ():
            table.add_row(*map(Text, (chain, str(head.number), head.hash)))
        for broken in report.breaks:
            entry = str(broken.number) if broken.number >= 0 else ""
            table.add_row(*map(Text, (broken.kind, broken.chain, entry, broken.detail)))
        console.print(table)
    if not clean:
        raise typer.Exit(ERROR)
