"""Texts of inputs as codes, and what is known of each text: whatever is asked of texts is asked once of each.

Law: what a table says of a text depends on the text alone. Codes are those of a vocabulary of their own, and are never
written down; code 0 is the empty text, which is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import CodeColumn, Vocabulary

Answers = Callable[[list[str]], NDArray[Any]]
Mask = NDArray[np.bool_]

_UNASKED: Final = np.iinfo(np.int32).min


class Words:
    """A vocabulary with tables over its texts, which grow with it."""

    def __init__(self) -> None:
        self.vocabulary: Final = Vocabulary()
        self._tables: dict[object, CodeColumn] = {}
        self._tests: dict[object, Mask] = {}
        self._joined: dict[tuple[object, int], dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self.vocabulary)

    def code(self, text: str) -> int:
        """Return the code of a text."""
        return self.vocabulary.code(text)

    def codes(self, values: pa.Array) -> CodeColumn:
        """Return the codes of an array of texts, or of what can be written as such; null is nothing."""
        if not pa.types.is_dictionary(values.type):
            values = (values if pa.types.is_string(values.type) else values.cast(pa.string())).dictionary_encode()
        table = np.append(self.vocabulary.codes(values.dictionary.to_pylist()), np.int32(0))
        indices = values.indices
        if indices.null_count:
            indices = indices.fill_null(len(table) - 1)
        column: CodeColumn = table[indices.to_numpy()]
        return column

    def asked(self, key: object, of: Answers, column: CodeColumn) -> CodeColumn:
        """Return what ``of`` says of the text of each row, as int32; it is asked once for each text, ever.

        Args: key: stands for ``of``, which answers many texts at once.
        """
        texts = self.vocabulary.texts
        table = self._tables.get(key)
        if table is None or len(table) < len(texts):
            grown = np.full(len(texts) + len(texts) // 4, _UNASKED, np.int32)
            if table is not None:
                grown[: len(table)] = table
            table = self._tables[key] = grown
        answers = table[column]
        if len(column) and answers.min() == _UNASKED:
            codes = np.unique(column[answers == _UNASKED])
            table[codes] = of([texts[code] for code in codes.tolist()])
            answers = table[column]
        return answers

    def tested(self, key: object, test: Answers, column: CodeColumn) -> Mask:
        """Return for which rows a test of the text holds; all texts are tested, since most tests hold for all or none.

        Args: key: stands for ``test``, which answers many texts at once, as bool.
        """
        texts = self.vocabulary.texts
        table = self._tests.get(key)
        if table is None:
            table = self._tests[key] = test(texts)
        elif len(table) < len(texts):
            table = self._tests[key] = np.concatenate((table, test(texts[len(table) :])))
        if table.all():
            return np.ones(len(column), np.bool_)
        return table[column] if table.any() else np.zeros(len(column), np.bool_)

    def joined(self, key: object, columns: Sequence[CodeColumn], separator: str) -> CodeColumn:
        """Return the codes of the texts of each row after each other; nothing where one is nothing."""
        column = columns[0]
        for place, other in enumerate(columns[1:]):
            known = self._joined.setdefault((key, place), {})
            pairs = pa.array(column.astype(np.int64) << 32 | other).dictionary_encode()
            distinct: list[int] = pairs.dictionary.to_pylist()
            for pair in distinct:
                if pair not in known:
                    known[pair] = self._after_each_other(pair >> 32, pair & 0xFFFF_FFFF, separator)
            column = np.array([known[pair] for pair in distinct], np.int32)[pairs.indices.to_numpy()]
        return column

    def texts(self, column: CodeColumn) -> pa.DictionaryArray:
        """Return the texts of a column; nothing is null."""
        used = np.zeros(len(self.vocabulary), np.bool_)
        used[column] = True
        used[0] = False
        codes = np.flatnonzero(used)
        place = np.cumsum(used, dtype=np.int32) - 1
        texts = self.vocabulary.texts
        distinct = pa.array([texts[code] for code in codes.tolist()], pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(place[column], mask=column == 0), distinct)

    def _after_each_other(self, first: int, second: int, separator: str) -> int:
        texts = self.vocabulary.texts
        return self.code(f"{texts[first]}{separator}{texts[second]}") if first and second else 0
