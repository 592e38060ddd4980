"""Plant C: a quality system's webhook calls about the lots of plants A and B, as JSON.

Calls carry an event id and no number. A lot is inspected while it is made and then released, or
held and, later, released or rejected. A call that is not answered in time is repeated as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final
from uuid import UUID

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from dataflows.simulator.calendar import MINUTE_US, Calendar
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.damage import LOT, Changes, codes_among, damaged_json, excesses
from dataflows.simulator.drop import Delivery, Drop, hourly
from dataflows.simulator.witness import Fate, Witness
from dataflows.simulator.world import REASONS, Job, chance, machines

STATIONS: Final = ("LAB-1", "LAB-2", "LINE-QC")
CHARACTERISTICS: Final = ("diameter_mm", "roughness_um", "hardness_hrc")
HOLD_SHARE: Final = 0.15
REJECT_SHARE: Final = 0.3


def traffic(config: SimulationConfig, mapping: PlantMapping, records: int) -> tuple[Iterator[Drop], Witness]:
    """Return the plant's drops, about ``records`` of them, and the witness who has seen them made."""
    rng = chance(config, "C")
    witness = Witness("C", Calendar.of(mapping))
    jobs = [job for plant in ("A", "B") for machine in machines(plant, config) for job in machine.jobs]
    inspections = max(1, round(records / len(jobs)) - 1)
    deliveries: list[Delivery] = []
    for job in jobs:
        for at_us, call in _calls(rng, job, inspections):
            if at_us >= config.end_us:
                break  # it has not happened yet
            tick = len(deliveries)
            witness.event(Fate.OPERATIONAL)
            deliveries.append(call._replace(tick=tick))
            if rng.random() < config.disturbance.duplicates * 3:
                witness.duplicates += 1
                again_us = call.arrival_us + rng.choice((2, 10, 60)) * 1_000_000
                deliveries.append(call._replace(arrival_us=again_us, tick=tick + 1))
    changes = {**CHANGES, **excesses(mapping.limits)}
    for number, code in enumerate(codes_among(rng, DAMAGES, config.disturbance.malformed, len(deliveries))):
        at_us = rng.randrange(config.start_us, config.end_us)
        event = {**_body(rng, "LAB-TEST", "lot.hold", at_us), "subject": {"lot": LOT}}
        witness.fault(code)
        deliveries.append(Delivery(at_us, number, "LAB-TEST", damaged_json(rng, code, event, changes)))
    return hourly("C", ".jsonl", deliveries), witness


def _calls(rng: Random, job: Job, inspections: int) -> Iterator[tuple[int, Delivery]]:
    """Yield when something happened to a lot, and the call about it, which comes seconds later."""
    station = rng.choice(STATIONS)
    for _ in range(inspections):
        at_us = rng.randrange(job.begin_us, job.end_us, 1000)
        yield at_us, _call(rng, station, "inspection.result", "MEASURED", "", job, at_us)
    at_us = job.end_us + rng.randint(1, 30) * MINUTE_US
    if rng.random() < HOLD_SHARE:
        yield at_us, _call(rng, station, "lot.hold", "HOLD", rng.choice(REASONS), job, at_us)
        at_us += rng.randint(20, 180) * MINUTE_US
        if rng.random() < REJECT_SHARE:
            yield at_us, _call(rng, station, "lot.hold", "REJECTED", rng.choice(REASONS), job, at_us)
            return
    yield at_us, _call(rng, station, "lot.release", "RELEASED", "", job, at_us)


def _call(rng: Random, station: str, event: str, status: str, reason: str, job: Job, at_us: int) -> Delivery:
    body = _body(rng, station, event, at_us)
    body["subject"] = {
        "order": job.order, "operation": job.operation, "material": job.product.material, "lot": job.lot,
    }  # fmt: skip
    body["decision"] = {"status": status, **({"reason": reason} if reason else {})}
    body["characteristics"] = [{"name": name, "value": round(rng.gauss(20, 0.05), 3)} for name in CHARACTERISTICS]
    record = json.dumps(body, separators=(",", ":")).encode()
    return Delivery(at_us + rng.randint(200, 5_000) * 1000, 0, station, record)


def _body(rng: Random, station: str, event: str, at_us: int) -> dict[str, Any]:
    return {
        "event_id": str(UUID(int=rng.getrandbits(128), version=4)),
        "event": event,
        "occurred_at": at_us // 1000,
        "station": {"code": station, "tenant": "plantsync-demo"},
    }


CHANGES: Final[Changes] = {
    FaultCode.WRONG_TYPE: [{"subject": {"lot": [LOT]}}, {"station": "LAB-1"}, {"occurred_at": "now"}],
    FaultCode.MISSING_FIELD: [{"event": None}, {"occurred_at": None}, {"station": None}, {"event_id": None}],
    FaultCode.UNKNOWN_TYPE: [{"event": "lot.vanished"}],
    FaultCode.BAD_TIMESTAMP: [{"occurred_at": 10**18}],
    FaultCode.TIMESTAMP_FUTURE: [{"occurred_at": 32_503_680_000_000}],  # the year 3000
    FaultCode.TIMESTAMP_PAST: [{"occurred_at": 549_950_000_000}],  # the year 1987
    FaultCode.TEXT_TOO_LONG: [{"subject": {"lot": "L" * 300}}],
}
DAMAGES: Final = (
    *CHANGES, FaultCode.OVERSIZE, FaultCode.DEEP_NESTING, FaultCode.NOT_UTF8, FaultCode.TRUNCATED, FaultCode.MALFORMED,
)  # fmt: skip
"""What can be wrong with a call of this plant."""
