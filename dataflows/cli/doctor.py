"""``plantsync doctor``: what is configured, what can be reached, and how far each shard has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import CONFIG, Config, Json

FOLDER = "folder:"
LEDGER = ("behind", "held", "open", "last commit", "read", "balance")
QUEUE = ("behind", "waiting", "parked", "following", "exceptions", "oldest", "last commit")
QUEUES = frozenset({"postings", "delivery"})

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataflows.health.shard_health import Finding, ShardHealth
    from dataflows.settings import Settings


def doctor(
    behind_max: Annotated[
        int | None, typer.Option(min=0, help="A shard that has more than this to read is a problem.")
    ] = None,
    oldest_max: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="A posting that waits longer than this is a problem."),
    ] = None,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Say what is configured, reachable, behind, held back and out of balance; exit code 1 if something is wrong.

    Nothing is changed, and no running flow is disturbed; each ERP is asked for one thing, to see whether it lets us in.
    Secrets are not shown.

    Example: plantsync doctor --json
    """
    from dataflows import settings as files
    from dataflows.cli.output import print_json
    from dataflows.health.health import examined
    from dataflows.sources.clock import SystemClock

    settings = files.load(config)
    findings, shards = examined(settings, SystemClock())
    warned = [str(problem) for problem in files.warnings(config)]
    problems = [f"{f.name}: {f.detail}" for f in findings if f.state == "problem"]
    problems += [f"{s.flow} {s.shard}: {s.problem}" for s in shards if s.problem]
    if behind_max is not None:
        late = [s for s in shards if s.behind is not None and s.behind > behind_max]
        problems += [f"{s.flow} {s.shard}: {s.behind:,} behind, more than {behind_max:,}" for s in late]
    if oldest_max is not None:
        waiting = [(s, s.queue.oldest_s) for s in shards if s.queue is not None and s.queue.oldest_s is not None]
        problems += [
            f"{s.flow} {s.shard}: something waits for {oldest_s:,.0f} s, longer than {oldest_max:,.0f}; "
            "plantsync exceptions list says what for"
            for s, oldest_s in waiting
            if oldest_s > oldest_max
        ]
    if as_json:
        print_json(
            {
                "fine": not problems,
                "problems": problems,
                "warnings": warned,
                "checks": [_fields(finding) for finding in findings],
                "shards": [_fields(shard) for shard in shards],
                "settings": settings.model_dump(mode="json"),
            }
        )
    else:
        _print(settings, findings, shards, warned, problems)
    if problems:
        raise typer.Exit(ERROR)


def _fields(value: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(value)


def _print(
    settings: Settings, findings: list[Finding], shards: list[ShardHealth], warned: list[str], problems: list[str]
) -> None:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from dataflows.cli.output import results

    console = results()
    said = _say(console)
    said("Settings")
    for key, value in _flat(settings.model_dump(mode="json")):
        said(f"  {key} = {value}")
    said("\nChecks")
    for finding in findings:
        said(f"  {finding.state:<8} {finding.name}: {finding.detail}")
    for flow in dict.fromkeys(shard.flow for shard in shards):
        said(f"\nShards of {flow}")
        table = Table(box=SIMPLE, header_style="bold", pad_edge=False)
        table.add_column("shard", no_wrap=True)
        names, row = (QUEUE, _queue_row) if flow in QUEUES else (LEDGER, _row)
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        for shard in shards:
            if shard.flow == flow:
                table.add_row(*map(Text, row(shard)))
        console.print(table)
    for warning in warned:
        said(f"warning: {warning}", style="yellow")
    for problem in problems:
        said(f"problem: {problem}", style="red")
    said("Something is wrong." if problems else "All is well.")


def _say(console: Any) -> Callable[..., None]:
    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    return say


def _row(shard: ShardHealth) -> tuple[str, ...]:
    if not shard.totals:
        return shard.shard, _behind(shard), "", "", _ago(shard), "", ""
    balance = "wrong" if shard.problem else "holds"
    held, read = (f"{shard.totals[name]:,}" for name in ("held", "read"))
    return shard.shard, _behind(shard), held, f"{shard.open_runs:,}", _ago(shard), read, balance


def _queue_row(shard: ShardHealth) -> tuple[str, ...]:
    queue = shard.queue
    if queue is None:
        return shard.shard, _behind(shard), "", "", "", "", "", _ago(shard)
    counts = (f"{count:,}" for count in (queue.waiting, queue.parked, queue.following, queue.exceptions))
    oldest = "" if queue.oldest_s is None else f"{queue.oldest_s:,.0f} s"
    return shard.shard, _behind(shard), *counts, oldest, _ago(shard)


def _behind(shard: ShardHealth) -> str:
    unit = " bytes" if shard.shard.startswith(FOLDER) else ""
    return "?" if shard.behind is None else f"{shard.behind:,}{unit}"


def _ago(shard: ShardHealth) -> str:
    return "" if shard.age_s is None else f"{shard.age_s:,.0f} s ago"


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{path}.{key}" if path else key)]
    return [(path, value)]
