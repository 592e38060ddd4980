"""What a replay takes: dead letters, or records that were read before, by criteria that all must hold (M29)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from canonical.columns import EventBatch, IntColumn, Vocabulary
from canonical.contracts import DeadLetter, FaultCode
from dataflows.sources.landed_files import FILE_SHIFT
from sinks.commit_log import PlantsyncError

LIMIT: Final = 10_000
"""Records a replay takes at most, unless it is told another number."""
CONTENT_BYTES_MAX: Final = 64 << 20
"""Bytes of records a replay takes at most: they are held in memory, and on Kafka sent in one transaction."""
FOLDER: Final = "folder:"
_RANGE: Final = re.compile(r"(\d*):(\d*)")


class ReplayRefused(PlantsyncError):
    """A replay that would not do what it is meant to do: why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Criteria of a replay; what is empty or None is no criterion.

    ``first_offset`` to ``last_offset``, both included, are offsets of the input: of a partition, or bytes
    of a landed file. ``since_us`` to ``until_us``, the latter excluded, is when a dead letter failed last,
    or when an original record occurred. ``order`` and ``lot`` are what the mapping now in force makes of them.
    """

    origin: Literal["dead-letters", "input"] = "dead-letters"
    places: tuple[str, ...] = ()
    codes: tuple[FaultCode, ...] = ()
    plant: str = ""
    source: str = ""
    order: str = ""
    lot: str = ""
    topic: str = ""
    shard: str = ""
    first_offset: int | None = None
    last_offset: int | None = None
    since_us: int | None = None
    until_us: int | None = None
    limit: int = LIMIT
    again: bool = False

    def __post_init__(self) -> None:
        if (self.first_offset is not None or self.last_offset is not None) and not (self.topic or self.shard):
            raise ReplayRefused("offsets count within one shard or topic: name it with --shard or --topic too")
        if self.origin == "input" and not (self.topic or self.shard or self.plant):
            raise ReplayRefused("original records are found by place: name --shard, --topic or --plant too")
        if self.origin == "input" and (self.places or self.codes or self.again):
            raise ReplayRefused("--place, --code and --again choose among dead letters; leave --from input out")

    @property
    def decodes(self) -> bool:
        """Whether a record must be understood to know if it is meant."""
        return bool(self.order or self.lot)

    def words(self) -> dict[str, Any]:
        """Return the criteria there are, for people and for the audit trail."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if value not in ((), "", None, False)}

    def means_letter(self, place: str, letter: DeadLetter, shard: str) -> bool:
        """Return whether a dead letter may be meant, as far as its fault tells.

        A source that could not be read then is no reason to leave it out: it may be readable now.
        """
        fault = letter.fault
        offset = fault.offset & ((1 << FILE_SHIFT) - 1) if shard.startswith(FOLDER) else fault.offset
        return (
            (not self.places or place in self.places)
            and (not self.codes or fault.code in self.codes)
            and (not self.plant or fault.plant in ("", self.plant))
            and (not self.source or fault.source in ("", self.source))
            and (not self.topic or self.topic in (letter.topic, letter.topic.partition("/")[0]))
            and (not self.shard or shard == self.shard)
            and within(offset, self.first_offset, self.last_offset)
            and (self.since_us is None or letter.failed_us >= self.since_us)
            and (self.until_us is None or letter.failed_us < self.until_us)
        )

    def means_events(self, events: EventBatch, vocabulary: Vocabulary) -> NDArray[np.bool_]:
        """Return which events are meant, by what they say now."""
        mask = np.ones(len(events), np.bool_)
        for name, text in (("plant", self.plant), ("source", self.source), ("order", self.order), ("lot", self.lot)):
            if text:
                mask &= events[name] == vocabulary.code(text)
        if self.origin == "input":
            occurred: IntColumn = events["occurred_us"]
            if self.since_us is not None:
                mask &= occurred >= self.since_us
            if self.until_us is not None:
                mask &= occurred < self.until_us
        return mask


def within(offset: int, first: int | None, last: int | None) -> bool:
    """Return whether an offset is in a range whose ends belong to it; None is open."""
    return (first is None or offset >= first) and (last is None or offset <= last)


def offset_range(text: str) -> tuple[int | None, int | None]:
    """Read ``A:B``, either of which may be left out. Raises: ValueError."""
    match = _RANGE.fullmatch(text)
    if match is None or text == ":":
        raise ValueError(f"{text!r} is not A:B, such as 100:250, 100: or :250")
    first, last = (int(part) if part else None for part in match.groups())
    if first is not None and last is not None and last < first:
        raise ValueError(f"{text!r} ends before it begins")
    return first, last


@dataclass(frozen=True, slots=True)
class ReplayedPlaces:
    """Places of dead letters that have been replayed, as ranges of offsets by partition ('' without one)."""

    ranges: Mapping[str, list[list[int]]]

    def __contains__(self, place: str) -> bool:
        partition, offset = _place(place)
        return any(first <= offset <= last for first, last in self.ranges.get(partition, ()))

    def with_places(self, places: list[str]) -> ReplayedPlaces:
        """Return the places with these added."""
        merged: dict[str, list[list[int]]] = {}
        added: dict[str, list[list[int]]] = {}
        for partition, offset in map(_place, places):
            added.setdefault(partition, []).append([offset, offset])
        for partition in {*self.ranges, *added}:
            out: list[list[int]] = []
            for first, last in sorted([*self.ranges.get(partition, ()), *added.get(partition, ())]):
                if out and first <= out[-1][1] + 1:
                    out[-1][1] = max(out[-1][1], last)
                else:
                    out.append([first, last])
            merged[partition] = out
        return type(self)(merged)

    @classmethod
    def none(cls) -> Self:
        """Return no places."""
        return cls({})


def _place(text: str) -> tuple[str, int]:
    partition, _, offset = text.rpartition(":")
    return partition, int(offset)
