"""Tables and figures as every benchmark prints them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.table import Table

Told = dict[str, object]
"""What a benchmark says for the history; ``problems`` name the bounds that were exceeded."""


def table(title: str, *columns: str) -> Table:
    """Return a table whose first column is words and whose others are figures."""
    made = Table(title=title)
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number else "left")
    return made


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median, and in brackets the least and the most, where they differ."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"
