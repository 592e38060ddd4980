"""What is wrong with a document, or with one thing in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from canonical.contracts.fault import FaultCode

DETAIL_MAX: Final = 240
_SHOWN_MAX: Final = 48


class Refusal(ValueError):
    """Ends the reading of a document, or of the one thing in it that is at fault; its decoder makes faults of them."""

    def __init__(self, code: FaultCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail[:DETAIL_MAX]


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """A document, or one thing in it, that could not be used, and the line at which it begins."""

    code: FaultCode
    detail: str
    line: int = 1


def shown(text: str) -> str:
    """Return a text as a fault quotes it."""
    return repr(text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…")
