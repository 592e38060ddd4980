"""Columns as lines of JSON by a compiled kernel.

Law: the lines are those that ``canonical.wire`` makes of the same columns without a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from canonical.coded import AnyColumn, Coded
from canonical.written import Field, Form, is_compiled, whole, written

_BOOLEANS: Final = pa.array(["false", "true"], pa.string())


def json_lines(columns: Mapping[str, Any], rows: int) -> bytes | None:
    """Return a line of JSON for each row, but for the end of the last; fields in the order of the columns.

    None where the kernel cannot make them: see ``json_texts``.
    """
    lines = json_texts(columns, rows, b"\n")
    return None if lines is None else whole(lines)[:-1]


def json_texts(columns: Mapping[str, Any], rows: int, end: bytes = b"") -> pa.StringArray | None:
    """Return a JSON object for each row, and what stands at its end; fields in the order of the columns.

    None where the kernel cannot make them: where there is none, a text holds what JSON escapes, or a column is neither
    int64 nor boolean in numpy nor texts, coded or in Arrow, nor one text for all rows.
    """
    named = [(orjson.dumps(name) + b":", column) for name, column in columns.items()]
    return _texts(b"{", named, b"}" + end, rows)


def json_arrays(columns: list[AnyColumn], rows: int) -> pa.StringArray | None:
    """Return a JSON array for each row; None as ``json_texts`` does."""
    return _texts(b"[", [(b"", column) for column in columns], b"]", rows)


def _texts(opening: bytes, named: list[tuple[bytes, Any]], closing: bytes, rows: int) -> pa.StringArray | None:
    if not is_compiled() or not rows or not all(_is_usable(column) for _, column in named):
        return None
    fields: list[Field] = []
    before = opening
    for name, column in named:
        before += name
        same = _same(column)
        if same is not None:
            before += orjson.dumps(same) + b","
            continue
        field = _field(before, column)
        if field is None:
            return None
        fields.append(field)
        before = b","
    return written(fields, before[:-1] + closing, rows)


def _is_usable(column: Any) -> bool:
    if isinstance(column, np.ndarray):
        return column.dtype in (np.int64, np.bool_)
    return isinstance(column, str | Coded | pa.StringArray)


def _same(column: Any) -> Any:
    """Return the one value that all rows have, None where they differ; to look costs less than to write them."""
    if isinstance(column, str):
        return column
    if isinstance(column, np.ndarray):
        return column[0].item() if (column == column[0]).all() else None
    if isinstance(column, Coded):
        code = column.codes[0]
        return column.texts[int(code)].as_py() if (column.codes == code).all() else None
    return column[0].as_py() if not column.null_count and pc.all(pc.equal(column, column[0])).as_py() else None


def _field(before: bytes, column: AnyColumn) -> Field | None:
    if isinstance(column, np.ndarray) and column.dtype == np.bool_:
        return Field(before, Coded(column.astype(np.int32), _BOOLEANS), Form.RAW)
    if isinstance(column, pa.StringArray) and column.null_count:
        quoted = written((Field(b"", column.fill_null(""), Form.QUOTED),), b"", len(column))
        return None if quoted is None else Field(before, pc.if_else(column.is_valid(), quoted, "null"), Form.RAW)
    return Field(before, column, Form.NUMBER if isinstance(column, np.ndarray) else Form.QUOTED)
