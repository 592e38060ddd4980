"""``plantsync query``: SQL over the published analytics store, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    import pyarrow as pa


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement; SHOW TABLES lists what there is.")],
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Value of $NAME in the query; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown at most.")] = 1_000,
    as_json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    config: Config = CONFIG,
) -> None:
    """Ask the analytics store, as it was last published; nothing can be changed.

    Example: plantsync query "FROM output_by_hour WHERE plant = $plant" --param plant=A
    """
    from dataflows.cli.output import errors, print_json, results
    from dataflows.settings import load
    from sinks.analytics.published import query as ask

    if as_json and csv:
        raise typer.BadParameter("choose one", param_hint="--json, --csv")
    parameters = dict(map(_parameter, param or ()))
    answer = ask(load(config).store.published, sql, parameters or None, rows_max=limit)
    if as_json:
        print_json(answer.rows.to_pylist())
    elif csv:
        _print_csv(answer.rows)
    else:
        results().print(_table(answer.rows))
    if answer.more:
        errors().print(f"There are more rows than {limit:,}; raise --limit to see them.", highlight=False)


def _parameter(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; a number, true, false and null are what they look like, anything else is text."""
    import json

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(parsed, (list, dict)) else parsed


def _table(rows: pa.Table) -> Any:
    import pyarrow as pa
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for field in rows.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(Text(field.name), justify="right" if number else "left")
    for row in rows.to_pylist():
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    return table


def _print_csv(rows: pa.Table) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows(row.values() for row in rows.to_pylist())
