"""Documents of ERPs, as somebody has exported them for an audit: JSON lines, or CSV with a head line.

A row is a line of a document, and a document has as many rows as lines:

- ``erp``, ``document``: its ERP's name in the settings, and its number, as receipts name it or the first part of that;
- ``posting_id``: the id that it carries, where it carries one;
- ``order``, ``operation``;
- ``good``, ``scrap``, ``rework``: what it confirms, in whole units with up to three decimals; ``rework`` empty where
  the ERP has it in its scrap;
- ``material``, ``lot``, ``quantity``: what it moves;
- ``reverses``: the document that it takes back; ``belongs_to``: the document that the ERP made it for, by itself.

Fields that say nothing may be empty or absent, others may be there.

Raises of all functions here: DocumentsUnreadable.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from sinks.commit_log import PlantsyncError

_TEXTS: Final = {
    "erp": "erp",
    "document": "document",
    "posting_id": "posting_id",
    "order": "order_id",
    "operation": "operation",
    "material": "material",
    "lot": "lot",
    "reverses": "reverses",
    "belongs_to": "belongs_to",
}
_QUANTITIES: Final = ("good", "scrap", "rework", "quantity")
_REQUIRED: Final = ("erp", "document")
_LARGEST: Final = 10**15
SCHEMA: Final = pa.schema(
    [*((name, pa.string()) for name in _TEXTS.values()), *((name, pa.int64()) for name in _QUANTITIES)]
)


class DocumentsUnreadable(PlantsyncError):
    """A file of documents that cannot be used: which line, what is wrong."""


def erp_documents(path: Path) -> pa.Table:
    """Return the rows of a file, quantities in thousandths; a name that ends in .csv is CSV, any other JSON lines."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines: Iterator[Mapping[str, Any]] = csv.DictReader(file) if path.suffix == ".csv" else map(_object, file)
            rows = [_row(path, number, line) for number, line in enumerate(lines, 1)]
    except (OSError, UnicodeDecodeError, csv.Error, orjson.JSONDecodeError) as error:
        raise DocumentsUnreadable(
            f"{path} cannot be read: {error}; documents are JSON lines, or CSV with a head line in a file named .csv"
        ) from error
    return pa.Table.from_pylist(rows, SCHEMA)


def _object(line: str) -> Mapping[str, Any]:
    value = orjson.loads(line)
    return value if isinstance(value, dict) else {}


def _row(path: Path, number: int, line: Mapping[str, Any]) -> dict[str, str | int | None]:
    row: dict[str, str | int | None] = {column: _text(line.get(name)) for name, column in _TEXTS.items()}
    if missing := [name for name in _REQUIRED if not row[name]]:
        raise DocumentsUnreadable(f"{path}, row {number} has no {' and no '.join(missing)}")
    if isinstance(name := row["posting_id"], str):
        row["posting_id"] = name.lower()
    for name in _QUANTITIES:
        row[name] = _thousandths(path, number, name, _text(line.get(name)))
    return row


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value).strip()


def _thousandths(path: Path, number: int, name: str, text: str | None) -> int | None:
    """Return whole units as thousandths, exactly. A JSON number is read as it is written, to fifteen digits."""
    if text is None:
        return None
    try:
        exact = Decimal(text) * 1000
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact != exact.to_integral_value() or abs(exact) > _LARGEST:
        raise DocumentsUnreadable(
            f"{path}, row {number}: {name} is {text!r}, which is no number of units with up to three decimals"
        )
    return int(exact)
