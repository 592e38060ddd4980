"""Texts in state: columns of codes go out as Arrow dictionaries and come back as new codes.

Law: ``from_table(to_table(batch, v), w)`` says the same as ``batch``, whatever codes ``w`` gives.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from canonical.columns import DEFAULTS, TEXT_COLUMNS, CodeColumn, Column, EventBatch, Vocabulary

NOT_KEPT = frozenset(("sid", "row"))
"""Columns that mean nothing in another process: the session row, the row of a raw batch."""
_SPARSE: Final = 64
"""Codes that span more than so many times their number are sorted; a table of the span would cost more."""


def text_array(codes: CodeColumn, vocabulary: Vocabulary) -> pa.DictionaryArray:
    """Return the texts of ``codes`` as an Arrow dictionary that holds only those in use."""
    used, places = _compacted(codes)
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), vocabulary.arrow(used))


def _compacted(codes: CodeColumn) -> tuple[CodeColumn, CodeColumn]:
    """Return the codes in use, ascending, and the place of each row's code among them.

    That is ``np.unique``, which sorts the rows; codes are small and many columns hold but one.
    """
    if not len(codes):
        return codes, codes
    low, high = int(codes.min()), int(codes.max())
    if low == high:
        return codes[:1], np.zeros(len(codes), np.int32)
    if high - low > _SPARSE * len(codes):
        used, places = np.unique(codes, return_inverse=True)
        return used, places.astype(np.int32)
    from_low = codes - low
    table = np.zeros(high - low + 1, np.int32)
    table[from_low] = 1
    used = np.flatnonzero(table).astype(np.int32)
    table[used] = np.arange(len(used), dtype=np.int32)
    return used + low, table[from_low]


def text_codes(column: pa.ChunkedArray, vocabulary: Vocabulary) -> CodeColumn:
    """Return the codes of an Arrow text column, giving new ones where needed."""
    if column.num_chunks == 0 or len(column) == 0:
        return np.empty(0, np.int32)
    dictionary = column.combine_chunks()
    if isinstance(dictionary, pa.ChunkedArray):
        dictionary = dictionary.chunk(0)
    if not isinstance(dictionary, pa.DictionaryArray):
        dictionary = dictionary.dictionary_encode()
    codes = vocabulary.codes(dictionary.dictionary.to_pylist())
    indices: CodeColumn = dictionary.indices.to_numpy(zero_copy_only=False)
    return codes[indices]


def to_table(batch: EventBatch, vocabulary: Vocabulary) -> pa.Table:
    """Return EVENT[n] as an Arrow table with texts, without the columns of this process only."""
    arrays = {
        name: text_array(column, vocabulary) if name in TEXT_COLUMNS else pa.array(column)
        for name, column in batch.columns.items()
        if name not in NOT_KEPT
    }
    return pa.table(arrays)


def from_table(table: pa.Table, vocabulary: Vocabulary) -> EventBatch:
    """Return the EVENT[n] that ``to_table`` wrote; columns unknown here are left aside."""
    columns: dict[str, Column] = {}
    for name in table.column_names:
        if name in TEXT_COLUMNS:
            columns[name] = text_codes(table.column(name), vocabulary)
        elif name in DEFAULTS:
            columns[name] = table.column(name).to_numpy().astype(DEFAULTS[name][0])
    return EventBatch(table.num_rows, columns)
