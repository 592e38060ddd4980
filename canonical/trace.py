"""Names of traces and spans: functions of what they are about, so that who tells of it again tells the same (M34).

Source: W3C Trace Context (Recommendation of 2021) section 3.2: 16 and 8 bytes, neither all zero.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8


def trace_id(correlation_id: str) -> bytes:
    """Return the trace of a business transaction."""
    return _name("trace", correlation_id, TRACE_BYTES)


def span_id(subject: str, hop: str) -> bytes:
    """Return the span of a hop of a posting, or of the posting as a whole where the hop is empty."""
    return _name("span", f"{subject}\0{hop}", SPAN_BYTES)


def traceparent(trace: bytes, span: bytes) -> str:
    """Return the header that tells whoever is called what it is part of; it is sampled."""
    return f"00-{trace.hex()}-{span.hex()}-01"


def _name(kind: str, text: str, size: int) -> bytes:
    return sha256(f"plantsync/{kind}/{text}".encode()).digest()[:size]
