"""State of a processor as bytes: Arrow IPC streams that name their kind and version.

Law: ``decode_table(kind, versions, encode_table(kind, version, table))`` is ``(version, table)``,
in every later release too, or raises ``StateVersionUnknown``.

State outlives the process and the vocabulary of its shard, so texts are stored as texts
(dictionary-encoded) and a session as its (plant, source, session); ``decode`` gives them codes
and rows of the new process. An encoded table carries its own end: several may follow each
other in one value and are read one by one from one ``pyarrow.BufferReader``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import CodeColumn, Sessions
from dataflows.processors.texts import text_array, text_codes

KIND: Final = b"kind"
VERSION: Final = b"version"
_NAMES: Final = ("plant", "source", "session")
_LARGE_BYTES: Final = 1 << 20
_LARGE: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


class StateVersionUnknown(Exception):
    """The state was written by a release that knows more than this one, or is no such state."""

    retryable: ClassVar[bool] = False


def encode_table(kind: str, version: int, table: pa.Table) -> bytes:
    """Return the table as one Arrow IPC stream with ``kind`` and ``version`` in its schema.

    The columns of a large one are compressed, which costs less than to write them; a reader need not know.
    """
    named = table.replace_schema_metadata({KIND: kind.encode(), VERSION: str(version).encode()})
    options = _LARGE if named.nbytes >= _LARGE_BYTES else None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, named.schema, options=options) as writer:
        writer.write_table(named)
    return bytes(sink.getvalue())


def decode_table(kind: str, versions: Iterable[int], data: bytes | pa.BufferReader) -> tuple[int, pa.Table]:
    """Return the version and the table of the next stream in ``data``, in one chunk a column.

    Raises: StateVersionUnknown when it is not of this kind or of one of these versions.
    """
    known = set(versions)
    try:
        with pa.ipc.open_stream(data) as reader:
            table = reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise StateVersionUnknown(
            f"the state of {kind} cannot be read: {error}. Restore the commit log from a copy, "
            "or start the shard anew from its first position."
        ) from error
    found = table.schema.metadata or {}
    if found.get(KIND) != kind.encode() or found.get(VERSION, b"").decode() not in {str(v) for v in known}:
        raise StateVersionUnknown(
            f"expected state {kind} of version {sorted(known)}, found {found.get(KIND, b'nothing').decode()} "
            f"version {found.get(VERSION, b'unknown').decode()}. Run the release that wrote it, or a newer one."
        )
    return int(found[VERSION]), table.combine_chunks()


def session_columns(sids: NDArray[np.integer], sessions: Sessions) -> dict[str, pa.DictionaryArray]:
    """Return the columns ``plant``, ``source`` and ``session`` that name the session rows ``sids``."""
    columns = zip(_NAMES, sessions.codes(), strict=True)
    return {name: text_array(codes[sids], sessions.vocabulary) for name, codes in columns}


def session_rows(table: pa.Table, sessions: Sessions) -> CodeColumn:
    """Return the session rows named by ``session_columns``, adding sessions that are not known."""
    named = [text_codes(table.column(name), sessions.vocabulary).tolist() for name in _NAMES]
    return np.fromiter(map(sessions.row, *named), np.int32, table.num_rows)
