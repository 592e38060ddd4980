"""What a check found: a stable code, whom it concerns, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from canonical.contracts import ExceptionCode
from canonical.identity import exception_id


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something cannot be posted now.

    ``concerns`` are fields of ``BusinessException`` that name the cause: failures with the same code and the same
    of them are one exception.
    """

    code: ExceptionCode
    concerns: tuple[tuple[str, str], ...]
    message: str
    remedy: str

    @property
    def cause(self) -> UUID:
        """Return the id of the exception it belongs to."""
        return exception_id(self.code, self.concerns)
