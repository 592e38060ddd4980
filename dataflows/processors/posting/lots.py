"""What the quality system says of lots, and which receipts lie in quality stock until it does (M19).

Law: a lot is released where the newest word of it is a release; the order in which words arrive does not count. Of
two words of one instant a hold is the newer. A word that names no material counts for the lot of any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from dataflows.processors.posting.reference_book import part

PART: Final = "lot:"


@dataclass(slots=True)
class Lot:
    """One lot: the newest word of it, and its receipts in quality stock: posting id, and the case of their transfer."""

    released: bool = False
    said_us: int | None = None
    in_quality: dict[str, str] = field(default_factory=dict)


class LotShelf:
    """The lots, by material and lot. State: O(lots of which something was said or lies in quality stock)."""

    def __init__(self) -> None:
        self._lots: dict[tuple[str, str], Lot] = {}
        self._materials: dict[str, set[str]] = {}
        self._changed: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._lots)

    def said(self, material: str, lot: str, at_us: int, *, released: bool) -> None:
        """Take a word of the quality system."""
        known = self.change(material, lot)
        if known.said_us is None or (at_us, not released) > (known.said_us, not known.released):
            known.said_us, known.released = at_us, released

    def released(self, material: str, lot: str) -> bool:
        """Return whether the lot may be received as unrestricted."""
        if not lot:
            return False
        words = [self._lots[key] for key in ((material, lot), ("", lot)) if key in self._lots]
        said = [(word.said_us, not word.released) for word in words if word.said_us is not None]
        return bool(said) and not max(said)[1]

    def look(self, material: str, lot: str) -> Lot | None:
        """Return what is known of a lot, to be read only."""
        return self._lots.get((material, lot))

    def change(self, material: str, lot: str) -> Lot:
        """Return what is known of a lot, to be changed."""
        self._changed.add((material, lot))
        self._materials.setdefault(lot, set()).add(material)
        return self._lots.setdefault((material, lot), Lot())

    def in_quality(self, lot: str) -> list[tuple[str, str]]:
        """Return the materials and lots of this name of which receipts lie in quality stock."""
        keys = ((material, lot) for material in sorted(self._materials.get(lot, ())))
        return [key for key in keys if self._lots[key].in_quality]

    def settled(self) -> tuple[str, str] | None:
        """Return the lot known longest that nothing waits for; None where something waits for all."""
        return next((key for key, known in self._lots.items() if not known.in_quality), None)

    def forget(self, key: tuple[str, str]) -> None:
        """Drop a lot."""
        del self._lots[key]
        self._materials[key[1]].discard(key[0])
        if not self._materials[key[1]]:
            del self._materials[key[1]]
        self._changed.add(key)

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts that changed since the last call; empty where a lot was dropped."""
        parts = {part(PART, key): orjson.dumps(self._lots[key]) if key in self._lots else b"" for key in self._changed}
        self._changed = set()
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time."""
        for name, value in parts.items():
            if name.startswith(PART):
                material, lot = orjson.loads(name.removeprefix(PART))
                self._lots[material, lot] = Lot(**orjson.loads(value))
                self._materials.setdefault(lot, set()).add(material)
