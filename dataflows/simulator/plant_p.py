"""Plant P: edge nodes that speak Sparkplug B, as the records that the collector makes of what they say.

An edge node numbers its messages from its birth on, whatever device they are about; a device tells its counters with
the order that it works on. It dies without a word, is born again, or is reborn in the same connection; meanwhile its
devices go on, and their counters with them. Once in the window our own host is away: edge nodes that know it as their
primary host fall silent, and are born again when it is back, with what happened meanwhile as history.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import orjson

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from dataflows.simulator.calendar import HOUR_US, MINUTE_US, Calendar
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.damage import Changes, codes_among
from dataflows.simulator.drop import Delivery, Drop, hourly
from dataflows.simulator.edge_device import EdgeDevice
from dataflows.simulator.edge_readings import EdgeReadings
from dataflows.simulator.edge_sessions import EdgeSessions
from dataflows.simulator.witness import Fate, Witness
from dataflows.simulator.world import chance, machine

GROUP: Final = "plant-p"
EDGES: Final = {
    "press-shop": {"press-1": 1, "press-2": 2, "press-3": 4},
    "weld-shop": {"robot-1": 5, "robot-2": 6},
    "paint-shop": {"booth-1": 7, "booth-2": 9},
}
"""Edge nodes, their devices, and the number of the machine that each is: those that make pieces."""
GATEWAY: Final = "gateway"
"""The edge node that says what no decoder accepts."""
DEVICES: Final = sum(map(len, EDGES.values()))
AWAY_US: Final = 25 * MINUTE_US


def host_away(config: SimulationConfig) -> tuple[int, int]:
    """Return from when, on the hour, until when the primary host is away: after a quarter of the window."""
    quarter_us = config.start_us + config.hours * HOUR_US // 4
    begin_us = -(-quarter_us // HOUR_US) * HOUR_US
    return begin_us, begin_us + AWAY_US


def traffic(config: SimulationConfig, mapping: PlantMapping, records: int) -> tuple[Iterator[Drop], Witness]:
    """Return the plant's drops, about ``records`` of them, and the witness who has seen them made."""
    witness = Witness("P", Calendar.of(mapping), mapping.keys["work_center"])
    calendar = Calendar.of(mapping)
    pause_us = (config.end_us - config.start_us) * DEVICES // max(records, DEVICES)
    deliveries: list[Delivery] = []
    for edge, numbers in EDGES.items():
        rng = chance(config, "P", edge)
        devices = [
            EdgeDevice(rng, name, machine("P", number, config), calendar, pause_us, config.start_us)
            for name, number in numbers.items()
        ]
        sessions = EdgeSessions(rng, config, f"{GROUP}/{edge}", devices, host_away(config))
        deliveries += EdgeReadings(rng, config.disturbance, calendar, witness).delivered(sessions.messages())
    deliveries += _damaged(config, mapping, witness, len(deliveries))
    return hourly("P", ".jsonl", deliveries), witness


def _damaged(config: SimulationConfig, mapping: PlantMapping, witness: Witness, good: int) -> Iterator[Delivery]:
    """Yield what an edge node of its own says: births, and messages that all claim the first number after them."""
    rng = chance(config, "P", "damaged")
    codes = codes_among(rng, DAMAGES, config.disturbance.malformed, good)
    if not codes:
        return
    away_us, back_us = host_away(config)
    source = f"{GROUP}/{GATEWAY}"
    births = [(0, config.start_us), (1, back_us)]
    for bd_seq, at_us in births:
        witness.event(Fate.ANALYTICS_ONLY)
        record = {"source": source, "session": _session(bd_seq, at_us), "seq": 0, "type": "NBIRTH", "at": at_us // 1000}
        record |= {"group": GROUP, "edge": GATEWAY, "metrics": {"bdSeq": bd_seq, "Node Control/Rebirth": False}}
        yield Delivery(at_us, 0, source, orjson.dumps(record))
    for number, code in enumerate(codes, 1):
        at_us = rng.randrange(config.start_us + 1000, config.end_us - AWAY_US, 1000)
        if at_us >= away_us:
            at_us += AWAY_US
        witness.fault(code)
        name = _session(*births[at_us >= back_us])
        yield Delivery(at_us, number, source, _refused(rng, code, name, at_us, mapping))


def _session(bd_seq: int, at_us: int) -> str:
    return f"{bd_seq}-{at_us // 1000}"


CHANGES: Final[Changes] = {
    FaultCode.WRONG_TYPE: [{"metrics": {"Good": "many"}}, {"metrics": {"Good": True}}],
    FaultCode.NEGATIVE_QUANTITY: [{"metrics": {"Good": -3}}],
    FaultCode.ABSURD_QUANTITY: [{"metrics": {"Good": 10**16 - 1}}, {"metrics": {"Scrap": 10**16 - 1}}],
    FaultCode.BAD_TIMESTAMP: [{"at": 10**18}],
    FaultCode.TIMESTAMP_FUTURE: [{"at": 32_503_680_000_000}],  # the year 3000
    FaultCode.TIMESTAMP_PAST: [{"at": 549_950_000_000}],  # the year 1987
    FaultCode.TEXT_TOO_LONG: [{"metrics": {"Order": "1" * 300}}],
}
"""Per code, what a message says in place of what it should."""
DAMAGES: Final = (*CHANGES, FaultCode.OVERSIZE, FaultCode.MALFORMED)
"""What can be wrong with a message of this plant; of what is no payload the record is topic and bytes, in hex."""


def _refused(rng: Random, code: FaultCode, session: str, at_us: int, mapping: PlantMapping) -> bytes:
    if code is FaultCode.MALFORMED:
        payload = b"\xff" + rng.randbytes(8)  # a field that is not
        return f"spBv1.0/{GROUP}/DDATA/{GATEWAY}/probe {payload.hex()}".encode()
    record: dict[str, Any] = {
        "source": f"{GROUP}/{GATEWAY}", "session": session, "seq": 1, "type": "DDATA", "at": at_us // 1000,
        "group": GROUP, "edge": GATEWAY, "device": "probe", "metrics": {"Good": 1},
    }  # fmt: skip
    if code is FaultCode.OVERSIZE:
        return orjson.dumps(record | {"metrics": {"Dump": "x" * mapping.limits.record_bytes_max}})
    return orjson.dumps({**record, **rng.choice(CHANGES[code])})
