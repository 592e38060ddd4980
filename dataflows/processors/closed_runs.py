"""Closed runs as columns of ``Confirmation``, as they lie: texts by code, numbers in the runs themselves."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from canonical.coded import AnyColumn, Coded
from canonical.columns import QUANTITY_COLUMNS, CodeColumn, Sessions
from canonical.contracts.confirmation import CloseReason, Confirmation, ConfirmationKind
from canonical.identity import posting_id_texts, posting_ids
from dataflows.processors.boundaries import Cut
from dataflows.processors.runs import RUN_TEXTS, RunArray, pick

_KINDS: Final = pa.array([ConfirmationKind.CONFIRMATION.value, ConfirmationKind.SUPPLEMENTARY.value], pa.string())
_CLOSE_REASONS: Final = pa.array(
    [CloseReason[cut.name].value if cut.name in CloseReason.__members__ else "" for cut in Cut], pa.string()
)
_UNIT: Final = str(Confirmation.model_fields["unit"].default)
_NUMBERS: Final = (
    *("first_seq", "last_seq", "events", *QUANTITY_COLUMNS),
    *("first_occurred_us", "last_occurred_us", "first_offset", "last_offset"),
)
_NAMED: Final = ("plant", "source", "session", "first_seq", "kind", "revision")
"""What a posting id is made of."""


def confirmation_columns(runs: RunArray, sessions: Sessions) -> dict[str, AnyColumn]:
    """Return CONFIRMATION[n] of closed runs, ordered by (sid, first_seq); none where there are no runs."""
    if not len(runs):
        return {}
    runs = pick(runs, np.lexsort((runs["first_seq"], runs["sid"])))
    vocabulary = sessions.vocabulary
    codes: dict[str, CodeColumn] = {name: runs[name] for name in RUN_TEXTS}
    codes |= dict(zip(("plant", "source", "session"), sessions.codes()[:, runs["sid"]], strict=True))
    if not codes["unit"].all():
        codes["unit"] = np.where(codes["unit"] == 0, np.int32(vocabulary.code(_UNIT)), codes["unit"])
    texts = vocabulary.all_texts()
    columns: dict[str, AnyColumn] = {name: Coded(column, texts) for name, column in codes.items()}
    columns |= {name: runs[name] for name in _NUMBERS}
    columns["kind"] = Coded(runs["late"].astype(np.int32), _KINDS)
    columns["revision"] = np.zeros(len(runs), np.int64)
    days, places = np.unique(runs["posting_date"], return_inverse=True)
    dates = np.datetime_as_string(days.astype("datetime64[D]")).tolist()
    columns["posting_date"] = Coded(places.astype(np.int32), pa.array(dates, pa.string()))
    columns["final"] = runs["cut"] == Cut.COMPLETE
    columns["close_reason"] = Coded(runs["cut"].astype(np.int32), _CLOSE_REASONS)
    columns["posting_id"] = _posting_ids(columns, len(runs))
    return columns


def _posting_ids(columns: dict[str, Any], count: int) -> pa.StringArray:
    ids = posting_id_texts([columns[name] for name in _NAMED], count)
    if ids is not None:
        return ids
    named = (columns[name].tolist() for name in _NAMED)
    return pa.array(posting_ids(zip(*named, strict=True)), pa.string())
