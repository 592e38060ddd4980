"""A decoder under fuzz: mutated records among sound ones, and the laws that hold of every batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from canonical.columns import Vocabulary
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from sinks.dead_letters import FAULT_HEADERS_BYTES_MAX, dead_letter_records, parse
from tests.fuzz.damage_bytes import Damage, spoil
from tests.fuzz.outcome import NOW_US, Outcome, Tally, differing_row, outcome
from tests.fuzz.violation import require

Reference = Callable[[PlantMapping, bytes, Outcome, int], None]
"""Compares what became of a record with an independent reading of it."""

_SOUND_SHARE = 0.2
_ALONE = 6
_REFERRED = 12
_LETTERS = 12


@dataclass
class DecodeTarget:
    """Records of one plant.

    ``own`` is the mutation that knows the format; ``fresh`` makes further seeds; ``reference`` reads
    a few records of each batch in another way.
    """

    mapping: PlantMapping
    seeds: Sequence[bytes]
    own: Damage
    weight: float = 1.0
    batch_messages: int = 400
    donors: Sequence[bytes] = ()
    fresh: Callable[[Random], bytes] | None = None
    reference: Reference | None = None
    known: dict[bytes, object] = field(default_factory=dict)

    def batch(self, rng: Random, count: int) -> list[bytes]:
        donors = (*self.seeds, *self.donors)
        values = []
        for _ in range(count):
            value = rng.choice(self.seeds) if self.fresh is None or rng.random() < 0.3 else self.fresh(rng)
            values.append(value if rng.random() < _SOUND_SHARE else spoil(rng, value, donors, self.own))
        return values

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        vocabulary = Vocabulary()
        whole = outcome(self.mapping, values, vocabulary)
        self._other_cuts(values, whole, vocabulary, rng)
        self._alone(values, whole, rng)
        self._letters(values, whole, rng)
        if self.reference is not None:
            for row in rng.sample(range(len(values)), min(_REFERRED, len(values))):
                self.reference(self.mapping, values[row], whole, row)
        return whole.tally()

    def _other_cuts(self, values: Sequence[bytes], whole: Outcome, vocabulary: Vocabulary, rng: Random) -> None:
        """Same records in other company and other batches: same outcome (DESIGN laws 4 and 6)."""
        order = list(range(len(values)))
        if rng.random() < 0.7:
            rng.shuffle(order)
        cuts = sorted({0, len(values), *(rng.randint(0, len(values)) for _ in range(rng.choice((1, 2, 4))))})
        for a, b in itertools.pairwise(cuts):
            rows = np.array(order[a:b])
            part = outcome(self.mapping, [values[row] for row in order[a:b]], vocabulary)
            row = differing_row(whole, part, rows)
            if row is not None:
                self._differs(
                    values[row], whole.of(row), part.of(int(np.flatnonzero(rows == row)[0])), "in another batch"
                )

    def _alone(self, values: Sequence[bytes], whole: Outcome, rng: Random) -> None:
        """A record by itself, and a sound one as it was decoded when this process began, fare as here."""
        n = len(values)
        for row in rng.sample(range(n), min(_ALONE, n)):
            value = values[row]
            alone = outcome(self.mapping, [value], Vocabulary()).of(0)
            self._differs(value, whole.of(row), alone, "alone")
            if len(self.known) < 500:
                self.known.setdefault(value, alone)
        for row in rng.sample(range(n), min(100, n)):
            if values[row] in self.known:
                self._differs(values[row], whole.of(row), self.known[values[row]], "earlier in this process")

    def _differs(self, value: bytes, here: object, there: object, where: str) -> None:
        # NaN is no value of a column, so equality is all that is needed.
        require(here == there, f"a record is decoded as it is {where}", value, here, there)

    def _letters(self, values: Sequence[bytes], whole: Outcome, rng: Random) -> None:
        """A fault becomes a dead letter that keeps the bytes and reads back (M28)."""
        faults = rng.sample(whole.raw_faults, min(_LETTERS, len(whole.raw_faults)))
        raw = RawRecords.from_values(values, np.arange(len(values), dtype=np.int64), "fuzz")
        told = [("decode", fault) for fault in faults]
        kept = dead_letter_records(raw, told, NOW_US, flow="fuzz", shard="fuzz", plant=self.mapping.plant)
        for fault, record in zip(faults, kept, strict=True):
            letter = parse(record)
            require(letter.value == values[fault.row], "a dead letter keeps the bytes", values[fault.row], letter.value)
            require(
                letter.fault.code == fault.code and letter.fault.offset == fault.row, "and the fault", fault, letter
            )
            size = sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
            require(size <= FAULT_HEADERS_BYTES_MAX, "the headers of a fault are bounded", size)
