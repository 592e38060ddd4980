"""Plant M: one MTConnect machine tool behind an SHDR adapter that forwards every change it sees.

A connection begins with a dump of all data items, the part count among them; from then on a line
tells what changed. A reconnection is a new session, and what was made meanwhile nobody counted.
Now and then its operator holds the program for some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from dataflows.simulator.calendar import Calendar, instant
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.damage import codes_among
from dataflows.simulator.disturbance import instants
from dataflows.simulator.drop import Delivery, Drop, hourly
from dataflows.simulator.witness import Fate, Made, Meaning, Said, Witness
from dataflows.simulator.world import chance

LINES_PER_PART: Final = 80
SECOND_US: Final = 1_000_000
LINE_US: Final = 1_000
"""From one line to the next."""
HELD_SHARE: Final = 0.01
"""Of four times a part, how often it is held."""
STATES: Final = {"ACTIVE": "production", "READY": "delay", "PROGRAM_COMPLETED": "delay", "FEED_HOLD": "down"}
"""What the machine does in each state of execution."""
CONDITIONS: Final = ("system", "HydraulicSystem1_cond", "LubricationSystem1_cond", "CoolantSystem1_cond")
BLOCKS: Final = ("G00X200Z150", "G01Z-42.5F0.2", "G71P10Q20U0.4", "M08", "G28U0W0", "MT=0101")


def traffic(config: SimulationConfig, mapping: PlantMapping, records: int) -> tuple[Iterator[Drop], Witness]:
    """Return the machine's drops, about ``records`` lines, and the witness who has seen them made."""
    assert mapping.shdr is not None
    source = mapping.shdr.source
    rng = chance(config, "M")
    center = mapping.constants["work_center"]
    witness = Witness("M", Calendar.of(mapping), {center: center}, tells_every_state=True)
    deliveries: list[Delivery] = []
    share = config.disturbance.duplicates
    for at_us, line, meaning in _Adapter(rng, config, mapping, records).lines():
        if at_us >= config.end_us:
            break
        witness.event(meaning)
        deliveries.append(Delivery(at_us, 2 * len(deliveries), source, line))
        if not isinstance(meaning, Made) and b"|avail|" not in line and rng.random() < share:
            witness.duplicates += 1
            deliveries.append(Delivery(at_us, 2 * len(deliveries), source, line))
    for number, code in enumerate(codes_among(rng, DAMAGES, config.disturbance.malformed, len(deliveries))):
        at_us = rng.randrange(config.start_us, config.end_us)
        witness.fault(code)
        deliveries.append(Delivery(at_us, number, source, _damaged(code, at_us, mapping)))
    return hourly("M", ".txt", deliveries), witness


_Line = tuple[int, bytes, Meaning]


class _Adapter:
    """The adapter of one machine: its time, its part counter and the positions of its axes."""

    def __init__(self, rng: Random, config: SimulationConfig, mapping: PlantMapping, records: int) -> None:
        assert mapping.shdr is not None
        self._rng = rng
        self._config = config
        self._calendar = Calendar.of(mapping)
        self._holds = chance(config, "M", "holds")
        self._source = mapping.shdr.source
        self._center = mapping.constants["work_center"]
        self._unit = mapping.unit
        self._part_us = (config.end_us - config.start_us) * LINES_PER_PART * 0.8 / records
        self._now_us = config.start_us
        self._count = rng.randint(0, 40)
        self._cutting_s = rng.randint(1_000, 9_000)

    def lines(self) -> Iterator[_Line]:
        """Yield the adapter's lines without end; a few carry a time before that of the line above."""
        config, rng = self._config, self._rng
        restarts = instants(rng, config.disturbance.restarts_per_day, config.start_us + SECOND_US, config.end_us)
        resets = instants(rng, config.disturbance.resets_per_day, config.start_us + SECOND_US, config.end_us)
        yield from self._connect()
        while True:
            if restarts and self._now_us >= restarts[0]:
                del restarts[0]
                self._now_us += rng.randint(1, 15) * 60 * SECOND_US
                self._count += rng.randint(0, 2)
                yield from self._connect()
            if resets and self._now_us >= resets[0]:
                del resets[0]
                self._count = 0
                yield self._line("ppartcount|0", self._counted(0))
            yield from self._part()

    def _connect(self) -> Iterator[_Line]:
        dump = (
            f"avail|AVAILABLE|fmode|PRODUCTION|estop|ARMED|pmode|AUTOMATIC|pprogram|FLANGE-07.MIN|pexecution|READY"
            f"|ppartcount|{self._count}|p1ToolAssetId|UNAVAILABLE|S1speed|0|S1load|0|X1actm|0|X1load|0|Z1actm|0|Z1load|0"
            f"|p1block||pCuttingTime|{self._cutting_s}"
        )
        yield self._line(dump, self._counted(0))
        for condition in CONDITIONS:
            yield self._line(f"{condition}|NORMAL||||", Fate.ANALYTICS_ONLY)

    def _part(self) -> Iterator[_Line]:
        """Yield one part: bursts of axis telemetry at 10 to 100 Hz, then the count."""
        rng = self._rng
        yield self._executes("ACTIVE")
        until_us = self._now_us + int(self._part_us / self._calendar.pace(self._now_us) * rng.uniform(0.8, 1.2))
        bursts = 4
        pause_us = (until_us - self._now_us) // bursts
        position = rng.uniform(100, 500)
        for burst in range(bursts):
            yield self._line(f"p1block|{rng.choice(BLOCKS)}|p1BlockNumber|{burst + 1}", Fate.ANALYTICS_ONLY)
            period_us = rng.randint(10_000, 100_000)
            begin_us = self._now_us
            for _ in range(LINES_PER_PART // bursts - 3):
                position -= rng.random()
                yield self._line(self._axes(position), Fate.ANALYTICS_ONLY, period_us)
            self._cutting_s += 1
            # Another thread of the adapter stamped it a moment ago.
            yield self._line(f"pCuttingTime|{self._cutting_s}", Fate.ANALYTICS_ONLY, behind_us=70_000)
            if rng.random() < 0.01:
                fault = "CoolantSystem1_cond|WARNING|4010|LOW|LOW|Coolant level low"
                yield self._line(fault, Fate.ANALYTICS_ONLY)
                yield self._line("CoolantSystem1_cond|NORMAL||||", Fate.ANALYTICS_ONLY)
            self._now_us = max(self._now_us, begin_us + pause_us)
            if self._holds.random() < HELD_SHARE:
                yield self._executes("FEED_HOLD")
                self._now_us += self._holds.randint(60, 900) * SECOND_US
                yield self._executes("ACTIVE")
        yield self._executes("PROGRAM_COMPLETED")
        self._count += 1
        yield self._line(f"ppartcount|{self._count}|Z1load|2", self._counted(1000))
        yield self._executes("READY")

    def _executes(self, execution: str) -> _Line:
        said = Said(self._source, self._center, self._now_us + LINE_US, STATES[execution], Fate.ANALYTICS_ONLY)
        return self._line(f"pexecution|{execution}", said)

    def _axes(self, position: float) -> str:
        rng = self._rng
        match rng.randrange(4):
            case 0:
                return f"Z1actm|{position:.4f}|Z1actw|{position - 90:.4f}"
            case 1:
                return f"p1Fact|{60 + rng.random() * 5:.4f}|p1LPathPos|{position:.4f} 0 {position / 2:.4f}"
            case 2:
                return f"X1actm|{position / 3:.4f}|X1load|{rng.randint(20, 60)}"
            case _:
                return f"S1load|{rng.randint(0, 90)}|S1speed|{rng.randint(1400, 1600)}"

    def _line(self, items: str, meaning: Meaning, step_us: int = LINE_US, behind_us: int = 0) -> _Line:
        """Return the next line; adapters stamp to 100 ns, and no two lines are alike."""
        self._now_us += step_us
        return self._now_us, f"{_stamp(self._now_us - behind_us, self._rng.randrange(10))}|{items}".encode(), meaning

    def _counted(self, good: int) -> Made:
        return Made(self._source, "", "", "", self._unit, self._now_us + LINE_US, self._center, good=good)


def _stamp(us: int, tenth: int) -> str:
    return instant(us).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{tenth}Z"


CHANGES: Final[Mapping[FaultCode, tuple[str, bytes]]] = {
    FaultCode.WRONG_TYPE: ("", b"ppartcount|seventeen"),
    FaultCode.NEGATIVE_QUANTITY: ("", b"ppartcount|-4"),
    FaultCode.ABSURD_QUANTITY: ("", b"ppartcount|9999999999999999"),
    FaultCode.BAD_TIMESTAMP: ("2026-02-31T06:00:00.0000000Z", b"Z1load|3"),
    FaultCode.TIMESTAMP_FUTURE: ("2999-12-31T23:59:59.0000000Z", b"Z1load|3"),
    FaultCode.TIMESTAMP_PAST: ("1987-06-05T04:03:02.0000000Z", b"Z1load|3"),
    FaultCode.NOT_UTF8: ("", b"p1block|\xe4\xff"),
    FaultCode.TRUNCATED: ("", b"ppartcount|17|Z1load"),
}
"""Per code, a time other than the line's own, and the rest of the line."""
DAMAGES: Final = (*CHANGES, FaultCode.OVERSIZE, FaultCode.MALFORMED)
"""What can be wrong with a line of this machine."""


def _damaged(code: FaultCode, at_us: int, mapping: PlantMapping) -> bytes:
    if code is FaultCode.MALFORMED:
        return b"adapter restarting"
    changes = {**CHANGES, FaultCode.OVERSIZE: ("", b"p1block|" + b"X" * mapping.limits.record_bytes_max)}
    stamp, items = changes[code]
    return (stamp or _stamp(at_us, 3)).encode() + b"|" + items
