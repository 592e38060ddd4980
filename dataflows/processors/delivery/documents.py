"""The documents that postings have become, the newest: what is known, and what a reversal takes back (M30).

Law: the last ``most`` documents are known, across restarts too; a commit writes only the segments that changed.
State: O(most), in segments of ``SEGMENT`` documents, the oldest of which go as new ones come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

SEGMENT: Final = 256
PREFIX: Final = "documents."


class Documents:
    """Document by posting id; empty where the posting was withdrawn and so has none."""

    def __init__(self, most: int) -> None:
        self._kept = -(-most // SEGMENT) + 1
        self._segments: dict[int, dict[str, str]] = {}
        self._last = 0
        self._changed: set[int] = set()

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take up what a commit stored."""
        parts = {int(part.removeprefix(PREFIX)): part for part in state if part.startswith(PREFIX)}
        self._segments = {number: orjson.loads(state[part]) for number, part in sorted(parts.items())}
        self._last = max(self._segments, default=0)

    def add(self, posting_id: str, document: str) -> None:
        """Remember a document, and forget the oldest where there are too many."""
        segment = self._segments.setdefault(self._last, {})
        if len(segment) >= SEGMENT:
            self._last += 1
            segment = self._segments.setdefault(self._last, {})
        segment[posting_id] = document
        self._changed.add(self._last)
        while len(self._segments) > self._kept:
            oldest = next(iter(self._segments))
            del self._segments[oldest]
            self._changed.add(oldest)

    def get(self, posting_id: str) -> str | None:
        """Return the document of a posting, None where none is remembered."""
        for segment in reversed(self._segments.values()):
            if posting_id in segment:
                return segment[posting_id]
        return None

    def take(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; an empty one is gone."""
        changed, self._changed = self._changed, set()
        return {
            f"{PREFIX}{number}": orjson.dumps(self._segments[number]) if number in self._segments else b""
            for number in sorted(changed)
        }
