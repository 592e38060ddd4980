"""What a collector refuses, gathered: the first of it is an entry at once, and a flood of it is a few (M28, M50).

Law: of each code one entry is due as soon as something is refused, and another one after ``TOLD_EVERY_US`` at the
earliest, which counts all that was refused meanwhile. Memory does not grow with what is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from canonical.contracts.fault import FaultCode

TOLD_EVERY_US: Final = 60_000_000
PIECE_BYTES_MAX: Final = 1_024
"""Of the bytes that were refused first."""
WORDS_MAX: Final = 5
"""Different words of an entry, which say who was refused and why."""
WORDS_CHARS_MAX: Final = 180


@dataclass(slots=True)
class Refused:
    """Refusals of one code: how many, their words, and the beginning of what was refused first."""

    code: FaultCode
    piece: bytes
    count: int = 0
    words: dict[str, None] = field(default_factory=dict)
    left_out: bool = False

    @property
    def detail(self) -> str:
        """What a person reads."""
        words = "; ".join(self.words) + ("; and others" if self.left_out else "")
        return words if self.count == 1 else f"{self.count:,} times: {words}"


class Refusals:
    """What one collector refuses, whichever of its threads does."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[FaultCode, Refused] = {}
        self._told_us: dict[FaultCode, int] = {}

    def refuse(self, code: FaultCode, words: str, piece: bytes | bytearray = b"") -> None:
        """Take note of a refusal. Args: words: who was refused, and why; piece: what was, as far as it is there."""
        words = words[:WORDS_CHARS_MAX]
        with self._lock:
            if code not in self._open:
                self._open[code] = Refused(code, bytes(piece[:PIECE_BYTES_MAX]))
            one = self._open[code]
            one.count += 1
            if len(one.words) < WORDS_MAX:
                one.words[words] = None
            else:
                one.left_out |= words not in one.words

    def due(self, now_us: int) -> list[Refused]:
        """Return the entries that it is time for; each is returned once."""
        with self._lock:
            told = self._told_us
            ready = [code for code in self._open if code not in told or now_us - told[code] >= TOLD_EVERY_US]
            self._told_us |= dict.fromkeys(ready, now_us)
            return [self._open.pop(code) for code in ready]
