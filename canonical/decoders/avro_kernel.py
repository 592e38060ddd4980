"""The compiled kernels for Avro (``avro_fields.c``, ``avro_blocks.c``). Where there is none, nothing is read."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn, IntColumn
from canonical.decoders.avro_plan import Plan, plan
from canonical.decoders.coding import Coding
from canonical.decoders.known_texts import KnownTexts, Texts
from canonical.kernel import INT64, POINTER, address, function
from canonical.writer_schema import WriterSchema

DEPTH_MAX: Final = 64
"""Of records and containers in each other the kernel follows so many levels; deeper ones it leaves."""
COLUMNS_MAX: Final = 64
SYNC_BYTES: Final = 16

CODED, SYMBOL, WRITTEN, WHOLE, EXACT, ROUNDED = range(6)
"""``enum role`` of avro_values.h: what becomes of a value."""

_SLACK: Final = 64


class Column(ctypes.Structure):
    """``struct column`` of avro_values.h, member by member."""

    _fields_ = (
        ("role", INT64),
        ("texts", POINTER),
        ("symbols", POINTER),
        ("low", INT64),
        ("high", INT64),
        ("factor", INT64),
        ("divisor", INT64),
        ("largest", ctypes.c_double),
        ("values", POINTER),
    )


class _Job(ctypes.Structure):
    """``struct job`` of avro_values.h, member by member."""

    _fields_ = (
        ("data", POINTER),
        ("size", INT64),
        ("tail", POINTER),
        ("tail_from", INT64),
        ("starts", POINTER),
        ("ends", POINTER),
        ("rows", INT64),
        ("nodes", POINTER),
        ("columns", POINTER),
        ("required", ctypes.c_uint64),
        ("depth_max", INT64),
        ("read", POINTER),
    )


_LAYOUTS: Final = {"avro_job_bytes": _Job, "avro_column_bytes": Column, "texts_bytes": Texts}
_JOB: Final = ctypes.POINTER(_Job)
_READ: Final = function("read_avro", (_JOB, INT64), _LAYOUTS)
_DATA: Final = function("data_ends", (_JOB, INT64, INT64, POINTER), _LAYOUTS)
_BLOCKS: Final = function("block_data", (_JOB, POINTER, INT64, POINTER, POINTER, POINTER), _LAYOUTS)


def is_compiled() -> bool:
    """Return whether there is a kernel."""
    return _READ is not None


def read_records(
    planned: Plan,
    columns: ctypes.Array[Column],
    required: int,
    texts: list[tuple[KnownTexts, CodeColumn, Coding]],
    data: bytes,
    starts: IntColumn,
    ends: IntColumn,
    depth_max: int,
) -> NDArray[np.bool_]:
    """Fill the columns; return which of the records were read. The others' rows hold nothing of meaning.

    Args: columns: by the slots of the plan; texts: of the columns of codes, what is known, the codes, how to make one.
    """
    read = np.zeros(len(starts), np.bool_)
    # What the job points to must outlive the call, which is why each array has a name.
    body = np.frombuffer(data, np.uint8)
    starts, ends = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64)
    last = int(np.searchsorted(ends, len(data) - _SLACK, "right"))
    tail_from = int(starts[last]) if last < len(starts) else len(data)
    tail = np.frombuffer(data[tail_from:] + bytes(_SLACK), np.uint8)
    job = _Job(
        data=address(body),
        size=len(data),
        tail=address(tail),
        tail_from=tail_from,
        starts=address(starts),
        ends=address(ends),
        rows=len(starts),
        nodes=address(planned.nodes),
        columns=ctypes.cast(columns, POINTER),
        required=required,
        depth_max=min(depth_max, DEPTH_MAX),
        read=address(read),
    )
    row = 0
    while row < len(starts):
        for known, _, _ in texts:
            known.prepare()
        former, row = row, _READ(ctypes.byref(job), row)
        for known, codes, how in texts:
            # The row where a table was full may have codes of new texts too, and so may those read together with it.
            if known.has_new and known.settle(codes[former:], how):
                read[former:] &= codes[former:] >= 0
    return read


class Passing:
    """Finds where the data of a schema end, as ``canonical.decoders.avro_skip`` does; leaves it what is not sound."""

    def __init__(self, planned: Plan) -> None:
        self._plan = planned

    def data_ends(self, block: bytes, start: int, count_max: int) -> IntColumn:
        """Return the ends of up to so many data from ``start`` on, fewer where one is not sound."""
        body = np.frombuffer(block, np.uint8)
        ends = np.empty(max(min(count_max, len(block) - start), 0), np.int64)
        found: int = _DATA(ctypes.byref(self._job(body)), start, len(ends), address(ends))
        return ends[:found]

    def block_data(self, data: bytes, sync: bytes, count_max: int) -> tuple[IntColumn, IntColumn, int]:
        """Return where the data of the blocks that ``data`` begins with start and end, and where those blocks end.

        The blocks are not packed. Stops before one that is not whole, not sound, or would be more than so many data.
        """
        body, mark = np.frombuffer(data, np.uint8), np.frombuffer(sync, np.uint8)
        room = min(count_max, len(data))
        starts, ends, consumed = np.empty(room, np.int64), np.empty(room, np.int64), np.zeros(1, np.int64)
        places = (room, address(starts), address(ends), address(consumed))
        found: int = _BLOCKS(ctypes.byref(self._job(body)), address(mark), *places)
        return starts[:found], ends[:found], int(consumed[0])

    def _job(self, body: NDArray[np.uint8]) -> _Job:
        return _Job(data=address(body), size=len(body), nodes=address(self._plan.nodes), depth_max=DEPTH_MAX)


@lru_cache(maxsize=256)
def passing(schema: WriterSchema) -> Passing | None:
    """Return what passes over data of a schema; None where there is no kernel, or it cannot."""
    planned = plan(schema, frozenset()) if is_compiled() else None
    return None if planned is None else Passing(planned)
