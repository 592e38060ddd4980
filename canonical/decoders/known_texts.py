"""The texts a column has had and their codes, as kernels look them up (``struct texts`` of ``kernel.h``).

Law: a text has the code its ``Coding`` gives it. Only texts that are new to the column reach Python, so that a batch
costs what is new in it. Bounds: ``TEXTS_MAX`` texts and ``ARENA_BYTES_MAX`` of long ones; beyond, all are forgotten
and met again. The codes are those of one vocabulary, and are never written down.
"""

from __future__ import annotations

import ctypes
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn
from canonical.decoders.coding import TEXT_MAX, Coding
from canonical.kernel import INT64, POINTER, address, function

REFUSED: Final = -1
"""The code of a text that makes its record one for the long way: too long, unknown, or empty where it must not be."""

TEXTS_MAX: Final = 520_000
ARENA_BYTES_MAX: Final = 1 << 24

_FIRST_NEW: Final = -3
_INLINE_BYTES: Final = 16
_BITS: Final = 8
_SPARSE, _DENSE, _SPARSE_BITS = 4, 2, 17
"""Slots a text: where another text is in its place, finding it takes as long as four that are found at once, so that
tables are sparse until they take 4 MiB."""
_ARENA_BYTES: Final = 1 << 14
_LINE_BYTES: Final = 64
_SLOT: Final = np.dtype([("text", "S16"), ("hash", "u8"), ("used", "i4"), ("code", "i4")])
_LONG_SLOT: Final = np.dtype([("place", "u8"), ("none", "u8"), ("hash", "u8"), ("used", "i4"), ("code", "i4")])

_MOVED: Final = function("texts_moved", (POINTER, INT64, POINTER, INT64))


class Texts(ctypes.Structure):
    """``struct texts`` of kernel.h, member by member."""

    _fields_ = (
        ("slots", POINTER),
        ("arena", POINTER),
        ("added", POINTER),
        ("bits", INT64),
        ("count", INT64),
        ("additions", INT64),
        ("arena_size", INT64),
        ("arena_used", INT64),
    )


class KnownTexts:
    """The texts of one column; ``layout`` is what a kernel is given."""

    def __init__(self, absent: int, *, required: bool) -> None:
        self.absent = REFUSED if required else absent
        self.layout = Texts()
        self._required = required
        self._empty()

    def forget(self) -> None:
        """Forget all texts, since their codes mean nothing any more."""
        self._empty()

    def prepare(self) -> None:
        """Make room for texts to come: for as many as there are, and one more of any length."""
        layout = self.layout
        if layout.count > TEXTS_MAX or layout.arena_used > ARENA_BYTES_MAX:
            self._empty()
        if layout.count * (_SPARSE if layout.bits < _SPARSE_BITS else _DENSE) >= 1 << layout.bits:
            self._grow()
        if layout.arena_size - layout.arena_used < _ARENA_BYTES // 2:
            arena = np.empty(2 * layout.arena_size, np.uint8)
            arena[: layout.arena_used] = self._arena[: layout.arena_used]
            self._set_arena(arena)

    @property
    def has_new(self) -> bool:
        """Whether the kernel met texts that ``settle`` has to give a code."""
        return bool(self.layout.additions)

    def settle(self, column: CodeColumn, coding: Coding) -> bool:
        """Give new texts their codes, in the table and in the column; return whether one of them is ``REFUSED``."""
        count, self.layout.additions = self.layout.additions, 0
        at = self._added[:count]
        codes = self._codes(self._texts(at), coding)
        self._slots["code"][at] = codes
        new = np.flatnonzero(column <= _FIRST_NEW)
        column[new] = codes[_FIRST_NEW - column[new]]
        return bool((codes == REFUSED).any())

    def _texts(self, at: NDArray[np.int32]) -> list[str]:
        slots = self._slots[at]
        lengths = (slots["used"] - 1).tolist()
        texts = [text.ljust(n, b"\0") for text, n in zip(slots["text"].tolist(), lengths, strict=True)]
        for i in np.flatnonzero(slots["used"] > _INLINE_BYTES + 1).tolist():
            place = int(slots.view(_LONG_SLOT)["place"][i])
            texts[i] = self._arena[place : place + lengths[i]].tobytes()
        return [text.decode() for text in texts]

    def _codes(self, texts: list[str], coding: Coding) -> CodeColumn:
        usable = [text for text in texts if text and len(text) <= TEXT_MAX]
        if len(usable) == len(texts):
            codes = coding.codes(texts)
        else:
            codes = np.array([REFUSED if text else self.absent for text in texts], np.int32)
            codes[[bool(text) and len(text) <= TEXT_MAX for text in texts]] = coding.codes(usable)
        if self._required:
            codes[codes == 0] = REFUSED
        return codes

    def _empty(self) -> None:
        self.layout.count = self.layout.arena_used = self.layout.additions = 0
        self._set_slots(_slots(_BITS), _BITS)
        self._set_arena(np.empty(_ARENA_BYTES, np.uint8))

    def _grow(self) -> None:
        bits = self.layout.bits + 1
        slots, former = _slots(bits), self._slots
        self.layout.count = _MOVED(address(former), self.layout.bits, address(slots), bits)
        self._set_slots(slots, bits)

    def _set_slots(self, slots: NDArray[np.void], bits: int) -> None:
        self._slots, self._added = slots, np.empty(len(slots) // 2, np.int32)
        self.layout.slots, self.layout.added, self.layout.bits = address(slots), address(self._added), bits

    def _set_arena(self, arena: NDArray[np.uint8]) -> None:
        self._arena = arena
        self.layout.arena, self.layout.arena_size = address(arena), len(arena)


def _slots(bits: int) -> NDArray[np.void]:
    """Return free slots, none of which lies in two lines of the processor's cache."""
    size = _SLOT.itemsize << bits
    room = np.zeros(size + _LINE_BYTES, np.uint8)
    begin = -address(room) % _LINE_BYTES
    return room[begin : begin + size].view(_SLOT)
