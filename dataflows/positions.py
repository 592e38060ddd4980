"""Where a commit's position lies in topics, for those who only look: partitions by their next offset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson


def next_offsets(position: str) -> dict[tuple[str, int], int]:
    """Return the next offset of each partition that a position names; none of what is no partition.

    Behind a gate, as many as have come out of a batch count, which may be fewer than the offsets they took.
    """
    return dict(_places(orjson.loads(position))) if position else {}


def _places(place: Any) -> Iterator[tuple[tuple[str, int], int]]:
    """Yield the partitions of a position: of one reader, of several that are merged, or of one behind a gate."""
    match place:
        case {"topic": str(topic), "partition": int(partition), "offset": int(offset)}:
            yield (topic, partition), offset
        case {"places": dict(places)}:
            for inner in places.values():
                yield from _places(orjson.loads(inner))
        case {"place": str(inner), "given": int(given)}:
            yield from ((where, offset + given) for where, offset in _places(orjson.loads(inner)))
        case _:
            return
