"""The CloudEvents 1.0 envelope of a message in Kafka's binary mode: a consumer routes without parsing the value.

Source: CloudEvents 1.0.2, Kafka protocol binding; extensions partitioning, sequence, recordedtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import repeat
from typing import Any, Final
from urllib.parse import quote

from canonical.messages import Message
from canonical.records import Headers

JSON: Final = ("content-type", b"application/json")
COMMON_HEADERS: Final = (JSON, ("ce_specversion", b"1.0"))
_REMEMBERED: Final = 1 << 14
"""Sources and seconds repeat: so many parts of envelopes are kept."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def enveloped(
    event_type: bytes,
    values: list[bytes],
    rows: Mapping[str, Sequence[Any]],
    *,
    ids: Iterable[str],
    sequences: Iterable[int | None],
    times_us: Iterable[int],
    recorded_us: Iterable[int],
) -> list[Message]:
    """Return the values with source as key and with their CloudEvents attributes."""
    common = (*COMMON_HEADERS, ("ce_type", event_type))
    orders = rows.get("order") or repeat("")
    messages = []
    for value, plant, source, order, name, seq, time_us, stored_us in zip(
        values, rows["plant"], rows["source"], orders, ids, sequences, times_us, recorded_us, strict=False
    ):
        key, headers = _origin(plant, source)
        headers += (("ce_id", name.encode()),)
        if seq is not None:
            headers += (("ce_sequence", b"%020d" % seq),)
        if order:
            headers += (("ce_subject", order.encode()),)
        for attribute, us in (("ce_time", time_us), ("ce_recordedtime", stored_us)):
            if text := instant(us):
                headers += ((attribute, text),)
        messages.append((key, value, common + headers))
    return messages


@lru_cache(_REMEMBERED)
def _origin(plant: str, source: str) -> tuple[bytes, Headers]:
    """Return the key and the headers of a source; its URI reference quotes what a path may not hold."""
    key = source.encode()
    path = f"/plantsync/{_quoted(plant)}/{_quoted(source)}"
    return key, (("ce_source", path.encode()), ("ce_partitionkey", key))


def _quoted(text: str) -> str:
    """Return what ``quote`` does, which looks at each character of most names in vain."""
    return text if _PLAIN(text) else quote(text, safe="")


def instant(us: int) -> bytes | None:
    """Return UTC microseconds as RFC 3339 has them; None outside the years 1 to 9999, which it cannot say."""
    whole, micros = divmod(us, 1_000_000)
    text = _second(whole)
    return b"%b.%06dZ" % (text, micros) if text else None


@lru_cache(_REMEMBERED)
def _second(epoch_s: int) -> bytes | None:
    """Return a second as RFC 3339 has it; None outside the years 1 to 9999, which it cannot say."""
    try:
        return (_EPOCH + timedelta(seconds=epoch_s)).isoformat()[:19].encode()
    except OverflowError:
        return None
