"""The exceptions as the log has them now, and the decisions that the flows have not taken in yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from canonical.contracts import Action, BusinessException, Resolution
from dataflows.settings import Settings
from dataflows.tower.followed_stream import FollowedStream
from sinks.commit_log import PlantsyncError
from sinks.streams import ACTIONS, EXCEPTIONS

ENDED_MAX: Final = 20_000
"""Exceptions that have ended and are remembered; of more, those that ended first are forgotten."""
ACTIONS_MAX: Final = 20_000
"""Exceptions and postings whose newest decision is remembered."""


@dataclass(frozen=True, slots=True)
class Box:
    """Exceptions by id, those that changed last at the end; the newest decision about each, by what it is about."""

    exceptions: Mapping[str, BusinessException] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)

    def open(self) -> list[BusinessException]:
        """Return those that wait for a person."""
        return [each for each in self.exceptions.values() if each.resolution is Resolution.OPEN]

    def decided(self, about: BusinessException) -> Action | None:
        """Return the decision that the flows have still to take in, if there is one."""
        action = self.actions.get(str(about.exception_id))
        waits = action is not None and about.resolution is Resolution.OPEN and action.at_us > about.changed_us
        return action if waits else None


class BoxWatch:
    """Follows the two streams; what it has read once it does not read again."""

    def __init__(self, settings: Settings) -> None:
        """Read nothing yet."""
        self._exceptions = FollowedStream(settings, EXCEPTIONS)
        self._actions = FollowedStream(settings, ACTIONS)
        self._known: dict[str, BusinessException] = {}
        self._decided: dict[str, Action] = {}
        self._ended = 0

    def look(self, before: Box | None) -> Box:
        """Return what there is now; ``before`` itself where nothing is new.

        Raises: PlantsyncError, where the log cannot be read or holds what is no exception.
        """
        changed = before is None
        try:
            for value in self._exceptions.new():
                changed = True
                self._take(BusinessException.model_validate_json(value))
            for value in self._actions.new():
                changed = True
                action = Action.model_validate_json(value)
                self._decided[action.exception_id or action.posting_id] = action
        except ValidationError as error:
            raise PlantsyncError("a record of the exceptions or actions is none: see who else writes there") from error
        while len(self._decided) > ACTIONS_MAX:
            del self._decided[next(iter(self._decided))]
        return Box(dict(self._known), dict(self._decided)) if changed or before is None else before

    def close(self) -> None:
        """Leave the log."""
        self._exceptions.close()
        self._actions.close()

    def _take(self, record: BusinessException) -> None:
        key = str(record.exception_id)
        before = self._known.pop(key, None)
        self._known[key] = record
        self._ended += (record.resolution is not Resolution.OPEN) - (
            before is not None and before.resolution is not Resolution.OPEN
        )
        if self._ended > ENDED_MAX:
            oldest = next(k for k, each in self._known.items() if each.resolution is not Resolution.OPEN)
            del self._known[oldest]
            self._ended -= 1
