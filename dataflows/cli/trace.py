"""``plantsync trace``: where a lot came from and where it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sinks.analytics.genealogy import Direction, Step


def trace(
    lot: Annotated[str, typer.Argument(metavar="LOT", help="Lot or batch, as the plants name it.")],
    epcis: Annotated[
        str,
        typer.Option(
            metavar="BASE",
            help="Print an EPCIS 2.0 document instead; its identifiers begin with BASE, e.g. https://id.example.com.",
        ),
    ] = "",
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Tell which lots went into a lot and into which ones it went, over orders and plants.

    Ends with 1 where the analytics store knows no order that made or used the lot.

    Example: plantsync trace L-1 --epcis https://id.example.com
    """
    from dataclasses import asdict

    from dataflows.cli.output import print_json, results
    from dataflows.settings import load
    from sinks.analytics.genealogy import Direction
    from sinks.analytics.genealogy import trace as steps_of

    if as_json and epcis:
        raise typer.BadParameter("choose one", param_hint="--json, --epcis")
    published = load(config).store.published
    if epcis:
        _print_document(published, lot, epcis)
        return
    found = {direction: steps_of(published, lot, direction) for direction in Direction}
    steps = {direction: told for direction, (told, _) in found.items()}
    if as_json:
        print_json({direction.value: [asdict(step) for step in told] for direction, told in steps.items()})
    else:
        results().print(*_tables(lot, steps), sep="\n")
    _end(lot, known=any(steps.values()), more=any(more for _, more in found.values()))


def _print_document(published: Path, lot: str, base: str) -> None:
    import time

    from canonical.epcis import NotABase, document
    from dataflows.cli.output import print_json
    from sinks.analytics.genealogy import transformations

    orders, more = transformations(published, lot)
    try:
        print_json(document(orders, base, time.time_ns() // 1_000))
    except NotABase as error:
        raise typer.BadParameter(str(error), param_hint="--epcis") from error
    _end(lot, known=bool(orders), more=more)


def _end(lot: str, *, known: bool, more: bool) -> None:
    from dataflows.cli.output import errors
    from sinks.analytics.genealogy import STEPS_MAX

    if more:
        errors().print(f"There are more than {STEPS_MAX:,} steps; the first are told.", highlight=False)
    if not known:
        errors().print(
            f"The analytics store knows no order that made lot {lot} of others or used it. The names of lots are those "
            "that plants give; the column lot of the tables production and usage lists them.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


def _tables(lot: str, steps: Mapping[Direction, Sequence[Step]]) -> list[Any]:
    from rich.table import Table

    from sinks.analytics.genealogy import Direction

    titles = {Direction.BACK: f"What went into {lot}", Direction.FORWARD: f"What {lot} went into"}
    tables = []
    for direction, told in steps.items():
        table = Table(title=titles[direction], title_justify="left", header_style="bold")
        for name in ("level", "plant", "order", "component", "lot used", "quantity", "unit"):
            table.add_column(name, justify="right" if name in {"level", "quantity"} else "left")
        for name in ("material", "lot made", "quantity", "unit"):
            table.add_column(name, justify="right" if name == "quantity" else "left")
        for s in told:
            used = (s.component, s.component_lot, str(s.used), s.used_unit)
            table.add_row(str(s.level), s.plant, s.order_id, *used, s.material, s.lot, str(s.made), s.made_unit)
        if told:
            tables.append(table)
    return tables
