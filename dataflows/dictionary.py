"""The data dictionary, docs/dictionary.md: written from an empty store's own catalogue, never by hand (M47).

``python -m dataflows.dictionary --check`` exits 1 when the page is stale or something has no comment; ``--write``
writes the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb

from canonical.derived_files import check_or_write
from canonical.schemas import CONTRACTS
from dataflows.analytics import ERP_TABLES, TABLES
from sinks.analytics.column_words import describe_view_columns
from sinks.analytics.reference_tables import REFERENCE_TABLES
from sinks.analytics.store_schema import descriptions, migrations
from sinks.analytics.store_tables import DESCRIBED, READ, SUMMED
from sinks.streams import POSTINGS

PAGE: Final = Path(__file__).parents[1] / "docs" / "dictionary.md"

_OPENING: Final = """\
# Data dictionary

Written by `python -m dataflows.dictionary --write` from the comments that the analytics store carries; do not edit.
[The store](store.md) says how to connect, [analysts](analysts.md) has the questions most often asked. Ask the
store itself with `SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'order_progress'`.
"""

_RELATIONS: Final = """
SELECT table_name, comment, 'table' AS kind, '' AS sql FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT view_name, comment, 'view', sql FROM duckdb_views() WHERE NOT internal
ORDER BY ALL
"""
_COLUMNS: Final = """
SELECT table_name, column_name, data_type, is_nullable, coalesce(comment, '') FROM duckdb_columns() WHERE NOT internal
ORDER BY table_name, column_index
"""
_FUNCTIONS: Final = """
SELECT function_name, parameters, coalesce(comment, '') FROM duckdb_functions() WHERE NOT internal ORDER BY ALL
"""

_NAMED_UNITS: Final = {"_us": "µs", "_s": "s", "seconds": "s", "_mwh": "mWh", "_wh": "Wh", "_bytes": "bytes"}
"""How the name of a column ends that says what it counts."""
_TYPED_UNITS: Final = {"DECIMAL(18,3)": "its unit", "TIMESTAMP": "UTC", "DATE": "day of the plant"}


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table or view."""

    name: str
    sql_type: str
    nullable: bool
    comment: str

    @property
    def unit(self) -> str:
        """Return what a number of it counts, empty where there is nothing to say."""
        named = (unit for end, unit in _NAMED_UNITS.items() if self.name.endswith(end))
        if unit := next(named, ""):
            return unit
        if "thousandths of it;" in self.comment:
            return "‰"
        return "0.001 of its unit" if "thousandths" in self.comment else _TYPED_UNITS.get(self.sql_type, "")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view; ``reads`` are those that a view reads itself."""

    name: str
    comment: str
    view: bool
    fields: Sequence[Field]
    reads: Sequence[str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a store has."""

    relations: Mapping[str, Relation]
    functions: Sequence[tuple[str, Sequence[str], str]]

    def uncommented(self) -> list[str]:
        """Return what has no comment."""
        found = [name for name, relation in self.relations.items() if not relation.comment]
        for name, relation in self.relations.items():
            if not _own(name):
                found += [f"{name}.{field.name}" for field in relation.fields if not field.comment]
        return found + [f"{name}()" for name, _, comment in self.functions if not comment]


def catalogue() -> Catalogue:
    """Return what a new store has."""
    with duckdb.connect() as db:
        for step in migrations():
            db.execute(step)
        db.execute(descriptions(DESCRIBED))
        describe_view_columns(db)
        told = db.execute(_RELATIONS).fetchall()
        fields: dict[str, list[Field]] = {name: [] for name, *_ in told}
        for table, *field in db.execute(_COLUMNS).fetchall():
            fields[table].append(Field(*field))
        relations = {
            name: Relation(name, comment or "", kind == "view", fields[name], _reads(db, sql, fields))
            for name, comment, kind, sql in told
        }
        for name, table in READ.items():
            if table.sealing:  # a view over a table and files: to whoever asks, a table
                nullable = {field.name: field.nullable for field in fields[table.stored]}
                shown = [replace(field, nullable=nullable[field.name]) for field in fields[name]]
                relations[name] = replace(relations[name], view=False, fields=shown)
        return Catalogue(relations, db.execute(_FUNCTIONS).fetchall())


def _reads(db: duckdb.DuckDBPyConnection, sql: str, known: Mapping[str, Any]) -> list[str]:
    """Return the tables and views that a view reads; what it defines itself is none of them."""
    query = sql.partition(" AS ")[2].rstrip(";\n ")
    if not query:
        return []
    # A literal is folded before the function sees it as text of a query, hence the column.
    ((tree,),) = db.execute("SELECT json_serialize_sql(query) FROM (SELECT ? AS query)", [query]).fetchall()
    return sorted({name for name in _named(json.loads(tree)) if name in known})


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            yield node["table_name"]
        for inner in node.values():
            yield from _named(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _named(inner)


def page(found: Catalogue) -> str:
    """Return what docs/dictionary.md has to say."""
    relations = found.relations.values()
    parts = (
        ("Views", [each for each in relations if each.view]),
        ("Tables", [each for each in relations if not each.view and not _own(each.name)]),
    )
    lines = [_OPENING]
    for title, members in parts:
        lines += [f"## {title}", ""]
        for each in members:
            lines += _section(each)
    lines += ["## Functions", "", "| function | meaning |", "|---|---|"]
    lines += [f"| `{name}({', '.join(parameters)})` | {comment} |" for name, parameters, comment in found.functions]
    lines += ["", "## The store's own", "", "For its writer; they may change in any release.", ""]
    lines += ["| table | meaning |", "|---|---|"]
    lines += [f"| `{each.name}` | {each.comment} |" for each in relations if _own(each.name)]
    return "\n".join(lines) + "\n"


def _own(table: str) -> bool:
    return table.startswith("store_")


def _section(relation: Relation) -> list[str]:
    return [
        f"### {relation.name}",
        "",
        relation.comment,
        *_origin(relation),
        "",
        "| column | type | counts | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{field.name}` | {field.sql_type}{', or null' if field.nullable and not relation.view else ''} "
            f"| {field.unit} | {field.comment} |"
            for field in relation.fields
        ),
        "",
    ]


def _origin(relation: Relation) -> list[str]:
    if relation.view:
        return ["", f"Reads {_listed(relation.reads)}."] if relation.reads else []
    summed = [rollup.table for rollup in SUMMED if rollup.name == relation.name]
    if summed:
        return ["", f"Sums of {_listed(summed)}."]
    streams = [stream for stream, (table, _) in {**TABLES, **ERP_TABLES}.items() if table == relation.name]
    if relation.name == "posting":
        streams.append(f"{POSTINGS}<erp>")
    contract = next((name for name in (relation.name, f"{relation.name}_entry") if name in CONTRACTS), "")
    referred = relation.name in {table.name for table in REFERENCE_TABLES.values()}
    if not streams and not referred:
        return []
    link = f", contract [{contract}](contracts.md#{contract.lower()}-version-{max(CONTRACTS[contract])})"
    origin = "reference data" if referred else f"stream {_listed(streams)}"
    return ["", f"From {origin}{link if contract else ''}."]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def problems(found: Catalogue, path: Path = PAGE) -> list[str]:
    """Return what has no comment, and whether the page says something else than the store does."""
    lacking = [
        f"{name} has no comment: write COMMENT ON in its file of sinks/analytics/schema/views/, give the column a word "
        "in sinks/analytics/column_words.py, or describe the table in sinks/analytics/stream_tables.py or its migration"
        for name in found.uncommented()
    ]
    if path.exists() and path.read_text(encoding="utf-8") == page(found):
        return lacking
    return [*lacking, f"{path.name}: not what the store says; run python -m dataflows.dictionary --write"]


def write() -> None:
    """Write the page."""
    PAGE.write_text(page(catalogue()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(check_or_write("dataflows.dictionary", "The data dictionary.", lambda: problems(catalogue()), write))
