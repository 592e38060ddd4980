"""Columns of Parquet as columns that JSON can say: whatever a file holds, each value has one way to be written.

Laws: what a value becomes depends on the value and the type of its column alone. Texts that come out are UTF-8,
instants and days lie in the years 1 to 9999, numbers are finite: what is handed to the writer of JSON cannot make it
fail.

- Instants with a zone are in UTC, those without stay so; what lies before or behind those years is at their edge.
- Bytes that are text are text; others are hexadecimal.
- An infinite number is the largest there is, so that no bound of a plant accepts it; what is not a number is nothing.
- Durations are counts of their unit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY_S: Final = 86_400
_PER_S: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def written(column: pa.Array, bad: NDArray[np.bool_]) -> pa.Array:
    """Return a column as JSON can say it.

    Args: bad: of the rows; those that hold a text which is no UTF-8 are marked, and get another text.
    """
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return written(column.storage, bad)
    if pa.types.is_dictionary(kind):
        return written(column.dictionary_decode(), bad)
    if pa.types.is_struct(kind):
        fields = [written(column.field(i), bad) for i in range(kind.num_fields)]
        mask = column.is_null() if column.null_count else None
        return pa.StructArray.from_arrays(fields, [field.name for field in kind], mask=mask)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return _text(column, bad)
    if _is_binary(kind):
        return _bytes(column)
    if pa.types.is_floating(kind):
        return _finite(column)
    if pa.types.is_temporal(kind):
        return _time(column)
    if pa.types.is_decimal(kind) and not pa.types.is_decimal128(kind):
        return column.cast(pa.string())
    return column


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or kind == pa.binary_view()
    )


def _text(column: pa.Array, bad: NDArray[np.bool_]) -> pa.Array:
    values = column.cast(pa.large_binary())
    try:
        return values.cast(pa.large_string())  # which looks whether it is text
    except pa.ArrowInvalid:
        texts = []
        for row, value in enumerate(values.to_pylist()):
            try:
                texts.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                bad[row] = True
                texts.append(_REPLACEMENT)
        return pa.array(texts, pa.large_string())


def _bytes(column: pa.Array) -> pa.Array:
    values = column.cast(pa.large_binary())
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:
        return pa.array([_shown(value) for value in values.to_pylist()], pa.large_string())


def _shown(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _finite(column: pa.Array) -> pa.Array:
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    infinite = pc.is_inf(column)
    if not pc.any(infinite).as_py():
        return column
    largest = float(np.finfo(np.float32 if pa.types.is_float32(column.type) else np.float64).max)
    least, most = pa.scalar(-largest, column.type), pa.scalar(largest, column.type)
    return pc.if_else(infinite, pc.if_else(pc.less(column, least), least, most), column)


def _time(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind):
        per_s = _PER_S[kind.unit]
        first, last = _FIRST_DAY * _DAY_S * per_s, (_LAST_DAY + 1) * _DAY_S * per_s - 1
        bare = _within(column.cast(pa.int64()), first, last)
        return bare.cast(pa.timestamp(kind.unit, "UTC" if kind.tz is not None else None))
    if pa.types.is_date32(kind):
        return _within(column.cast(pa.int32()), _FIRST_DAY, _LAST_DAY).cast(kind)
    if pa.types.is_date64(kind):
        return _time(column.cast(pa.timestamp("ms"))).cast(pa.date32(), safe=False)
    if pa.types.is_time(kind):
        wide = pa.types.is_time64(kind)
        bare = column.cast(pa.int64() if wide else pa.int32())
        return _within(bare, 0, _DAY_S * _PER_S[kind.unit] - 1).cast(kind)
    if pa.types.is_duration(kind):
        return column.cast(pa.int64())
    return column


def _within(column: pa.Array, first: int, last: int) -> pa.Array:
    """Return whole numbers, those beyond the edges at them; edges that the type cannot reach hold."""
    bits = np.iinfo(np.int64 if column.type == pa.int64() else np.int32)
    first, last = max(first, int(bits.min)), min(last, int(bits.max))
    least, most = pa.scalar(first, column.type), pa.scalar(last, column.type)
    return pc.min_element_wise(pc.max_element_wise(column, least, skip_nulls=False), most, skip_nulls=False)
