"""What a Parquet file says it holds, looked at before Arrow does: row groups, columns, and what pages take unpacked.

Arrow makes room for a page as large as its header says, and what a broken footer says of its columns may end the
process where Arrow is asked for it; so both are read here, and bounded.

Law: what is told depends on the footer and the headers of pages alone, and takes work linear in their bytes.
Source: Apache Parquet, ``parquet.thrift``: FileMetaData, RowGroup, ColumnMetaData, PageHeader.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Final

from canonical.decoders.thrift_compact import Struct, Unsound, Value, struct_of

MAGIC: Final = b"PAR1"
FOOTER_BYTES_MAX: Final = 8 << 20
"""A file with a longer footer is refused."""
PAGE_BYTES_MAX: Final = 32 << 20
"""A larger page, packed or unpacked, makes its row group one that cannot be read."""
PAGES_MAX: Final = 100_000
"""Pages of a column of a row group."""

_TAIL_BYTES: Final = 8
_HEADER_BYTES_MAX: Final = 1 << 16
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_BYTE_ARRAY, _FIXED_LEN_BYTE_ARRAY = 6, 7
_VALUE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column of a row group: its path, whether its values are bytes of any length, and where its pages lie."""

    path: str
    is_bytes: bool
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Group:
    """A row group."""

    rows: int
    chunks: tuple[Chunk, ...]

    @property
    def start(self) -> int:
        """Return where its first page is."""
        return min(chunk.start for chunk in self.chunks)

    @property
    def end(self) -> int:
        """Return where its last page ends."""
        return max(chunk.start + chunk.size for chunk in self.chunks)


def groups_of(file: BinaryIO) -> list[Group]:
    """Return the row groups of a file. Raises: Unsound."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > min(size - _TAIL_BYTES - len(MAGIC), FOOTER_BYTES_MAX):
        raise Unsound("no footer, or one that is too long")
    file.seek(size - _TAIL_BYTES - length)
    footer, _ = struct_of(file.read(length))
    return [_group(each, size) for each in _list(footer, 4)]


def row_bytes(file: BinaryIO, chunk: Chunk) -> float:
    """Return what a value of a column may take unpacked, by the headers of its pages. Raises: Unsound."""
    dense, dictionary, at, end = 0.0, 0, chunk.start, chunk.start + chunk.size
    count = 0
    while at < end:
        count += 1
        if count > PAGES_MAX:
            raise Unsound(f"a column of more than {PAGES_MAX:,} pages")
        file.seek(at)
        header, length = struct_of(file.read(min(_HEADER_BYTES_MAX, end - at)))
        kind, unpacked, packed = _whole(header, 1), _whole(header, 2), _whole(header, 3)
        if not 0 <= unpacked <= PAGE_BYTES_MAX or not 0 <= packed <= PAGE_BYTES_MAX:
            raise Unsound(f"a page of {max(unpacked, packed):,} bytes; at most {PAGE_BYTES_MAX:,}")
        if kind == _DICTIONARY:
            dictionary = max(dictionary, unpacked)
        elif kind in (_DATA, _DATA_V2):
            values = _whole(_struct(header.get(5 if kind == _DATA else 8)), 1)
            dense = max(dense, unpacked / max(values, 1))
        at += length + packed
    if at != end:
        raise Unsound("pages that do not end where their column does")
    return max(dense, dictionary) if chunk.is_bytes else _VALUE_BYTES


def _group(value: Value, size: int) -> Group:
    told = _struct(value)
    if told.get(3) == 0:
        return Group(0, ())  # its columns lie nowhere
    chunks = tuple(_chunk(_struct(_struct(each).get(3)), size) for each in _list(told, 1))
    rows = _whole(told, 3)
    if rows <= 0 or not chunks:
        raise Unsound("a row group without columns, or without a number of rows")
    return Group(rows, chunks)


def _chunk(told: Struct, size: int) -> Chunk:
    names = [name for name in _list(told, 3) if isinstance(name, bytes)]
    data, dictionary, packed = _whole(told, 9), _whole(told, 11), _whole(told, 7)
    start = min(data, dictionary) if dictionary > 0 else data
    if start < len(MAGIC) or packed < 0 or start + packed > size:
        raise Unsound("a column that lies outside of the file")
    try:
        path = b".".join(names).decode()
    except UnicodeDecodeError as error:
        raise Unsound("a column whose name is no text") from error
    return Chunk(path, _whole(told, 1) in (_BYTE_ARRAY, _FIXED_LEN_BYTE_ARRAY), start, packed)


def _struct(value: Value) -> Struct:
    return value if isinstance(value, dict) else {}


def _whole(struct: Struct, field: int) -> int:
    value = struct.get(field)
    return value if isinstance(value, int) else 0


def _list(struct: Struct, field: int) -> list[Value]:
    value = struct.get(field)
    return value if isinstance(value, list) else []
