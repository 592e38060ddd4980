"""The messages of one partition, taken straight from librdkafka by a compiled kernel (``partition_messages.c``).

Law: what it takes is what the driver's ``consume`` would give, in the same order. Where the kernel was not compiled, or
the driver's librdkafka is not found, there is none, and the driver's own calls serve (docs/decisions/0012).

Only the messages come this way. The client is the driver's, with its settings, its security and its log, and whoever
uses this goes on polling the driver, which serves them.
Source: rdkafka.h, rd_kafka_queue_get_partition(), rd_kafka_queue_forward().
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, overload

import confluent_kafka
import numpy as np
from confluent_kafka import Consumer, KafkaError

from canonical.columns import IntColumn
from canonical.records import NO_RECORDS, Headers, RawRecords
from dataflows.kernels import MESSAGES

CALL_MESSAGES: Final = 1_000
BATCH_BYTES: Final = 8 << 20
EXTRA_BYTES: Final = 2 << 20
"""Room for the values of a batch, and for its keys and headers; a message that needs more gets it."""
_NAME: Final = b"#consumer-"
"""Part of the name that librdkafka gives to each consumer, and keeps in its handle."""
_HANDLE_BYTES: Final = 8_192
_IN_PLACE: Final = (0x02_01_00_00, 0x02_11_00_00)
"""From 2.1 and before 2.17, the librdkafka of which it is known that messages point into the record batch they came in.

Read in its ``rd_kafka_msgset_reader_msg_v2``; of others each message is asked for its headers.
"""

_POINTER: Final = ctypes.c_void_p
_NUMBER: Final = ctypes.c_int64


class _Taking(ctypes.Structure):
    """``struct taking`` of partition_messages.c, member by member."""

    _fields_ = (
        *((name, _POINTER) for name in ("consume", "destroy", "headers", "header", "epoch", "queue", "messages")),
        *((name, _NUMBER) for name in ("call", "first", "count")),
        *((name, _POINTER) for name in ("values", "extras")),
        *((name, _NUMBER) for name in ("values_size", "extras_size", "rows_size")),
        *((name, _POINTER) for name in ("value_end", "extra_end", "offset")),
        *((name, _NUMBER) for name in ("rows", "values_used", "extras_used", "values_needed", "extras_needed")),
        *((name, _NUMBER) for name in ("end", "error")),
        ("error_text", ctypes.c_char * 512),
    )


_LAYOUTS: Final = {"taking_bytes": _Taking}
_TAKE: Final = MESSAGES.function("take", (ctypes.POINTER(_Taking),), _LAYOUTS, None)
_LET_GO: Final = MESSAGES.function("let_go", (ctypes.POINTER(_Taking),), _LAYOUTS, None)


def _of_python(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(ctypes.pythonapi, name)
    function.restype, function.argtypes = result, arguments
    return function


_NEW_BYTES: Final = _of_python("PyBytes_FromStringAndSize", _POINTER, ctypes.c_char_p, ctypes.c_ssize_t)
_ADDRESS_OF_BYTES: Final = _of_python("PyBytes_AsString", _POINTER, _POINTER)
_RESIZE_BYTES: Final = _of_python("_PyBytes_Resize", ctypes.c_int, ctypes.POINTER(_POINTER), ctypes.c_ssize_t)
_LET_GO_OF: Final = _of_python("Py_DecRef", None, _POINTER)


@dataclass(frozen=True, slots=True)
class _Library:
    """The kernel's functions, and those of the librdkafka that the driver has loaded."""

    take: Callable[[Any], None]
    let_go: Callable[[Any], None]
    rdkafka: Any
    in_place: bool
    """Whether messages point into the record batch they came in."""

    def address(self, name: str) -> int | None:
        """Return where a function of librdkafka is."""
        return ctypes.cast(getattr(self.rdkafka, name), _POINTER).value


@cache
def _library() -> _Library | None:
    """Return the functions, None where one of them is missing or of another release."""
    if _TAKE is None or _LET_GO is None:
        return None
    try:
        paths = {line.split(maxsplit=5)[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
        (path,) = (path for path in paths if Path(path).name.startswith("librdkafka"))
        rdkafka = ctypes.CDLL(path)
        if (version := rdkafka.rd_kafka_version()) != confluent_kafka.libversion()[1]:
            return None
        rdkafka.rd_kafka_queue_get_partition.restype = _POINTER
        rdkafka.rd_kafka_queue_get_partition.argtypes = (_POINTER, ctypes.c_char_p, ctypes.c_int32)
        rdkafka.rd_kafka_queue_forward.argtypes = (_POINTER, _POINTER)
        rdkafka.rd_kafka_queue_destroy.argtypes = (_POINTER,)
    except (OSError, ValueError, AttributeError):
        return None
    return _Library(_TAKE, _LET_GO, rdkafka, _IN_PLACE[0] <= version < _IN_PLACE[1])


def _handle(consumer: Consumer) -> int | None:
    """Return the ``rd_kafka_t`` of a consumer of the driver's, None where it is not where it is looked for.

    The driver does not hand it out, but keeps it first in its object. What lies there is believed only when it leads to
    readable memory that holds a consumer's name; /proc is asked, where a wrong address is an error and no crash.
    """
    first = _POINTER.from_address(id(consumer) + object.__basicsize__).value
    if first is None or first % ctypes.alignment(_POINTER):
        return None
    try:
        memory = os.open("/proc/self/mem", os.O_RDONLY)
    except OSError:
        return None
    try:
        return first if _NAME in os.pread(memory, _HANDLE_BYTES, first) else None
    except (OSError, OverflowError):
        return None
    finally:
        os.close(memory)


class PartitionQueue:
    """The queue of one partition of a consumer; make it before the partition is assigned, with ``of``."""

    def __init__(self, library: _Library, queue: int, topic: str, partition: int) -> None:
        self._library, self._topic, self._partition = library, topic, partition
        self._messages = (_POINTER * CALL_MESSAGES)()
        self._taking = _Taking(
            consume=library.address("rd_kafka_consume_batch_queue"),
            destroy=library.address("rd_kafka_message_destroy"),
            headers=library.address("rd_kafka_message_headers"),
            header=library.address("rd_kafka_header_get_all"),
            epoch=library.address("rd_kafka_message_leader_epoch") if library.in_place else None,
            queue=queue,
            messages=ctypes.addressof(self._messages),
            call=CALL_MESSAGES,
            end=-1,
        )

    @classmethod
    def of(cls, consumer: Consumer, topic: str, partition: int) -> PartitionQueue | None:
        """Take a partition's messages out of what the driver consumes; None where this cannot be done here."""
        library = _library()
        handle = _handle(consumer) if library is not None else None
        if library is None or handle is None:
            return None
        queue = library.rdkafka.rd_kafka_queue_get_partition(handle, topic.encode(), partition)
        if not queue:
            return None
        library.rdkafka.rd_kafka_queue_forward(queue, None)
        return cls(library, queue, topic, partition)

    def take(self, rows_max: int) -> RawRecords:
        """Return what has been fetched, up to so many records and ``BATCH_BYTES``; none after an error."""
        taking, values_size, extras_size = self._taking, BATCH_BYTES, EXTRA_BYTES
        ends = np.empty((3, rows_max), np.int64)
        taking.value_end, taking.extra_end, taking.offset = (row.ctypes.data for row in ends)
        taking.rows_size = rows_max
        while True:
            # New room for each batch: the system gives memory only for what is written to.
            values, extras = _Room(values_size), _Room(extras_size)
            taking.values, taking.values_size = values.address(), values_size
            taking.extras, taking.extras_size = extras.address(), extras_size
            self._library.take(ctypes.byref(taking))
            if not taking.values_needed:
                break
            values_size = max(values_size, taking.values_needed)
            extras_size = max(extras_size, taking.extras_needed)
        rows = taking.rows
        if not rows:
            return NO_RECORDS
        value_ends, extra_ends, offsets = ends[:, :rows].copy()
        starts = np.empty_like(value_ends)
        starts[0] = 0
        starts[1:] = value_ends[:-1] + 1
        data = values.cut(taking.values_used - 1)
        extra = _Extras(extras.cut(taking.extras_used), extra_ends)
        keys, headers = _Column(extra.key, rows), _Column(extra.headers, rows)
        return RawRecords(data, starts, value_ends, offsets, self._topic, self._partition, keys, headers)

    def end(self) -> int | None:
        """Return the offset behind which nothing followed when the last message had been taken, None otherwise."""
        end: int = self._taking.end
        return None if end < 0 else end

    def more(self) -> bool:
        """Return whether a message is at hand that had no room."""
        more: bool = self._taking.first < self._taking.count
        return more

    def error(self) -> KafkaError | None:
        """Return the error that stopped the taking."""
        code: int = self._taking.error
        return KafkaError(code, self._taking.error_text.decode("utf-8", "replace")) if code else None

    def restart(self) -> None:
        """Forget what was fetched and not taken, before the partition is assigned anew."""
        self._library.let_go(ctypes.byref(self._taking))
        self._taking.end, self._taking.error = -1, 0

    def close(self) -> None:
        """Let go of everything; the consumer must still be open."""
        if self._taking.queue:
            self.restart()
            self._library.rdkafka.rd_kafka_queue_destroy(self._taking.queue)
            self._taking.queue = None


class _Room:
    """Bytes that are written before anyone sees them, then cut to what was written: a batch is not copied.

    Source: CPython's C API, PyBytes_FromStringAndSize() and _PyBytes_Resize(), which are made for this.
    """

    def __init__(self, size: int) -> None:
        self._object = _POINTER()  # none, where there is no memory
        self._object.value = _NEW_BYTES(None, size)

    def address(self) -> int:
        """Return where the bytes are."""
        address: int = _ADDRESS_OF_BYTES(self._object)
        return address

    def cut(self, size: int) -> bytes:
        """Return the first ``size`` bytes; nothing may be written any more."""
        _RESIZE_BYTES(ctypes.byref(self._object), size)
        data: bytes = ctypes.cast(self._object, ctypes.py_object).value
        return data

    def __del__(self) -> None:
        _LET_GO_OF(self._object)


class _Extras:
    """Keys and headers of a batch as the kernel wrote them, looked at only when asked."""

    def __init__(self, data: bytes, ends: IntColumn) -> None:
        self._data, self._ends = data, ends

    def key(self, row: int) -> bytes | None:
        """Return the key of a record."""
        return self._key(row)[0]

    def headers(self, row: int) -> Headers:
        """Return the headers of a record; a value that is null is empty."""
        _, at = self._key(row)
        found = []
        while at < self._ends[row]:
            name = at + 8
            value = name + self._length(at)
            end = value + max(self._length(at + 4), 0)
            found.append((self._data[name:value].decode("utf-8", "replace"), self._data[value:end]))
            at = end
        return tuple(found)

    def _key(self, row: int) -> tuple[bytes | None, int]:
        at = int(self._ends[row - 1]) if row else 0
        length = self._length(at)
        return (None, at + 4) if length < 0 else (self._data[at + 4 : at + 4 + length], at + 4 + length)

    def _length(self, at: int) -> int:
        return int.from_bytes(self._data[at : at + 4], sys.byteorder, signed=True)


class _Column(Sequence[Any]):
    """A value for each record, made when it is looked at."""

    def __init__(self, look: Callable[[int], Any], rows: int) -> None:
        self._look, self._rows = look, rows

    @overload
    def __getitem__(self, row: int) -> Any: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Any]: ...
    def __getitem__(self, row: int | slice) -> Any:
        rows = range(self._rows)[row]
        return self._look(rows) if isinstance(rows, int) else [self._look(each) for each in rows]

    def __len__(self) -> int:
        return self._rows
