"""Damage: records that no decoder accepts, each with the code it must be refused with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

from canonical.contracts.fault import FaultCode
from canonical.policy import LimitPolicy

Changes = Mapping[FaultCode, Sequence[Mapping[str, Any]]]
"""Per code, ways to spoil an event: fields to set; None takes the field away."""

NOT_JSON: Final = (b"# gateway restarted", b'{"event" "lost"}', b"<html><body>502 Bad Gateway</body></html>")
LOT: Final = "L-X"
"""Lot of events to be damaged; it is where their bytes stop being UTF-8."""


def codes_among(rng: Random, kinds: Sequence[FaultCode], share: float, good: int) -> list[FaultCode]:
    """Return which faults to put among ``good`` records: their share, and each kind at least once."""
    count = max(len(kinds), round(share * good)) if share else 0
    codes = [kinds[i % len(kinds)] for i in range(count)]
    rng.shuffle(codes)
    return codes


def excesses(limits: LimitPolicy) -> Changes:
    """Return the ways for a JSON event to exceed what the plant's limits allow."""
    depth = limits.depth_max + 4
    return {
        FaultCode.OVERSIZE: [{"dump": "x" * limits.record_bytes_max}],
        FaultCode.DEEP_NESTING: [{"trace": json.loads("[" * depth + "]" * depth)}],
    }


def damaged_json(rng: Random, code: FaultCode, event: Mapping[str, Any], changes: Changes) -> bytes:
    """Return the event spoilt in one of the ways that ``code`` stands for."""
    spoilt = dict(event)
    if code in changes:
        spoilt.update(rng.choice(changes[code]))
    record = json.dumps({k: v for k, v in spoilt.items() if v is not None}, separators=(",", ":")).encode()
    match code:
        case FaultCode.NOT_UTF8:
            return record.replace(LOT.encode(), b"L-\xe4\xff")
        case FaultCode.TRUNCATED:
            return record[: rng.randint(20, len(record) - 2)]
        case FaultCode.MALFORMED:
            return rng.choice(NOT_JSON)
        case _:
            return record
