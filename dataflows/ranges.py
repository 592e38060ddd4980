"""Lines of the ledger: ranges of numbers and their fate, as columns of ``LedgerRange``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from canonical.coded import AnyColumn, Coded
from canonical.columns import EventBatch, Sessions
from canonical.contracts.confirmation import ConfirmationKind
from canonical.contracts.ledger import Fate, LedgerRange
from canonical.records import RowFault
from canonical.schemas import arrow_schema, default

Ranges = Mapping[str, Any]
"""Columns of ``LedgerRange``: lists, Arrow texts or int64 in numpy; absent ones are filled by ``joined``."""

_FATES: Final = {
    ConfirmationKind.CONFIRMATION.value: Fate.CONFIRMED.value,
    ConfirmationKind.SUPPLEMENTARY.value: Fate.SUPPLEMENTARY.value,
}
_TYPES: Final = {field.name: field.type for field in arrow_schema(LedgerRange)}
_SHARED: Final = ("shard", "committed_us")
"""Fields that all ranges of a commit have in common."""


def confirmed(confirmations: Mapping[str, AnyColumn]) -> Ranges:
    """Return a range for each row of columns of ``Confirmation``; nothing of what these point to is kept."""
    own = {name: confirmations[name] for name in LedgerRange.model_fields if name in confirmations}
    kind = confirmations["kind"]
    assert isinstance(kind, Coded)
    fates = pa.array([_FATES[text] for text in kind.texts.to_pylist()], pa.string())
    own["fate"] = Coded(kind.codes, fates)
    return {name: _copied(column) for name, column in own.items()}


def _copied(column: AnyColumn) -> Any:
    if isinstance(column, Coded):
        return column.arrow()
    return column.copy() if isinstance(column, np.ndarray) else column


def late(batch: EventBatch, sessions: Sessions) -> Ranges:
    """Return the ranges of EVENT[n] that filled declared gaps, each without holes."""
    order = np.lexsort((batch["seq"], batch["sid"]))
    sid, seq = batch["sid"][order], batch["seq"][order]
    begins = np.flatnonzero(np.r_[True, (sid[1:] != sid[:-1]) | (seq[1:] != seq[:-1] + 1)])
    ends = np.append(begins[1:], len(seq)) - 1
    texts, sids = sessions.vocabulary.texts, sid[begins].tolist()
    names = (("plant", sessions.plant), ("source", sessions.source), ("session", sessions.session))
    return {
        **{name: [texts[codes[sid]] for sid in sids] for name, codes in names},
        "fate": [Fate.LATE.value] * len(sids),
        "first_seq": seq[begins].tolist(),
        "last_seq": seq[ends].tolist(),
        "events": (ends - begins + 1).tolist(),
    }


def refused(faults: Sequence[RowFault]) -> Ranges:
    """Return a range for each row that was released and then set aside."""
    columns: dict[str, list[Any]] = {
        name: [getattr(fault, name) for fault in faults] for name in ("plant", "source", "session")
    }
    columns["first_seq"] = columns["last_seq"] = [fault.seq for fault in faults]
    return columns | {"fate": [Fate.REFUSED.value] * len(faults), "events": [1] * len(faults)}


def joined(parts: Sequence[Ranges], committed_us: int) -> dict[str, Any]:
    """Return all ranges of a commit, in order, with every field but the shard."""
    rows: dict[str, Any] = {}
    counts = [len(part["source"]) for part in parts]
    for name, field in LedgerRange.model_fields.items():
        if name in _SHARED:
            continue
        filled = [
            part[name] if name in part else [default(field)] * count for part, count in zip(parts, counts, strict=True)
        ]
        if pa.types.is_string(_TYPES[name]):
            rows[name] = pa.concat_arrays([pa.array(column, pa.string()) for column in filled])
        else:
            rows[name] = np.concatenate([np.asarray(column, np.int64) for column in filled])
    rows["committed_us"] = np.full(sum(counts), committed_us)
    return rows
