"""Messages side by side: what a kernel wrote stays in few buffers until somebody wants a message of it.

Law: to go through them is to go through the list that ``canonical.wire`` makes without a kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from canonical.coded import Coded
from canonical.records import Headers
from canonical.written import Field, Form, written

Message = tuple[bytes, bytes, Headers]
"""Key, value, headers."""

_NOTHING: Final = pa.array([""], pa.string())


@dataclass(frozen=True, slots=True, eq=False)
class Messages(Collection[Message]):
    """MESSAGE[n]. Of headers each has one value for all, or a column; a message has no header that is empty in it."""

    keys: pa.StringArray
    values: pa.StringArray
    headers: tuple[tuple[str, bytes | pa.StringArray], ...]

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, message: object) -> bool:
        return any(message == each for each in self)

    def __iter__(self) -> Iterator[Message]:
        names = [name for name, _ in self.headers]
        columns = [[column] * len(self) if isinstance(column, bytes) else cut(column) for _, column in self.headers]
        for key, value, *contents in zip(cut(self.keys), cut(self.values), *columns, strict=True):
            yield key, value, tuple((name, content) for name, content in zip(names, contents, strict=True) if content)

    def take(self, rows: NDArray[np.int64]) -> Messages:
        """Return some of the messages."""
        headers = ((name, column if isinstance(column, bytes) else column.take(rows)) for name, column in self.headers)
        return Messages(self.keys.take(rows), self.values.take(rows), tuple(headers))

    def value_bytes(self) -> int:
        """Return how long all values are."""
        ends = _ends(self.values)
        return int(ends[-1] - ends[0])

    def longest_value(self) -> int:
        """Return how long the longest value is."""
        return int(np.diff(_ends(self.values)).max(initial=0))

    def header_texts(self) -> list[str] | None:
        """Return the headers of each as JSON, [[name, value], ...], the bytes of a value as Latin-1.

        None where a kernel cannot write them: where there is none, or one holds what JSON escapes.
        """
        (first, content), *rest = self.headers or (("", _NOTHING),)
        if not isinstance(content, bytes):
            return None
        fields: list[Field] = []
        # Each closes the one before it, since what comes between may be left out.
        before = b"[" + _header(first) + _latin1(content)
        for name, column in rest:
            opening = b"]," + _header(name)
            if isinstance(column, bytes):
                before += (opening + _latin1(column)) if column else b""
                continue
            if before:  # what all have must stay where this one is left out
                fields.append(Field(before, Coded(np.zeros(len(self), np.int32), _NOTHING), Form.RAW))
                before = b""
            fields.append(Field(opening, column, Form.LATIN1, left_out=True))
        texts = written(fields, before + b"]]", len(self))
        return None if texts is None else texts.to_pylist()


def _header(name: str) -> bytes:
    return b"[" + orjson.dumps(name) + b","


def _latin1(content: bytes) -> bytes:
    return orjson.dumps(content.decode("latin-1"))


def cut(column: pa.StringArray) -> list[bytes]:
    """Return the bytes of each text."""
    _, _, data = column.buffers()
    joined = b"" if data is None else data.to_pybytes()
    return [joined[begin:end] for begin, end in pairwise(_ends(column).tolist())]


def _ends(column: pa.StringArray) -> NDArray[np.int32]:
    _, ends, _ = column.buffers()
    own: NDArray[np.int32] = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1]
    return own
