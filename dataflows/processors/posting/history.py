"""What was posted, as far back as it is remembered: to know copies, and to take back.

Law: a posting is found by its id, and by the base of what caused it, until ``postings_max`` younger ones are there.
State: one part for each ``CHUNK`` postings, written anew only while it fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from canonical.contracts import Posting

PART: Final = "posted:"
CHUNK: Final = 64


class History:
    """Postings in the order they were made."""

    def __init__(self, postings_max: int) -> None:
        self.postings_max = postings_max
        self._chunks: dict[int, list[tuple[str, int, bytes]]] = {}  # the oldest first: base, revision, posting
        self._next = 0
        self._values: dict[str, tuple[str, bytes]] = {}
        self._bases: dict[str, tuple[str, ...]] = {}
        self._revisions: dict[str, int] = {}
        self._changed: set[int] = set()

    def __contains__(self, posting_id: str) -> bool:
        return posting_id in self._values

    def add(self, posting_id: str, base: str, revision: int, value: bytes) -> None:
        """Remember a posting; ``value`` is its JSON."""
        chunk = self._next // CHUNK
        self._chunks.setdefault(chunk, []).append((base, revision, value))
        self._changed.add(chunk)
        self._next += 1
        self._index(posting_id, base, revision, value)
        if len(self._values) > self.postings_max + CHUNK:
            self._forget(next(iter(self._chunks)))

    def revision(self, base: str) -> int | None:
        """Return the newest revision posted of what this base names."""
        return self._revisions.get(base)

    def find(self, posting_id: str) -> tuple[str, Posting] | None:
        """Return a posting, and the base of what caused it."""
        found = self._values.get(posting_id)
        return None if found is None else (found[0], Posting.model_validate_json(found[1]))

    def of(self, base: str) -> list[Posting]:
        """Return the postings with this base, the oldest first."""
        return [Posting.model_validate_json(self._values[posting_id][1]) for posting_id in self._bases.get(base, ())]

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts that changed since the last call; empty what is forgotten."""
        parts = {f"{PART}{chunk:012d}": self._lines(chunk) for chunk in self._changed}
        self._changed = set()
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time."""
        for name in sorted(name for name in parts if name.startswith(PART)):
            chunk = int(name.removeprefix(PART))
            rows = [line.split(b"\t", 2) for line in parts[name].splitlines()]
            self._chunks[chunk] = [(base.decode(), int(revision), value) for base, revision, value in rows]
            for base, revision, value in self._chunks[chunk]:
                self._index(_id(value), base, revision, value)
            self._next = chunk * CHUNK + len(rows)

    def _index(self, posting_id: str, base: str, revision: int, value: bytes) -> None:
        self._values[posting_id] = base, value
        # Tuples of texts, which the collector of cycles need not look at again and again.
        self._bases[base] = (*self._bases.get(base, ()), posting_id)
        self._revisions[base] = max(revision, self._revisions.get(base, revision))

    def _forget(self, chunk: int) -> None:
        for base, _, value in self._chunks.pop(chunk):
            posting_id = _id(value)
            del self._values[posting_id]
            self._bases[base] = tuple(each for each in self._bases[base] if each != posting_id)
            if not self._bases[base]:
                del self._bases[base], self._revisions[base]
        self._changed.add(chunk)

    def _lines(self, chunk: int) -> bytes:
        # A base is an id or a JSON array, and neither of them nor JSON holds a bare tab or line end.
        rows = self._chunks.get(chunk, ())
        return b"\n".join(b"%b\t%d\t%b" % (base.encode(), revision, value) for base, revision, value in rows)


def _id(value: bytes) -> str:
    name: str = orjson.loads(value)["posting_id"]
    return name
