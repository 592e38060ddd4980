"""Exit codes: what a supervisor should do after a command has ended."""

from __future__ import annotations

from typing import Final

from sinks.commit_log import WriterFenced

ERROR: Final = 1
FENCED: Final = 3
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h."""


def operating_error(error: BaseException) -> BaseException | None:
    """Return the operating error that this one is or was caused by; None where it is a defect.

    Operating errors are those that say whether trying again may help (``retryable``).
    """
    cause: BaseException | None = error
    while cause is not None and not hasattr(type(cause), "retryable"):
        cause = cause.__cause__
    return cause


def exit_code(error: BaseException) -> int:
    """Return the exit code of an operating error."""
    if isinstance(error, WriterFenced):
        return FENCED
    return TRY_AGAIN if getattr(error, "retryable", False) else ERROR
