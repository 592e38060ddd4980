"""Structs of Apache Thrift's compact protocol, as Parquet writes its headers and footer: read without their schema.

Law: work and memory are linear in the bytes, whatever they say; each is read once.
Source: Apache Thrift, compact protocol encoding.
"""

from __future__ import annotations

from typing import Final, TypeAlias

DEPTH_MAX: Final = 16
_TRUE: Final = 1
_LONG_LIST: Final = 15
_SHIFT_MAX: Final = 63

Value: TypeAlias = "int | bytes | list[Value] | Struct | None"
Struct: TypeAlias = "dict[int, Value]"


class Unsound(Exception):
    """The bytes are no struct of the protocol; the text says why."""


def struct_of(data: bytes) -> tuple[Struct, int]:
    """Return the struct that some bytes begin with, by the numbers of its fields, and how many bytes it takes.

    Maps and real numbers are passed over. Raises: Unsound.
    """
    try:
        reader = _Reader(data)
        return reader.struct(1), reader.at
    except IndexError as error:
        raise Unsound("it breaks off") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int) -> Struct:
        if depth > DEPTH_MAX:
            raise Unsound("nested too deep")
        found: Struct = {}
        field = 0
        while (head := self._byte()) != 0:
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 0x0F
            found[field] = int(kind == _TRUE) if kind in (1, 2) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Value:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                self._bytes(8)
                return None
            case 8:
                return self._bytes(self._varint())
            case 9 | 10:
                head = self._byte()
                count = head >> 4 if head >> 4 < _LONG_LIST else self._varint()
                return [self._value(head & 0x0F, depth + 1) for _ in self._counted(count, depth)]
            case 11:
                count = self._varint()
                kinds = self._byte() if count else 0
                for _ in self._counted(count, depth):
                    self._value(kinds >> 4, depth + 1)
                    self._value(kinds & 0x0F, depth + 1)
                return None
            case 12:
                return self.struct(depth + 1)
        raise Unsound("a value of no known type")

    def _counted(self, count: int, depth: int) -> range:
        """Return a range of so many values, each of which takes a byte at least."""
        if depth > DEPTH_MAX or count > len(self.data) - self.at:
            raise Unsound("more values than bytes")
        return range(count)

    def _byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def _bytes(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise IndexError
        self.at += size
        return self.data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > _SHIFT_MAX:
                raise Unsound("a number without end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
