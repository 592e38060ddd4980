"""Which JSON records are plain, so that n of them decoded as n rows are provably those rows.

A record is plain when it begins with ``{`` and ends with ``}``; every other ``{`` in it follows ``:``, ``,``
or ``[``, with one space between or none; it is within the limits of size and depth; and it holds
neither control characters nor an escaped U+0000 or surrogate.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.policy import LimitPolicy
from canonical.records import RawRecords

Mask = NDArray[np.bool_]

_OPEN, _CLOSE, _BRACKET, _SPACE = b"{}[ "
_BEFORE_OPEN: Final = np.isin(np.arange(256), np.frombuffer(b":,[", np.uint8))
_BLOCK_BYTES: Final = 1 << 17  # Small enough to stay in cache while it is looked at four times.
_ESCAPE: Final = re.compile(rb"\\u(?:0000|[dD][89abAB])")


def suspects(records: RawRecords, limits: LimitPolicy) -> Mask:
    """Return which records are not plain; each test may suspect too many, never too few."""
    data, starts, ends = records.data, records.starts, records.ends
    body = np.frombuffer(data, np.uint8)
    lengths = ends - starts
    if not len(body):
        return np.ones(len(starts), np.bool_)
    # An empty record may lie behind the last byte; whatever is looked at instead, its length tells.
    first, last = body[np.minimum(starts, len(body) - 1)], body[np.maximum(ends - 1, 0)]
    found: Mask = (first != _OPEN) | (last != _CLOSE) | (lengths < 2) | (lengths > limits.record_bytes_max)
    controls, opens, nested, escaped = _counted(data, body)
    around = np.concatenate((body[: starts[0]], body[ends[-1] :]))
    # Where there is a gap between neighbours there is a line end; a further control character may be in a record.
    gaps = np.count_nonzero(starts[1:] > ends[:-1])
    if controls - np.count_nonzero(around < _SPACE) > gaps:
        _suspect(found, np.flatnonzero(body < _SPACE), starts, ends)
    if escaped:
        escapes = np.fromiter((match.start() for match in _ESCAPE.finditer(data)), np.int64)
        _suspect(found, escapes, starts, ends)
    if nested or opens != len(starts):
        _suspect_nested(found, body, starts, ends, limits.depth_max)
    return found


def _counted(data: bytes, body: NDArray[np.uint8]) -> tuple[int, int, bool, bool]:
    """Count control characters and opening braces, and look for brackets and backslashes, block by block."""
    controls = opens = 0
    nested = escaped = False
    buffer = np.empty(_BLOCK_BYTES, np.bool_)
    for start in range(0, len(body), _BLOCK_BYTES):
        block = body[start : start + _BLOCK_BYTES]
        flags = buffer[: len(block)]
        controls += int(np.count_nonzero(np.less(block, _SPACE, out=flags)))
        opens += int(np.count_nonzero(np.equal(block, _OPEN, out=flags)))
        nested = nested or data.find(b"[", start, start + _BLOCK_BYTES) >= 0
        escaped = escaped or data.find(b"\\", start, start + _BLOCK_BYTES) >= 0
    return controls, opens, nested, escaped


def _suspect_nested(found: Mask, body: NDArray[np.uint8], starts: IntColumn, ends: IntColumn, depth_max: int) -> None:
    opens = np.flatnonzero(body == _OPEN)
    before = body[opens - 1]
    before = np.where(before == _SPACE, body[opens - 2], before)
    owner = np.maximum(np.searchsorted(starts, opens, side="right") - 1, 0)
    _suspect(found, opens[~_BEFORE_OPEN[before] & (starts[owner] != opens)], starts, ends)
    nesting = np.flatnonzero((body == _OPEN) | (body == _BRACKET))
    # The number of opening brackets bounds the depth; those above it are looked at one by one.
    found |= np.searchsorted(nesting, ends) - np.searchsorted(nesting, starts) > depth_max


def _suspect(found: Mask, positions: IntColumn, starts: IntColumn, ends: IntColumn) -> None:
    """Suspect the records that hold these positions of the data."""
    at = np.searchsorted(starts, positions, side="right") - 1
    inside = (at >= 0) & (positions < ends[at])
    found[at[inside]] = True
