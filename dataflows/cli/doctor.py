"""``plantsync doctor``: what is configured, what can be reached, and how far each shard has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import CONFIG, Config, Json

FOLDER = "folder:"

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataflows.health import Finding, ShardHealth
    from dataflows.settings import Settings


def doctor(
    behind_max: Annotated[
        int | None, typer.Option(min=0, help="A shard that has more than this to read is a problem.")
    ] = None,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Say what is configured, reachable, behind, held back and out of balance; exit code 1 if something is wrong.

    Nothing is changed, and no running flow is disturbed. Secrets are not shown.

    Example: plantsync doctor --json
    """
    from dataflows import settings as files
    from dataflows.cli.output import print_json
    from dataflows.health import examined
    from dataflows.sources.clock import SystemClock

    settings = files.load(config)
    findings, shards = examined(settings, SystemClock())
    warned = [str(problem) for problem in files.warnings(config)]
    problems = [f"{f.name}: {f.detail}" for f in findings if f.state == "problem"]
    problems += [f"{s.flow} {s.shard}: {s.problem}" for s in shards if s.problem]
    if behind_max is not None:
        late = [s for s in shards if s.behind is not None and s.behind > behind_max]
        problems += [f"{s.flow} {s.shard}: {s.behind:,} behind, more than {behind_max:,}" for s in late]
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
        for name in ("behind", "held", "open", "last commit", "read", "balance"):
            table.add_column(name, justify="right", no_wrap=True)
        for shard in shards:
            if shard.flow == flow:
                table.add_row(*map(Text, _row(shard)))
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
    behind = "?" if shard.behind is None else f"{shard.behind:,} {'bytes' if shard.shard.startswith(FOLDER) else ''}"
    age = "" if shard.age_s is None else f"{shard.age_s:,.0f} s ago"
    if not shard.totals:
        return shard.shard, behind.strip(), "", "", age, "", ""
    balance = "wrong" if shard.problem else "holds"
    held, read = (f"{shard.totals[name]:,}" for name in ("held", "read"))
    return shard.shard, behind.strip(), held, f"{shard.open_runs:,}", age, read, balance


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{path}.{key}" if path else key)]
    return [(path, value)]
