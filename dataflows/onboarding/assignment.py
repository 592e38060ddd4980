"""Which column of a sample fills which canonical field: by its name, and by what its values are like.

Law: a field has one column at most, and a column one field. What was chosen by a weak word, or by content alone, is
marked as unsure, and says why it was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from canonical.mapping.fields import DURATION_FIELDS, DURATION_US, ENERGY_MWH
from dataflows.onboarding import vocabulary
from dataflows.onboarding.column import Column

TEXTS: Final = (
    "source", "session", "type", "order", "operation", "work_center", "material", "lot", "reason", "unit", "quality",
    "event_id", "correlation_id", "from_bin", "to_bin", "handling_unit",
)  # fmt: skip
MEASURES: Final = ("good", "scrap", "rework", *DURATION_FIELDS, "energy")
TIMES: Final = ("occurred", "recorded")

_CHOSEN_MIN: Final = 0.5
_SURE_MIN: Final = 0.75
_KINDS_MAX: Final = 40
"""Different values of a column that names types or units, at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A canonical field and the column that fills it."""

    field: str
    column: Column
    why: str
    is_unsure: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What fills what, and which columns fill nothing."""

    choices: dict[str, Choice]
    left: list[Column]
    groups: list[str]
    counters: frozenset[str]
    """Measures whose numbers are readings of counters."""


def assigned(columns: Sequence[Column]) -> Assignment:
    """Return what each canonical field is best filled by."""
    choices: dict[str, Choice] = {}
    _take_times(columns, choices)
    rated = [
        (score, -i, field, column, why)
        for i, column in enumerate(columns)
        for field in (*TEXTS, "seq", *MEASURES)
        for score, why in (_rated(column, field),)
        if score >= _CHOSEN_MIN
    ]
    for score, _, field, column, why in sorted(rated, key=lambda each: each[:2], reverse=True):
        if field not in choices and not _is_taken(column, choices):
            choices[field] = Choice(field, column, why, score < _SURE_MIN, _scale(column, field))
    _take_by_content(columns, choices)
    groups = _groups(choices, len(columns[0].values) if columns else 0)
    _settle_numbers(columns, choices, groups)
    counters = frozenset(
        name
        for name in ("good", "scrap")
        if name in choices and (vocabulary.counts_on(choices[name].column.path) or choices[name].column.goes_on(groups))
    )
    left = [column for column in columns if not _is_taken(column, choices)]
    return Assignment(choices, left, groups, counters)


def _rated(column: Column, field: str) -> tuple[float, str]:
    found = vocabulary.likeness(column.path, field)
    if not found.score or not _can_be(column, field):
        return 0.0, ""
    score, why = found.score, f"the name says {found.word!r}"
    if field == "type" and (named := _named(column, vocabulary.event_type)):
        score, why = score + 0.3 * named, f"{why}, and its values are words for what happens"
    if field == "unit" and _named(column, vocabulary.unit_code) == 1:
        score, why = score + 0.3, f"{why}, and its values are units"
    return score, why


def _can_be(column: Column, field: str) -> bool:
    if field in MEASURES:
        return column.is_number
    if field == "seq":
        return column.is_whole
    if column.time is not None and not column.is_number:
        return False
    return field not in {"type", "unit"} or (len(column.distinct) <= _KINDS_MAX and not column.is_number)


def _named(column: Column, meaning: object) -> float:
    assert callable(meaning)
    words = column.distinct[:_KINDS_MAX]
    return sum(meaning(word) is not None for word in words) / len(words) if words else 0.0


def _is_taken(column: Column, choices: dict[str, Choice]) -> bool:
    return any(choice.column is column for choice in choices.values())


def _scale(column: Column, field: str) -> str:
    if field in DURATION_FIELDS:
        return vocabulary.scale(column.path, DURATION_US) or ""
    return (vocabulary.scale(column.path, ENERGY_MWH) or "") if field == "energy" else ""


def _take_times(columns: Sequence[Column], choices: dict[str, Choice]) -> None:
    times = [column for column in columns if column.time is not None and not _looks_like_a_key(column)]
    for field in TIMES:
        best = max(times, key=lambda column: vocabulary.likeness(column.path, field).score, default=None)
        if best is None or _is_taken(best, choices):
            continue
        found = vocabulary.likeness(best.path, field)
        if found.score >= _CHOSEN_MIN:
            choices[field] = Choice(field, best, f"the name says {found.word!r}, and it is an instant")
    if "occurred" not in choices:
        free = [column for column in times if not _is_taken(column, choices)]
        if free:
            choices["occurred"] = Choice("occurred", free[0], "the first instant of the record", is_unsure=True)


def _looks_like_a_key(column: Column) -> bool:
    return (
        column.is_number and not column.holds_numbers and vocabulary.likeness(column.path, "order").score > _CHOSEN_MIN
    )


def _take_by_content(columns: Sequence[Column], choices: dict[str, Choice]) -> None:
    free = [column for column in columns if not _is_taken(column, choices)]
    words = [column for column in free if 1 < len(column.distinct) <= _KINDS_MAX and not column.is_number]
    for field, meaning in (("type", vocabulary.event_type), ("unit", vocabulary.unit_code)):
        best = max(words, key=lambda column, m=meaning: _named(column, m), default=None)  # type: ignore[misc]
        if field not in choices and best is not None and not _is_taken(best, choices) and _named(best, meaning) >= 0.5:
            why = "its values are words for what happens" if field == "type" else "its values are units"
            choices[field] = Choice(field, best, why, is_unsure=True)


def _groups(choices: dict[str, Choice], rows: int) -> list[str]:
    """Return whose record each is: source and session."""
    keys = [choices[name].column.values for name in ("source", "session") if name in choices]
    return ["\0".join(map(str, key)) for key in zip(*keys, strict=True)] if keys else [""] * rows


def _settle_numbers(columns: Sequence[Column], choices: dict[str, Choice], groups: Sequence[str]) -> None:
    """Keep a sequence number only where it is one; find one by content where no name tells of it."""
    chosen = choices.pop("seq", None)
    if chosen is not None and chosen.column.numbers_records(groups):
        why = f"{chosen.why}, and it grows by one from record to record of a source"
        choices["seq"] = Choice("seq", chosen.column, why)
        return
    for column in columns:
        if _is_taken(column, choices) or not column.numbers_records(groups) or len(column.distinct) < 3:
            continue
        if vocabulary.counts_on(column.path) or any(vocabulary.likeness(column.path, each).score for each in MEASURES):
            continue
        why = "it grows by one from record to record of a source"
        choices["seq"] = Choice("seq", column, why, is_unsure=True)
        return
    if chosen is not None and "event_id" not in choices and chosen.column.numbers_records([""] * len(groups)):
        why = "it grows by one over all sources: that names a record, but does not number those of a source"
        choices["event_id"] = Choice("event_id", chosen.column, why)
