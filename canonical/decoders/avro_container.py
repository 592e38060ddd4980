"""Avro object container files, taken apart block by block into single-object records.

Law: every byte behind the header is in exactly one record. A record is a datum with the frame of the file's schema
before it, or, where the file breaks off, lies about its counts or is no container, what cannot be told apart,
behind the magic of such files, which ``parse_avro`` refuses.

Memory: one block, packed and unpacked, whatever sizes the file states. Slower than messages, some 0.2 million
data a second, since only reading one tells where the next begins.
Source: Avro 1.12 specification, Object Container Files.
"""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, Final

import numpy as np

from canonical.decoders.avro_skip import Skip, Unreadable, long_at, skipper
from canonical.records import Headers, RawRecords
from canonical.writer_schema import single_prefix, writer_schema

SCHEMA_HEADER: Final = "avro.schema"
"""Header of a record of a container file: its writer schema as JSON, so that it can be read anywhere."""
MAGIC: Final = b"Obj\x01"
BLOCK_BYTES_MAX: Final = 32 << 20
"""A larger block, packed or unpacked, ends the file as if it broke off there; so does a larger header."""
REST_BYTES_MAX: Final = 32 << 20
"""Of what cannot be told apart so much is kept in the record that stands for it."""

_SYNC_BYTES: Final = 16
_VARINT_BYTES_MAX: Final = 10


class Container:
    """Reads one file; the records of it share one tuple of headers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._headers: Headers = ()
        self._values = self._told_apart()
        self._ordinal = 0

    def read(self, records_max: int, bytes_max: int, topic: str = "") -> RawRecords:
        """Return the next records, up to so many and about so large together, none at the end.

        Their offsets are their ordinals in the file.
        """
        values: list[bytes] = []
        left = bytes_max
        for value in self._values:
            values.append(value)
            left -= len(value)
            if left <= 0 or len(values) == records_max:
                break
        offsets = np.arange(self._ordinal, self._ordinal + len(values), dtype=np.int64)
        self._ordinal += len(values)
        return RawRecords.from_values(values, offsets, topic, headers=[self._headers] * len(values))

    def skip(self, records: int) -> None:
        """Pass over the next records."""
        self._ordinal += sum(1 for _ in islice(self._values, records))

    def _told_apart(self) -> Iterator[bytes]:
        consumed = 0
        try:
            text, codec, sync = self._header()
            schema = writer_schema(text)
            prefix, skip = single_prefix(text), skipper(schema)
            self._headers = ((SCHEMA_HEADER, text.encode()),)
            consumed = self._file.tell()
            while first := self._file.read(1):
                count, block = self._block(first, codec, sync)
                yield from _data_of(block, count, prefix, skip)
                consumed = self._file.tell()
        except ValueError:
            self._file.seek(consumed)
            yield MAGIC + self._file.read(REST_BYTES_MAX).removeprefix(MAGIC)

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
    return Container(io.BytesIO(data)).read(sys.maxsize, sys.maxsize, topic)


def _data_of(block: bytes, count: int, prefix: bytes, skip: Skip) -> Iterator[bytes]:
    """Yield each datum of a block behind the prefix; one that cannot be read takes the rest of the block."""
    at = 0
    for _ in range(count):
        try:
            end = skip(block, at, 0)
        except (IndexError, Unreadable):
            end = len(block) + 1
        if end > len(block):
            yield prefix + block[at:]
            return
        yield prefix + block[at:end]
        at = end
    if at < len(block):
        yield MAGIC + block[at:]


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
