"""What happens to the numbered records of one source between the machine and the platform.

Law: every record given in is delivered once and only once as an event, or its number is in a gap
noted with the witness; copies, conflicts and damaged halves are noted as what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from canonical.contracts.fault import FaultCode
from dataflows.simulator.calendar import HOUR_US, MINUTE_US
from dataflows.simulator.configuration import Disturbance
from dataflows.simulator.drop import Delivery
from dataflows.simulator.witness import Meaning, Witness

TAIL: Final = 8
"""Records at the end of a session that are never lost: a hole shows only when a later number arrives."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record of one session as the machine sends it."""

    arrival_us: int
    record: bytes
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Session:
    """One uninterrupted numbering of a source: record i has number i."""

    source: str
    name: str
    records: Sequence[Numbered]


def bursts(rng: Random, disturbance: Disturbance, start_us: int, end_us: int) -> list[tuple[int, int]]:
    """Return the hours, apart from each other, in which a machine stores before it forwards."""
    hours = list(range(start_us, end_us - HOUR_US, 2 * HOUR_US))
    count = min(len(hours), _times(rng, disturbance.bursts_per_day, start_us, end_us))
    return [(begin, begin + HOUR_US) for begin in sorted(rng.sample(hours, count))]


def instants(rng: Random, per_day: float, start_us: int, end_us: int) -> list[int]:
    """Return instants at which something happens that happens so often a day, on whole seconds."""
    return sorted(rng.randrange(start_us, end_us, 1_000_000) for _ in range(_times(rng, per_day, start_us, end_us)))


def _times(rng: Random, per_day: float, start_us: int, end_us: int) -> int:
    times = per_day * (end_us - start_us) / (24 * HOUR_US)
    return int(times) + (rng.random() < times % 1)


def forwarded_us(occurred_us: int, outages: Sequence[tuple[int, int]], latency_us: int) -> int:
    """Return when a record arrives: soon, or when the outage it falls into has ended."""
    for begin, end in outages:
        if begin <= occurred_us < end:
            return end + latency_us
    return occurred_us + latency_us


def deliver(
    rng: Random,
    disturbance: Disturbance,
    session: Session,
    witness: Witness,
    conflicting: Callable[[bytes], bytes],
) -> Iterator[Delivery]:
    """Deliver the records of a session with the disturbances of numbered sources.

    Args:
        rng: Seeded chance.
        disturbance: How often what happens.
        session: The records in the order of their numbers; arrivals never decrease.
        witness: Is told of everything that becomes of them.
        conflicting: Makes another record of the same number out of a record.
    """
    records = session.records
    last = len(records) - 1
    tick = _Tick(len(records))

    def after(index: int, behind: int) -> tuple[int, int]:
        """Return arrival and tick right after the record that comes ``behind`` later."""
        at = min(index + behind, last)
        return records[at].arrival_us, tick.after(at)

    holes = _holes(rng, disturbance, len(records))
    for index, numbered in enumerate(records):
        hole = holes.get(index)
        if hole is not None:
            yield from hole.fate(rng, session, index, witness, tick)
            continue
        witness.event(numbered.meaning, session.name)
        place = numbered.arrival_us, tick.of(index)
        if rng.random() < disturbance.disorder:
            place = after(index, rng.randint(1, disturbance.displacement_max))
        yield Delivery(*place, session.source, numbered.record)
        if rng.random() < disturbance.duplicates:
            witness.duplicates += 1
            yield Delivery(*after(index, rng.randint(0, 200)), session.source, numbered.record)
        elif rng.random() < disturbance.conflicts:
            # Right behind its record: further away it counts as a duplicate.
            witness.fault(FaultCode.CONFLICTING_DUPLICATE)
            yield Delivery(place[0], place[1] + 1, session.source, conflicting(numbered.record))


class _Tick:
    """Orders what arrives at the same instant: by number, and what is moved behind a record after it."""

    WIDTH: Final = 1_000_000

    def __init__(self, records: int) -> None:
        assert records < self.WIDTH
        self._moved = 0

    def of(self, index: int) -> int:
        """Return the tick of a record in its own place."""
        return index * self.WIDTH

    def after(self, index: int) -> int:
        """Return the next tick behind a record; two apart, so that a conflict fits between."""
        self._moved += 2
        return index * self.WIDTH + self._moved + 1


@dataclass(frozen=True, slots=True)
class _Lost:
    """Numbers that never arrive. ``damaged``: half of the record does, and nobody can read its number."""

    first: int
    end: int
    damaged: bool

    def fate(self, rng: Random, session: Session, index: int, witness: Witness, tick: _Tick) -> Iterator[Delivery]:
        if index == self.first:
            witness.gap(session.source, session.name, self.first, self.end - 1)
        if self.damaged:
            numbered = session.records[index]
            witness.fault(FaultCode.TRUNCATED)
            half = numbered.record[: len(numbered.record) * rng.randint(5, 9) // 10]
            yield Delivery(numbered.arrival_us, tick.of(index), session.source, half)


@dataclass(frozen=True, slots=True)
class _Delayed:
    """Numbers that arrive long after their neighbours."""

    delay_us: int

    def fate(self, _rng: Random, session: Session, index: int, witness: Witness, tick: _Tick) -> Iterator[Delivery]:
        numbered = session.records[index]
        witness.event(numbered.meaning, session.name)
        witness.delayed += 1
        yield Delivery(numbered.arrival_us + self.delay_us, tick.of(index), session.source, numbered.record)


def _holes(rng: Random, disturbance: Disturbance, records: int) -> dict[int, _Lost | _Delayed]:
    holes: dict[int, _Lost | _Delayed] = {}
    index = 0
    while index < records - TAIL:
        if rng.random() >= disturbance.gaps:
            index += 1
            continue
        end = min(index + rng.randint(1, 3), records - TAIL)
        if rng.random() < disturbance.late_fills:
            hole: _Lost | _Delayed = _Delayed(rng.randint(10, 60) * MINUTE_US)
        else:
            hole = _Lost(index, end, damaged=rng.random() < 0.3)
        holes.update(dict.fromkeys(range(index, end), hole))
        index = end + 1
    return holes
