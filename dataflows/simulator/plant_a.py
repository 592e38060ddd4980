"""Plant A: MES events as JSON, numbered per boot session of a machine, in two versions at once."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from dataflows.simulator.calendar import MINUTE_US, Calendar, iso
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.damage import LOT, Changes, codes_among, damaged_json, excesses
from dataflows.simulator.disturbance import Numbered, Session, bursts, deliver, forwarded_us, instants
from dataflows.simulator.drop import Delivery, Drop, hourly
from dataflows.simulator.witness import Fate, Made, Meaning, Said, Witness
from dataflows.simulator.world import REASONS, STOPS, Job, Machine, chance, machines

LOCAL_UNITS: Final = {"H87": "PCE", "KGM": "KG"}
TELEMETRY_PER_CYCLE: Final = 2.0
PACE_MEAN: Final = 0.72
SECOND_US: Final = 1_000_000


def traffic(config: SimulationConfig, mapping: PlantMapping, records: int) -> tuple[Iterator[Drop], Witness]:
    """Return the plant's drops, about ``records`` of them, and the witness who has seen them made."""
    witness = Witness("A", Calendar.of(mapping), mapping.keys["work_center"])
    calendar = Calendar.of(mapping)
    deliveries: list[Delivery] = []
    for machine in machines("A", config):
        rng = chance(config, "A", machine.name)
        for session in _sessions(rng, config, machine, calendar, records):
            deliveries += deliver(rng, config.disturbance, session, witness, _conflicting)
    deliveries += _damaged(config, mapping, witness, len(deliveries))
    return hourly("A", ".ndjson", deliveries), witness


class _Mes:
    """The MES client of one machine: words of its own around each event, in its version."""

    def __init__(self, rng: Random, machine: Machine, version: int) -> None:
        self._rng = rng
        self._machine = machine
        self._version = version
        self._head = ""
        self._context = ""
        self.boot = ""
        self.number = 0

    def start(self) -> None:
        """Begin a new boot session."""
        self.boot = f"{self._rng.getrandbits(32):08x}"
        self.number = 0
        self._head = f'{{"schema":{self._version},"machine":"{self._machine.name}","boot":"{self.boot}","n":'

    def take(self, job: Job) -> None:
        """Work on a job from now on."""
        self._context = (
            f'","order":"{job.order}","op":"{job.operation}","wc":"{self._machine.work_center}",'
            f'"material":"{job.product.material}","lot":"{job.lot}","unit":"{LOCAL_UNITS[job.product.unit]}"'
        )

    def record(self, kind: str, occurred_us: int, arrival_us: int, body: str = "") -> bytes:
        """Return the next numbered event as bytes."""
        extra = ""
        if self._version == 2:
            extra = (
                f',"quality":{{"status":"{"ok" if self._rng.random() < 0.97 else "check"}"}}'
                f',"telemetry":{{"spindle_c":{30 + self._rng.random() * 40:.1f}}}'
            )
        stored = iso(min(arrival_us, occurred_us + 40_000))
        text = f'{self._head}{self.number},"kind":"{kind}","ts":"{iso(occurred_us)}","stored":"{stored}'
        self.number += 1
        return f"{text}{self._context}{body}{extra}}}".encode()


def _sessions(
    rng: Random, config: SimulationConfig, machine: Machine, calendar: Calendar, records: int
) -> Iterator[Session]:
    """Yield the machine's boot sessions with everything it reports in them."""
    disturbance = config.disturbance
    mes = _Mes(rng, machine, version=1 + int(machine.name[-1]) % 2)
    outages = bursts(rng, disturbance, config.start_us, config.end_us)
    restarts = instants(rng, disturbance.restarts_per_day, config.start_us, config.end_us)
    latency_us = rng.randint(50, 400) * 1000
    arrived_us = 0
    mes.start()
    boot, numbered = mes.boot, list[Numbered]()
    for occurred_us, kind, body, meaning, job in _happenings(rng, config, machine, calendar, records):
        if restarts and occurred_us >= restarts[0]:
            del restarts[0]
            yield Session(machine.name, boot, numbered)
            mes.start()
            boot, numbered = mes.boot, []
        mes.take(job)
        # A machine never overtakes itself here; disorder is the network's.
        arrived_us = max(arrived_us + 100, forwarded_us(occurred_us, outages, latency_us))
        numbered.append(Numbered(arrived_us, mes.record(kind, occurred_us, arrived_us, body), meaning))
    yield Session(machine.name, boot, numbered)


_Happening = tuple[int, str, str, Meaning, Job]


def _happenings(
    rng: Random, config: SimulationConfig, machine: Machine, calendar: Calendar, records: int
) -> Iterator[_Happening]:
    """Yield what happens at a machine, in the order of time, to the millisecond."""
    window_us = config.end_us - config.start_us
    per_machine = records / config.machines
    cycle_us = window_us / per_machine * (1 + TELEMETRY_PER_CYCLE) * PACE_MEAN
    telemetry_us = int(window_us / per_machine * (1 + TELEMETRY_PER_CYCLE) / TELEMETRY_PER_CYCLE) // 1000 * 1000
    stops = instants(rng, 6.0, config.start_us, config.end_us)
    next_telemetry_us = config.start_us + rng.randrange(1, 1000) * 1000
    place = machine.name, machine.work_center
    for job in machine.jobs:
        now_us = job.begin_us + rng.randrange(1000) * 1000
        if job.first:
            yield now_us, "ORDER_START", "", Said(*place, now_us, "production"), job
        while True:
            pace = calendar.pace(now_us)
            now_us += int(cycle_us / pace * rng.uniform(0.8, 1.2)) // 1000 * 1000 + 1000
            if stops and now_us >= stops[0]:
                del stops[0]
                until_us = now_us + rng.randint(5, 40) * MINUTE_US
                if until_us < job.end_us:
                    yield now_us, "STOP", f',"reason":"{rng.choice(STOPS)}"', Said(*place, now_us, "down"), job
                    yield until_us, "RUN", "", Said(*place, until_us, "production"), job
                    now_us = next_telemetry_us = until_us
                    continue
            while next_telemetry_us < min(now_us, job.end_us):
                yield next_telemetry_us, *_telemetry(rng), job
                next_telemetry_us += telemetry_us
            if now_us >= job.end_us - SECOND_US:
                break
            yield from _cycle(rng, machine, job, now_us, int(cycle_us / 1000))
        if job.last:
            setup_min, labour_s = rng.randint(5, 45), rng.randint(600, 7200)
            at_us = job.end_us - 1000
            quantities = (0, 0, 0, setup_min * MINUTE_US, 0, labour_s * SECOND_US, 0)
            body = f',"setup_min":{setup_min},"labour_s":{labour_s}'
            yield at_us, "ORDER_END", body, _made(machine, job, at_us, *quantities)._replace(ends=True), job


def _telemetry(rng: Random) -> tuple[str, str, Meaning]:
    if rng.random() < 0.05:
        return "STATUS", f',"state":"{rng.choice(("RUNNING", "IDLE", "SETUP"))}"', Fate.ANALYTICS_ONLY
    return "TELEMETRY", f',"load_pct":{rng.randint(5, 98)},"vib_mm_s":{rng.random() * 4:.2f}', Fate.ANALYTICS_ONLY


def _cycle(rng: Random, machine: Machine, job: Job, now_us: int, nominal_ms: int) -> Iterator[_Happening]:
    """Yield a finished cycle and, now and then, the scrap or rework that follows from it."""
    product = job.product
    machine_ms = int(nominal_ms * rng.uniform(0.5, 0.8))
    energy_mwh = rng.randint(20_000, 900_000)
    body = f',"good":{_decimal(product.step)},"cycle_ms":{machine_ms},"wh":{_decimal(energy_mwh)}'
    made = _made(machine, job, now_us, product.step, 0, 0, 0, machine_ms * 1000, 0, energy_mwh)
    yield now_us, "CYCLE", body, made, job
    if rng.random() < product.scrap_rate:
        body = f',"scrap":{_decimal(product.step)},"reason":"{rng.choice(REASONS)}"'
        yield now_us + 1000, "SCRAP", body, _made(machine, job, now_us + 1000, 0, product.step), job
    elif rng.random() < 0.01:
        body = f',"rework":{_decimal(product.step)}'
        yield now_us + 1000, "REWORK", body, _made(machine, job, now_us + 1000, 0, 0, product.step), job


def _made(machine: Machine, job: Job, occurred_us: int, *quantities: int) -> Made:
    key = machine.name, job.order, job.operation, job.lot, job.product.unit, occurred_us
    return Made(*key, machine.work_center, False, *quantities)  # noqa: FBT003 - quantities follow


def _decimal(thousandths: int) -> str:
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)


def _conflicting(record: bytes) -> bytes:
    """Return an event that claims the number of another one: same number, other order."""
    return record.replace(b'"order":"1', b'"order":"9')


def _damaged(config: SimulationConfig, mapping: PlantMapping, witness: Witness, good: int) -> Iterator[Delivery]:
    """Yield records that no decoder accepts, as a broken gateway sends them beside all machines."""
    rng = chance(config, "A", "damaged")
    changes = {**CHANGES, **excesses(mapping.limits)}
    for number, code in enumerate(codes_among(rng, DAMAGES, config.disturbance.malformed, good)):
        at_us = rng.randrange(config.start_us, config.end_us)
        event = {
            "schema": 1, "machine": GATEWAY, "boot": "0badc0de", "n": number, "kind": "CYCLE", "ts": iso(at_us),
            "order": "1099999", "op": "0010", "lot": LOT, "unit": "PCE", "good": 1, "cycle_ms": 21_000, "wh": 12.5,
        }  # fmt: skip
        witness.fault(code)
        yield Delivery(at_us, number, GATEWAY, damaged_json(rng, code, event, changes))


GATEWAY: Final = "A-GATEWAY"
CHANGES: Final[Changes] = {
    FaultCode.WRONG_TYPE: [{"good": "many"}, {"good": True}, {"good": [1]}],
    FaultCode.MISSING_FIELD: [{"machine": None}, {"n": None}, {"kind": None}, {"ts": None}],
    FaultCode.UNKNOWN_TYPE: [{"kind": "TELEPORT"}],
    FaultCode.UNKNOWN_UNIT: [{"unit": "FURLONG"}],
    FaultCode.NEGATIVE_QUANTITY: [{"good": -3}, {"scrap": -0.5}],
    FaultCode.ABSURD_QUANTITY: [{"good": 4_000_000_000}, {"good": 0.123456}],
    FaultCode.BAD_SEQUENCE: [{"n": -1}, {"n": 17.5}, {"n": 2**53 + 2}],
    FaultCode.BAD_TIMESTAMP: [{"ts": "2026-13-45T99:00:00Z"}, {"ts": "yesterday"}],
    FaultCode.TIMESTAMP_FUTURE: [{"ts": "2999-12-31T23:59:59.000Z"}],
    FaultCode.TIMESTAMP_PAST: [{"ts": "1987-06-05T04:03:02.000Z"}],
    FaultCode.TEXT_TOO_LONG: [{"order": "1" * 300}],
}
DAMAGES: Final = (
    *CHANGES, FaultCode.OVERSIZE, FaultCode.DEEP_NESTING, FaultCode.NOT_UTF8, FaultCode.TRUNCATED, FaultCode.MALFORMED,
)  # fmt: skip
"""What can be wrong with a record of this plant."""
