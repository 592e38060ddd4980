"""Orders whose quantities change, as a table that people read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

ORDERS_SHOWN = 40
KEYS = ("plant", "order", "operation", "lot")
SUMS = {"events": 1, "good": 1_000, "scrap": 1_000, "rework": 1_000}
"""What is summed of an order, and what one of it counts as."""


def order_table(
    orders: Iterable[Mapping[str, Any]], words: Callable[[Mapping[str, Any], str, int], str], title: str | None = None
) -> Table:
    """Return a row for each order; ``words`` tells a sum of it, from the order, the sum's name and what it counts."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", title=title)
    for name in KEYS:
        table.add_column(name)
    for name in SUMS:
        table.add_column(name, justify="right")
    table.add_column("unit")
    for order in orders:
        told = [words(order, name, by) for name, by in SUMS.items()]
        table.add_row(*(Text(text) for text in (*(order[name] for name in KEYS), *told, order["unit"])))
    return table
