"""Plant B: a legacy tracker's hourly CSV exports of counter readings, in local time, without ids.

What counts as made is what the counter policy can know: a machine's first reading is the baseline,
a reading after a reset counts from zero, and parts between the last reading and the reset are lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from canonical.contracts.fault import FaultCode
from canonical.mapping.plant import CsvSection, PlantMapping
from dataflows.simulator.calendar import HOUR_US, Calendar
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.damage import codes_among
from dataflows.simulator.disturbance import instants
from dataflows.simulator.drop import Drop, hour_name
from dataflows.simulator.witness import Made, Meaning, Said, Witness
from dataflows.simulator.world import Job, Machine, Product, chance, machines

LOCAL_UNITS: Final = {"H87": "Stk", "KGM": "kg"}
LOCAL_REASONS: Final = ("Werkzeug", "Maß", "Oberfläche", "Material", "Rüsten")
OPERATORS: Final = ("Müller", "Özdemir", "Groß", "Lefèvre", "Schmidt")
SECOND_US: Final = 1_000_000
TIME_FORMAT: Final = "%d.%m.%Y %H:%M:%S"


class Row(NamedTuple):
    """One line of an export: an event with its meaning, or damaged with its code."""

    occurred_us: int
    source: str
    record: bytes
    meaning: Meaning | FaultCode


def traffic(config: SimulationConfig, mapping: PlantMapping, records: int) -> tuple[Iterator[Drop], Witness]:
    """Return the plant's drops, about ``records`` of them, and the witness who sees them made.

    The witness knows everything once the drops have been taken.
    """
    assert mapping.csv is not None
    calendar = Calendar.of(mapping)
    witness = Witness("B", calendar, mapping.keys["work_center"])
    rows: list[Row] = []
    for machine in machines("B", config):
        rows += _Tracker(config, machine, calendar, mapping.csv, records).rows()
    rows += _damaged(config, calendar, mapping, len(rows))
    return _exports(config, mapping.csv, rows, witness), witness


def _exports(config: SimulationConfig, csv: CsvSection, rows: list[Row], witness: Witness) -> Iterator[Drop]:
    """Yield the hourly files, some exported half-way before, some dropped again later."""
    rng = chance(config, "B", "exports")
    header = csv.delimiter.join(csv.columns).encode(csv.encoding) + b"\r\n"
    hours: defaultdict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r.occurred_us, r.source)):
        hours[row.occurred_us // HOUR_US].append(row)
    again: dict[int, list[tuple[str, list[Row]]]] = defaultdict(list)

    def drop(name: str, part: list[Row]) -> Drop:
        return Drop("B", f"{name}.csv", [(r.source, r.record) for r in part], header, b"\r\n")

    for hour, part in sorted(hours.items()):
        name = hour_name(hour)
        fresh = part
        if len(part) > 1 and rng.random() < config.disturbance.regrowths:
            half = part[: rng.randint(1, len(part) - 1)]
            _note(witness, half)
            yield drop(f"{name}_Zwischenstand", half)
            _note_copies(witness, half)
            fresh = part[len(half) :]
        _note(witness, fresh)
        yield drop(name, part)
        if rng.random() < config.disturbance.redrops:
            again[hour + rng.randint(0, 3)].append((f"{name}_Kopie", part))
        for copy, old in again.pop(hour, []):
            _note_copies(witness, old)
            witness.repeated.update(row.meaning if isinstance(row.meaning, FaultCode) else None for row in old)
            yield drop(copy, old)


def _note(witness: Witness, rows: list[Row]) -> None:
    for row in rows:
        if isinstance(row.meaning, FaultCode):
            witness.fault(row.meaning)
        else:
            witness.event(row.meaning)


def _note_copies(witness: Witness, rows: list[Row]) -> None:
    """A copy of an event is a duplicate; a copy of a damaged line is one more damaged line."""
    for row in rows:
        if isinstance(row.meaning, FaultCode):
            witness.fault(row.meaning)
        else:
            witness.duplicates += 1


class _Tracker:
    """The tracker's view of one machine: two counters that mostly grow."""

    def __init__(
        self, config: SimulationConfig, machine: Machine, calendar: Calendar, csv: CsvSection, records: int
    ) -> None:
        self._rng = chance(config, "B", machine.name)
        self._machine = machine
        self._calendar = calendar
        self._csv = csv
        self._reading_us = max(
            5 * SECOND_US, round((config.end_us - config.start_us) * config.machines / records) // SECOND_US * SECOND_US
        )
        self._resets = self._reset_instants(config)
        self._stops = instants(self._rng, 5.0, config.start_us, config.end_us)
        self._seen: set[bytes] = set()
        # Counters run for months; thousandths, as everywhere.
        self._good = self._rng.randint(20_000, 90_000) * 1000
        self._scrap = self._rng.randint(500, 2_000) * 1000
        self._baseline = True

    def _reset_instants(self, config: SimulationConfig) -> list[int]:
        """Every second machine is reset nightly at ten, the others when somebody feels like it."""
        if int(self._machine.name[-1]) % 2 or not config.disturbance.resets_per_day:
            return instants(self._rng, config.disturbance.resets_per_day, config.start_us, config.end_us)
        hours = range(config.start_us, config.end_us, HOUR_US)
        return [us for us in hours if self._calendar.local(us).hour == 22]

    def rows(self) -> Iterator[Row]:
        """Yield the machine's rows in the order of time."""
        place = self._machine.name, self._machine.work_center
        for job in self._machine.jobs:
            now_us = job.begin_us
            if job.first:
                yield self._row(job, now_us, "Anfang", (), Said(*place, now_us, "production"))
            while (now_us := now_us + self._reading_us) < job.end_us - SECOND_US:
                if self._stops and now_us >= self._stops[0]:
                    del self._stops[0]
                    yield self._row(job, now_us, "Störung", (), Said(*place, now_us, "down"))
                    now_us += self._rng.randint(3, 20) * 60 * SECOND_US
                    continue
                # People press the button a few seconds sooner or later.
                yield self._reading(job, now_us - self._rng.randrange(3) * SECOND_US, "Stand")
            if job.last:
                yield self._reading(job, job.end_us - SECOND_US, "Ende")

    def _reading(self, job: Job, occurred_us: int, kind: str) -> Row:
        rng = self._rng
        product = job.product
        cycles = max(0, round(self._calendar.pace(occurred_us) * rng.uniform(0.5, 2.5)))
        good, scrap = cycles * product.step, self._scrapped(product, cycles)
        if self._resets and occurred_us >= self._resets[0]:
            del self._resets[0]
            if self._shows_reset(good):
                self._good = self._scrap = scrap = 0
        if self._baseline:
            good, scrap = 0, 0
            self._baseline = False
        self._good += good
        self._scrap += scrap
        minutes, kwh = rng.randint(100, 900), rng.randint(1, 400)
        made = Made(
            self._machine.name, job.order, job.operation, job.lot, product.unit, occurred_us,
            self._machine.work_center, kind == "Ende", good, scrap, 0, 0, minutes * 60_000, 0, kwh * 1000,
        )  # fmt: skip
        cells = (
            self._decimal(self._good), self._decimal(self._scrap), rng.choice(LOCAL_REASONS) if scrap else "",
            self._decimal(minutes), self._decimal(kwh),
        )  # fmt: skip
        return self._row(job, occurred_us, kind, cells, made)

    def _scrapped(self, product: Product, cycles: int) -> int:
        return product.step * sum(self._rng.random() < product.scrap_rate for _ in range(cycles))

    def _shows_reset(self, good: int) -> bool:
        """Say whether a reader can tell: a counter that is not lower than before looks as if it had gone on."""
        return good < self._good

    def _row(self, job: Job, occurred_us: int, kind: str, cells: tuple[str, ...], meaning: Made | Said) -> Row:
        good, scrap, reason, minutes, kwh = cells or ("", "", "", "", "")
        while True:
            row = (
                self._calendar.local(occurred_us).strftime(TIME_FORMAT), self._machine.name, job.order,
                job.operation, job.lot, job.product.material, self._machine.work_center, kind, good, scrap,
                LOCAL_UNITS[job.product.unit], reason, minutes, kwh, OPERATORS[occurred_us // (8 * HOUR_US) % 5],
            )  # fmt: skip
            record = self._csv.delimiter.join(row).encode(self._csv.encoding)
            if record not in self._seen:
                break
            # In the hour the clock repeats, an idle machine would report the same line twice, and the
            # same line twice is by definition one.
            occurred_us += SECOND_US
        self._seen.add(record)
        return Row(occurred_us, self._machine.name, record, meaning._replace(occurred_us=occurred_us))

    def _decimal(self, thousandths: int) -> str:
        whole, rest = divmod(thousandths, 1000)
        return f"{whole}{self._csv.decimal}{rest:03d}" if rest else str(whole)


CHANGES: Final[Mapping[FaultCode, Sequence[tuple[int, str]]]] = {
    FaultCode.MALFORMED: [(14, "Groß;;")],
    FaultCode.WRONG_TYPE: [(8, "viele"), (12, "1:15")],
    FaultCode.MISSING_FIELD: [(0, ""), (1, ""), (7, "")],
    FaultCode.UNKNOWN_TYPE: [(7, "Pause?")],
    FaultCode.UNKNOWN_UNIT: [(10, "Elle")],
    FaultCode.NEGATIVE_QUANTITY: [(8, "-12"), (9, "-0,5")],
    FaultCode.ABSURD_QUANTITY: [(8, "9999999999999999"), (8, "1,23456")],
    FaultCode.BAD_TIMESTAMP: [(0, "31.02.2026 06:00:00"), (0, "gestern")],
    FaultCode.TIMESTAMP_FUTURE: [(0, "31.12.2999 23:59:59")],
    FaultCode.TIMESTAMP_PAST: [(0, "05.06.1987 04:03:02")],
    FaultCode.TEXT_TOO_LONG: [(2, "1" * 300)],
}
"""Per code, ways to spoil a row: a column and what stands there instead."""
DAMAGES: Final = (*CHANGES, FaultCode.OVERSIZE, FaultCode.NOT_UTF8, FaultCode.TRUNCATED)
"""What can be wrong with a row of this plant."""
TERMINAL: Final = "B-M00"
NO_LETTER: Final = b"\x81"
"""A byte that cp1252 gives no character."""


def _damaged(config: SimulationConfig, calendar: Calendar, mapping: PlantMapping, good: int) -> Iterator[Row]:
    """Yield rows that no decoder accepts, from a terminal that reports nothing else."""
    assert mapping.csv is not None
    rng = chance(config, "B", "damaged")
    changes = {**CHANGES, FaultCode.OVERSIZE: [(14, "x" * mapping.limits.record_bytes_max)]}
    for code in codes_among(rng, DAMAGES, config.disturbance.malformed, good):
        occurred_us = rng.randrange(config.start_us, config.end_us, SECOND_US)
        cells = [
            calendar.local(occurred_us).strftime(TIME_FORMAT), TERMINAL, "1099999", "0010", "L-X", "4711-HOUSING",
            "PACK-1", "Stand", "1000", "10", "Stk", "Werkzeug", "1,250", "0,125", "Groß",
        ]  # fmt: skip
        if code in changes:
            column, text = rng.choice(changes[code])
            cells[column] = text
        record = mapping.csv.delimiter.join(cells).encode(mapping.csv.encoding)
        if code is FaultCode.NOT_UTF8:
            record += NO_LETTER
        elif code is FaultCode.TRUNCATED:
            record = record[: rng.randint(20, len(record) // 2)]
        yield Row(occurred_us, TERMINAL, record, code)
