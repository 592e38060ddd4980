"""``plantsync lint``: every problem of a settings or mapping file, and what a payload becomes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import Json

if TYPE_CHECKING:
    from canonical.mapping import Problem

SETTINGS_KEYS = {"landing", "plants", "log", "store", "pace", "kafka"}


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Settings or mapping files.")],
    sample: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show what the records of this file become; one mapping file.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows of the sample that are shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Check files: every problem with file, line, key and hint. The examples in a mapping file are tried.

    Example: plantsync lint plants/plant_a.toml --sample records.ndjson
    """
    from canonical import mapping
    from dataflows import settings
    from dataflows.cli.output import print_json, results

    if sample is not None and len(files) != 1:
        raise typer.BadParameter("goes with one mapping file", param_hint="--sample")
    found: list[Problem] = []
    warned: list[Problem] = []
    for file in files:
        if _is_settings(file):
            problems = settings.problems(file)
            problems = problems or _tried(settings.load(file).plants)
            warned += [] if problems and not problems[0].key else settings.warnings(file)
        else:
            problems = _mapping_problems(mapping, file)
        found += problems
    shown: dict[str, Any] | None = None
    if sample is not None and not found:
        shown = _sampled(files[0], sample, rows)
    if as_json:
        document: dict[str, Any] = {"problems": list(map(_fields, found)), "warnings": list(map(_fields, warned))}
        print_json(document if shown is None else {**document, "sample": shown})
    else:
        console = results()
        for problem in found:
            console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        for problem in warned:
            console.print(f"warning: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        if shown is not None:
            _print_sample(shown)
        elif not found:
            console.print(f"{', '.join(map(str, files))}: no problems", highlight=False, soft_wrap=True)
    if found:
        raise typer.Exit(ERROR)


def _mapping_problems(mapping: Any, file: Path) -> list[Problem]:
    from canonical.decoders.examples import tried
    from canonical.mapping import Problem

    try:
        problems: list[Problem] = mapping.problems(file) or tried(file)
    except OSError as error:
        return [Problem(str(file), 0, "", str(error.strerror), "name an existing file")]
    return problems


def _tried(plants: Iterable[Path]) -> list[Problem]:
    from canonical.decoders.examples import tried

    return [problem for plant in plants for problem in tried(plant)]


def _is_settings(file: Path) -> bool:
    """Say whether a file looks like settings: it names plants, and no plant of its own."""
    import tomllib

    try:
        keys = tomllib.loads(file.read_text("utf-8")).keys()
    except (OSError, ValueError):
        return False
    return "plants" in keys or ("format" not in keys and "input" not in keys and bool(keys & SETTINGS_KEYS))


def _fields(problem: Problem) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(problem)


def _sampled(file: Path, sample: Path, rows: int) -> dict[str, Any]:
    from canonical.columns import Sessions, Vocabulary
    from canonical.decoders import decode
    from canonical.decoders.avro import read_container
    from canonical.decoders.b2mml import read_landed
    from canonical.decoders.parquet_rows import read_parquet
    from canonical.mapping import load
    from canonical.records import RawRecords
    from dataflows.confirmation_stages import event_columns
    from dataflows.sources.clock import SystemClock

    plant = load(file)
    data = sample.read_bytes()
    match plant.format:
        case "avro":
            raw = read_container(data, sample.name)
        case "b2mml":
            raw = read_landed(data, sample.name)
        case "parquet":
            raw = read_parquet(data, sample.name)
        case _:
            raw = RawRecords.from_lines(data, 0, sample.name)
    vocabulary = Vocabulary()
    done = decode(plant, raw, vocabulary, SystemClock()())
    import numpy as np

    head = done.events.take(np.arange(min(rows, done.events.n)))
    columns = event_columns(head, Sessions(vocabulary))
    return {
        "records": len(raw),
        "events": done.events.n,
        "skipped": done.skipped,
        "rows": [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)],
        "faults": [
            {
                "line": fault.row + 1,
                "code": fault.code.value,
                "detail": fault.detail,
                "original": raw.value(fault.row).decode("utf-8", "replace")[:200],
            }
            for fault in done.faults
        ],
    }


def _print_sample(shown: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from dataflows.cli.output import results

    console = results()
    rows = shown["rows"]
    if rows:
        table = Table(header_style="bold", title=f"The first {len(rows)} of {shown['events']:,} events")
        names = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
        for name in names:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_worded(name, row[name])) for name in names))
        console.print(table)
    for fault in shown["faults"]:
        console.print(
            f"line {fault['line']}: {fault['code']}: {fault['detail']}", style="red", markup=False, highlight=False
        )
    console.print(
        f"{shown['records']:,} records: {shown['events']:,} events, {len(shown['faults']):,} faults, "
        f"{shown['skipped']:,} no records",
        highlight=False,
    )


def _worded(name: str, value: Any) -> str:
    from datetime import UTC, datetime

    if name in ("occurred_us", "recorded_us") and value is not None:
        return datetime.fromtimestamp(value / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "" if value is None else str(value)
