"""``plantsync canary``: a new version of a mapping on recorded traffic, before it goes live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import CONFIG, INSTANTS, Config, Json, instant_us
from dataflows.cli.order_table import ORDERS_SHOWN, order_table


def canary(
    new: Annotated[Path, typer.Argument(metavar="NEW.toml", help="The new version of a plant's mapping file.")],
    last: Annotated[int, typer.Option(min=1, help="So many records of each shard, the last it has read.")] = 10_000,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=INSTANTS, help="Only what occurred at this time (UTC) or later."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=INSTANTS, help="Only what occurred before this time (UTC).")
    ] = None,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Run recorded traffic through the version in force and a new one, and show what would be another.

    Nothing is written. Exit code 1: they differ.

    Example: plantsync canary plants/plant_a.new.toml --last 50000
    """
    from canonical import mapping
    from dataflows.canary import Taken
    from dataflows.canary import canary as compare
    from dataflows.cli.output import errors, print_json
    from dataflows.settings import load
    from dataflows.sources.clock import SystemClock

    settings = load(config)
    with errors().status("running both versions"):
        done = compare(settings, mapping.load(new), Taken(last, instant_us(since), instant_us(until)), SystemClock())
    told = done.told()
    if as_json:
        print_json(told)
    else:
        _print(told)
    if told["differs"]:
        raise typer.Exit(ERROR)


def _print(told: dict[str, Any]) -> None:
    from dataflows.cli.output import results

    console = results()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    shards = ", ".join(f"{shard} {count:,}" for shard, count in told["records"].items())
    digests = told["digests"]
    before = "; there were others before" if told["cut"] else ""
    say(f"Plant {told['plant']}, records of {shards or 'no shard'}{before}.")
    say(f"Version in force {digests['old'][:16]}, new version {digests['new'][:16]}.")
    if not told["differs"]:
        say("Both make the same of them.")
        return
    numbers = {f"records {name}": (each["old"], each["new"]) for name, each in told["totals"].items()}
    made = told["confirmations"]
    numbers["confirmations"] = made["old"], made["new"]
    numbers |= {stream: (each["old"], each["new"]) for stream, each in told["beside"].items()}
    numbers |= {f"fault {code}": (each["old"], each["new"]) for code, each in told["faults"].items()}
    console.print(_numbers(numbers))
    if told["orders"]:
        title = "Orders whose confirmed quantities would be others"
        console.print(order_table(told["orders"][:ORDERS_SHOWN], _old_and_new, title))
        if (more := len(told["orders"]) - ORDERS_SHOWN) > 0:
            say(f"And {more:,} rows more; --json shows all.")
    fields = ", ".join(f"{name} in {count:,}" for name, count in made["changed_fields"].items())
    say(
        f"Confirmations: {made['only_old']:,} only of the version in force, {made['only_new']:,} only of the new one, "
        f"{made['changed']:,} changed{f': {fields}' if fields else ''}."
    )
    for stream, each in told["beside"].items():
        if each["only_old"] or each["only_new"]:
            say(f"{stream}: {each['only_old']:,} only of the version in force, {each['only_new']:,} only of the new.")
    for each in told["fault_examples"]:
        say(f"{each['place']}: {each['old'] or 'taken'} -> {each['new'] or 'taken'}: {each['detail']}")


def _numbers(numbers: dict[str, tuple[int, int]]) -> Any:
    from rich.table import Table

    table = Table(header_style="bold")
    table.add_column("")
    for name in ("in force", "new", "difference"):
        table.add_column(name, justify="right")
    for name, (old, new) in numbers.items():
        if old or new:
            table.add_row(name, f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else "")
    return table


def _old_and_new(order: Mapping[str, Any], name: str, by: int) -> str:
    old, new = order["old"][name], order["new"][name]
    return f"{old / by:,g}" if old == new else f"{old / by:,g} -> {new / by:,g}"
