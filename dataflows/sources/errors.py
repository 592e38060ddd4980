"""What can go wrong with a source."""

from __future__ import annotations

from typing import ClassVar

from sinks.commit_log import PlantsyncError


class SourceError(PlantsyncError):
    """A source could not do what it was asked."""


class SourceUnavailable(SourceError):
    """The source cannot be read now; the same call may succeed later."""

    retryable: ClassVar[bool] = True


class PositionLost(SourceError):
    """The committed position no longer exists at the source; reading on would lose records."""


class AnswerUnusable(SourceError):
    """The source answers with something that the settings do not say; nothing was taken of it."""

    retryable: ClassVar[bool] = True  # by whoever asks again; others go on
