"""The analytics store's schema: how older stores become new ones, its views, and what it says of itself.

``schema/NNNN_*.sql`` are the migrations, run in order, each once, and never edited after a
release; a test compares their outcome with the contracts. ``schema/views/*.sql``, in the order of
``VIEWS``, and the comments are written anew whenever the store is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Final

from sinks.analytics.statements import literal
from sinks.analytics.table import HOT, Described, Table

VIEWS: Final = (
    *("units", "reference", "production", "ledger", "genealogy", "postings", "states", "telemetry"),
    *("latency", "slo", "kpi", "orders", "outstanding"),
)
"""Files of views by subject; each may use what those before it define."""


def migrations() -> list[str]:
    """Return the SQL of each migration, oldest first; a store's version is how many it has seen."""
    folder = resources.files(__package__) / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name[:4].isdigit())
    return [(folder / name).read_text("utf-8") for name in names]


def descriptions(tables: Sequence[Described]) -> str:
    """Return the SQL that writes the views and the comments on tables and columns."""
    folder = resources.files(__package__) / "schema" / "views"
    views = [(folder / f"{name}.sql").read_text("utf-8") for name in VIEWS]
    return "\n".join((*views, *map(comments, tables)))


def comments(table: Described) -> str:
    """Return the SQL that writes the comments on a table, or on the view that stands for it, and on its columns."""
    sealed = isinstance(table, Table) and table.sealing is not None
    lines = [f"COMMENT ON {'VIEW' if sealed else 'TABLE'} {table.name} IS {literal(table.comment)};"]
    if sealed:
        lines.append(f"COMMENT ON TABLE {HOT}{table.name} IS 'Rows of {table.name} that are in no file yet.';")
    lines += [f"COMMENT ON COLUMN {table.name}.{c.name} IS {literal(c.comment)};" for c in table.columns]
    return "\n".join(lines)
