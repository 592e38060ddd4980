"""Avro object container files, taken apart block by block into single-object records.

Law: every byte behind the header is in exactly one record. A record is a datum with the frame of the file's schema
before it, or, where the file breaks off, lies about its counts or is no container, what cannot be told apart,
behind the magic of such files, which ``parse_avro`` refuses.

Memory: one block, packed and unpacked, or what is asked for at once, whatever sizes the file states. The compiled
kernel finds where data end, and takes whole blocks apart where they are not packed; what it leaves is walked over in
Python, some 0.2 million data a second.
Source: Avro 1.12 specification, Object Container Files.
"""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

import numpy as np

from canonical.columns import IntColumn
from canonical.decoders.avro_kernel import Passing, passing
from canonical.decoders.avro_skip import Skip, Unreadable, long_at, skipper
from canonical.records import Headers, RawRecords, SameHeaders
from canonical.writer_schema import single_prefix, writer_schema

SCHEMA_HEADER: Final = "avro.schema"
"""Header of a record of a container file: its writer schema as JSON, so that it can be read anywhere."""
MAGIC: Final = b"Obj\x01"
BLOCK_BYTES_MAX: Final = 32 << 20
"""A larger block, packed or unpacked, ends the file as if it broke off there; so does a larger header."""
REST_BYTES_MAX: Final = 32 << 20
"""Of what cannot be told apart so much is kept in the record that stands for it."""

_SYNC_BYTES: Final = 16
_PASSED_MAX: Final = 1 << 16
_WALKED_MAX: Final = 256
"""Data at once that the kernel passes over, and that are walked over before it is tried again."""
_NONE: Final = np.empty(0, np.int64)
_VARINT_BYTES_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class _Piece:
    """Records that follow each other: ``prefix + data[starts[i]:ends[i]]``."""

    prefix: bytes
    data: bytes
    starts: IntColumn
    ends: IntColumn

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, records: int) -> tuple[_Piece, _Piece]:
        first = replace(self, starts=self.starts[:records], ends=self.ends[:records])
        return first, replace(self, starts=self.starts[records:], ends=self.ends[records:])

    def size(self) -> int:
        """Return the bytes of all records."""
        return int(self.ends.sum() - self.starts.sum()) + len(self) * len(self.prefix)

    def sizes(self) -> IntColumn:
        """Return the bytes of each record."""
        return self.ends - self.starts + len(self.prefix)


class Container:
    """Reads one file; the records of it share one tuple of headers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._headers: Headers = ()
        self._room = (0, 0)  # records and bytes that are asked for now
        self._rest: _Piece | None = None
        self._pieces = self._told_apart()
        self._ordinal = 0

    def read(self, records_max: int, bytes_max: int, topic: str = "") -> RawRecords:
        """Return the next records, up to so many and about so large together, none at the end.

        Their offsets are their ordinals in the file. What cannot be told apart comes in a batch of its own.
        """
        pieces: list[_Piece] = []
        records, size = records_max, bytes_max
        # More is not joined to a batch that is half full: joining is copying.
        while records > 0 and size > 0 and (2 * records > records_max and 2 * size > bytes_max):
            piece = self._next(records, size)
            if piece is None or (pieces and piece.prefix != pieces[0].prefix):
                self._rest = piece
                break
            taken = piece.size()
            if len(piece) > records or taken > size:
                sizes = np.cumsum(piece.sizes())
                piece, rest = piece.cut(min(records, int(np.searchsorted(sizes, size)) + 1))
                self._rest, taken = rest if len(rest) else None, int(sizes[len(piece) - 1])
            pieces.append(piece)
            records -= len(piece)
            size -= taken
        count = sum(map(len, pieces))
        offsets = np.arange(self._ordinal, self._ordinal + count, dtype=np.int64)
        self._ordinal += count
        if not pieces:
            return RawRecords(b"", offsets, offsets, offsets, topic, headers=[])
        data, starts, ends = _joined(pieces)
        headers = SameHeaders(self._headers, count)
        return RawRecords(data, starts, ends, offsets, topic, headers=headers, prefix=pieces[0].prefix)

    def skip(self, records: int) -> None:
        """Pass over the next records."""
        left = records
        while left and (passed := len(self.read(min(left, _PASSED_MAX), BLOCK_BYTES_MAX))):
            left -= passed

    def _next(self, records: int, size: int) -> _Piece | None:
        piece, self._rest = self._rest, None
        self._room = (records, size)
        return next(self._pieces, None) if piece is None else piece

    def _told_apart(self) -> Iterator[_Piece]:
        """Yield the records of the file; no piece is empty."""
        consumed = 0
        try:
            text, codec, sync = self._header()
            schema = writer_schema(text)
            prefix, skip, kernel = single_prefix(text), skipper(schema), passing(schema)
            self._headers = ((SCHEMA_HEADER, text.encode()),)
            consumed = self._file.tell()
            while True:
                while kernel is not None and codec == "null" and len(piece := self._blocks(kernel, prefix, sync)):
                    consumed = self._file.tell()
                    yield piece
                consumed = self._file.tell()
                if not (first := self._file.read(1)):
                    break
                count, block = self._block(first, codec, sync)
                yield from _data_of(block, count, prefix, skip, kernel)
                consumed = self._file.tell()
        except ValueError:
            self._file.seek(consumed)
            yield _rest(self._file.read(REST_BYTES_MAX).removeprefix(MAGIC))

    def _blocks(self, kernel: Passing, prefix: bytes, sync: bytes) -> _Piece:
        """Return the data of the next whole blocks that are not packed, as many as there is room for."""
        records, size = self._room
        begin = self._file.tell()
        data = self._file.read(min(size, BLOCK_BYTES_MAX, self._like_the_next(records)))
        starts, ends, consumed = kernel.block_data(data, sync, records) if data else (_NONE, _NONE, 0)
        self._file.seek(begin + consumed)
        return _Piece(prefix, data, starts, ends)

    def _like_the_next(self, records: int) -> int:
        """Return the bytes of so many records where all blocks are like the next one, and of two blocks more.

        What is read beyond what is taken is read again.
        """
        begin = self._file.tell()
        head = self._file.read(2 * _VARINT_BYTES_MAX)
        self._file.seek(begin)
        try:
            count, at = long_at(head, 0)
            size, at = long_at(head, at)
        except (IndexError, Unreadable):
            return len(head)
        return (records // count + 2) * (at + size + _SYNC_BYTES) if count > 0 and size > 0 else len(head)

    def _header(self) -> tuple[str, str, bytes]:
        """Return the schema, the codec and the mark that ends each block."""
        if self._exactly(len(MAGIC)) != MAGIC:
            raise Unreadable("no container file")
        meta: dict[bytes, bytes] = {}
        size = 0
        while count := self._long(self._exactly(1)):
            if count < 0:
                self._long(self._exactly(1))
            for _ in range(abs(count)):
                name, value = self._text(), self._text()
                meta[name] = value
                size += len(name) + len(value) + 2
                if size > BLOCK_BYTES_MAX:
                    raise Unreadable("a header without end")
        text = meta.get(b"avro.schema", b"").decode()
        return text, meta.get(b"avro.codec", b"null").decode(), self._exactly(_SYNC_BYTES)

    def _block(self, first: bytes, codec: str, sync: bytes) -> tuple[int, bytes]:
        """Return how many data a block states, and the block unpacked; ``first`` is its first byte."""
        count, size = self._long(first), self._long(self._exactly(1))
        packed = self._exactly(size)
        if count < 0 or self._exactly(_SYNC_BYTES) != sync:
            raise Unreadable("a block that does not end where it says")
        return count, _unpacked(packed, codec)

    def _text(self) -> bytes:
        return self._exactly(self._long(self._exactly(1)))

    def _long(self, first: bytes) -> int:
        digits = first
        while digits[-1] > 0x7F and len(digits) < _VARINT_BYTES_MAX:
            digits += self._exactly(1)
        return long_at(digits, 0)[0]

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= BLOCK_BYTES_MAX:
            raise Unreadable(f"{size} bytes in one piece")
        data = self._file.read(size)
        if len(data) < size:
            raise Unreadable("the file breaks off")
        return data


def read_container(data: bytes, topic: str = "") -> RawRecords:
    """Take a whole file apart."""
    container = Container(io.BytesIO(data))
    parts = [container.read(sys.maxsize, sys.maxsize, topic)]
    while len(part := container.read(sys.maxsize, sys.maxsize, topic)):
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    values = [part.value(row) for part in parts for row in range(len(part))]
    headers = [header for part in parts for header in part.headers or ()]
    return RawRecords.from_values(values, np.arange(len(values)), topic, headers=headers)


def _data_of(block: bytes, count: int, prefix: bytes, skip: Skip, kernel: Passing | None) -> Iterator[_Piece]:
    """Yield the data of a block; one that cannot be read takes the rest of the block."""
    at = 0
    while count > 0:
        ends = _NONE if kernel is None else kernel.data_ends(block, at, min(count, _PASSED_MAX))
        if len(ends) < min(count, _PASSED_MAX):
            ends = np.append(ends, _walked(block, int(ends[-1]) if len(ends) else at, count - len(ends), skip))
        yield _Piece(prefix, block, np.concatenate(([at], ends[:-1])), np.minimum(ends, len(block)))
        count -= len(ends)
        at = int(ends[-1])
        if at > len(block):
            return
    if at < len(block):
        yield _rest(block[at:])


def _walked(block: bytes, start: int, count: int, skip: Skip) -> IntColumn:
    """Return the ends of the next data; one that cannot be read ends behind the block."""
    ends: list[int] = []
    at = start
    while len(ends) < min(count, _WALKED_MAX) and at <= len(block):
        try:
            at = skip(block, at, 0)
        except (IndexError, Unreadable):
            at = len(block) + 1
        ends.append(min(at, len(block) + 1))
    return np.array(ends, np.int64)


def _joined(pieces: list[_Piece]) -> tuple[bytes, IntColumn, IntColumn]:
    if len(pieces) == 1:
        return pieces[0].data, pieces[0].starts, pieces[0].ends
    bases = np.cumsum([0, *(len(piece.data) for piece in pieces[:-1])])
    starts = np.concatenate([piece.starts + base for piece, base in zip(pieces, bases, strict=True)])
    ends = np.concatenate([piece.ends + base for piece, base in zip(pieces, bases, strict=True)])
    return b"".join(piece.data for piece in pieces), starts, ends


def _rest(data: bytes) -> _Piece:
    """Return the record that stands for what cannot be told apart."""
    return _Piece(MAGIC, data, np.zeros(1, np.int64), np.full(1, len(data), np.int64))


def _unpacked(packed: bytes, codec: str) -> bytes:
    """Return the content of a block, reading no more of it than it may hold."""
    unpack: Any
    match codec:
        case "null":
            return packed
        case "deflate":
            unpack = zlib.decompressobj(-15)
        case "bzip2":
            unpack = bz2.BZ2Decompressor()
        case "xz":
            unpack = lzma.LZMADecompressor(memlimit=BLOCK_BYTES_MAX)
        case _:
            raise Unreadable(f"unknown codec {codec!r}")
    try:
        block: bytes = unpack.decompress(packed, BLOCK_BYTES_MAX)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise Unreadable(f"the block is no {codec}: {error}") from error
    if not unpack.eof:
        raise Unreadable(f"the block breaks off, or is larger than {BLOCK_BYTES_MAX} bytes")
    return block
