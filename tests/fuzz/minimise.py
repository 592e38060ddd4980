"""The smallest input that still fails: messages first, then bytes, halving what is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Fails = Callable[[list[bytes]], bool]


def minimised(values: Sequence[bytes], fails: Fails, probes_max: int) -> list[bytes]:
    """Return messages of which none, and of whose bytes few, can be left out.

    Args: fails: is asked at most ``probes_max`` times; each time may cost the start of a process.
    """
    left = [probes_max]

    def asked(candidate: list[bytes]) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fails(candidate)

    kept = _fewer(list(values), asked, lambda part: part)
    for at in range(len(kept)):
        pieces = _fewer(
            [kept[at][i : i + 1] for i in range(len(kept[at]))], asked, lambda part, at=at: _with(kept, at, part)
        )
        kept[at] = b"".join(pieces)
    return kept


def _with(values: list[bytes], at: int, pieces: list[bytes]) -> list[bytes]:
    return [*values[:at], b"".join(pieces), *values[at + 1 :]]


def _fewer(
    items: list[bytes], asked: Callable[[list[bytes]], bool], candidate: Callable[[list[bytes]], list[bytes]]
) -> list[bytes]:
    """Leave out runs of items, long ones first, as long as the rest still fails."""
    size = max(len(items) // 2, 1)
    while items:
        at, before = 0, len(items)
        while at < len(items) and len(items) > 1:
            rest = items[:at] + items[at + size :]
            if rest and asked(candidate(rest)):
                items = rest
            else:
                at += size
        if size == 1 and len(items) == before:
            break
        size = max(size // 2, 1)
    return items
