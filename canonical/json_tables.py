"""What a stream holds, back to Arrow in bulk: lines of JSON in the schema of their contract."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import ClassVar

import arro3.io
import pyarrow as pa
from pydantic import BaseModel

from canonical.schemas import arrow_schema, columns, default


class WireError(ValueError):
    """A stored value that is not of its contract: which one, what is wrong, what to do."""

    retryable: ClassVar[bool] = False


@cache
def _nullable_schema(model: type[BaseModel]) -> pa.Schema:
    """Return the schema as older data may have it: any field may be absent."""
    return pa.schema([field.with_nullable(True) for field in arrow_schema(model)])  # noqa: FBT003 - pyarrow takes no name


def table(model: type[BaseModel], values: Sequence[bytes]) -> pa.Table:
    """Return the rows of all values in the contract's schema, with defaults where a field is absent.

    Raises: WireError.
    """
    filled = [value for value in values if value]
    if not filled:
        return arrow_schema(model).empty_table()
    try:
        read = _read(model, filled)
    except ValueError as error:
        raise WireError(
            f"{model.__name__}: {_place(model, filled)} is not JSON of this contract ({error}); the stream holds "
            "what plantsync did not write: see who else writes to it"
        ) from error
    arrays = []
    for name, field in columns(model).items():
        array = read[name]
        if array.null_count and not arrow_schema(model).field(name).nullable:
            if field.is_required():
                raise WireError(
                    f"{model.__name__}: {array.null_count} of {len(array)} rows lack {name}, which has no default"
                )
            array = array.fill_null(default(field))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=arrow_schema(model))


def _read(model: type[BaseModel], values: Sequence[bytes]) -> pa.Table:
    lines = b"\n".join(values)
    count = lines.count(b"\n") + 1
    table = pa.table(arro3.io.read_json(BytesIO(lines), _nullable_schema(model), batch_size=count))
    if table.num_rows != count:
        raise ValueError(f"{count} lines hold {table.num_rows} objects")
    return table


def _place(model: type[BaseModel], values: Sequence[bytes]) -> str:
    """Return which value cannot be read, for a person."""
    for i, value in enumerate(values):
        try:
            _read(model, [value])
        except ValueError:
            return f"value {i} of {len(values)}, {value[:80]!r},"
    return f"one of {len(values)} values"
