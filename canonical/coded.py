"""A column of texts by code: what few distinct texts of many rows are moved as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from canonical.columns import CodeColumn, Column


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """TEXT[n]: row i is ``texts[codes[i]]``; int32 codes, at any stride."""

    codes: CodeColumn
    texts: pa.StringArray

    def __len__(self) -> int:
        return len(self.codes)

    def arrow(self) -> pa.StringArray:
        """Return the texts row by row."""
        return self.texts.take(pa.array(self.codes))

    def tolist(self) -> list[str]:
        """Return the texts row by row, as objects of Python."""
        listed: list[str] = self.arrow().to_pylist()
        return listed


AnyColumn: TypeAlias = Column | Coded | pa.StringArray
"""ITEM[n] in whichever form it comes; each has ``tolist``."""


def listed(columns: Mapping[str, AnyColumn]) -> dict[str, list[Any]]:
    """Return columns as lists of plain Python values."""
    return {name: column.tolist() for name, column in columns.items()}
