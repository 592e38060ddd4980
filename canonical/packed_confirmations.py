"""Confirmations as messages by a compiled kernel, all of a batch at once.

Law: they are those that ``canonical.wire.encode_confirmations`` makes of the same rows, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.compute as pc

from canonical.coded import AnyColumn
from canonical.contracts import Confirmation
from canonical.envelope import COMMON_HEADERS, instant
from canonical.json_lines import json_texts
from canonical.messages import Messages
from canonical.wire import CONFIRMATION_TYPE
from canonical.written import Field, Form, written


def pack_confirmations(rows: Mapping[str, AnyColumn], recorded_us: int) -> Messages | None:
    """Return what ``encode_confirmations`` does, of all fields in any form, by a kernel; None where it cannot."""
    count = len(rows["source"])
    values = json_texts({name: rows[name] for name in Confirmation.model_fields}, count)
    key, origin, sequence, subject, time = (
        written(fields, b"", count)
        for fields in (
            (Field(b"", rows["source"], Form.RAW),),
            (Field(b"/plantsync/", rows["plant"], Form.PERCENT), Field(b"/", rows["source"], Form.PERCENT)),
            (Field(b"", rows["first_seq"], Form.PADDED),),
            (Field(b"", rows["order"], Form.RAW),),
            (Field(b"", rows["last_occurred_us"], Form.INSTANT),),
        )
    )
    made = (values, key, origin, sequence, subject, time)
    if any(column is None for column in made) or not pc.min(pc.binary_length(key)).as_py():
        return None  # without a name there is a key all the same
    headers = (
        *(*COMMON_HEADERS, ("ce_type", CONFIRMATION_TYPE)),
        *(("ce_source", origin), ("ce_partitionkey", key), ("ce_id", rows["posting_id"])),
        *(("ce_sequence", sequence), ("ce_subject", subject), ("ce_time", time)),
        ("ce_recordedtime", instant(recorded_us) or b""),
    )
    return Messages(key, values, headers)
