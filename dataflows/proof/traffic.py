"""Traffic made for the policies of a plant: sessions, disorder, copies, conflicts, losses, counters that wrap.

Everything follows from the dice. Times are counted in units of the workload (``Workload.unit_us``), so
that the same traffic is calm or hurried measured by the plant's own waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from canonical.contracts.event import EventType
from canonical.mapping import PlantMapping
from canonical.policy import Route
from dataflows.proof.dice import Dice

SPAN: Final = 12.0
"""Units of time over which a shard's records are sent."""

Sent = tuple[float, dict[str, Any] | None, bytes]
"""When a record is stored at the source (units of time), what it says (None: it cannot be read), its bytes."""

_UNREADABLE: Final = (b"{", b"[]", b'{"source":"a0"}', b"\xff\xfe", b"null")
_COMMON: Final = (EventType.PARTIAL,) * 6 + (EventType.SCRAP, EventType.REWORK, EventType.COMPLETE)
_TEXTS: Final = ("operation", "work_center", "material", "correlation_id", "quality")


def shard_traffic(mapping: PlantMapping, dice: Dice, machines: str, start_us: int, *, losses: bool) -> list[Sent]:
    """Return what one shard holds, in its order.

    Args: machines: names of its sources begin so; start_us: before this everything has occurred;
        losses: some records never arrive, or very late.
    """
    sent: list[Sent] = []
    sessions = min(mapping.sequencing.sessions_max, dice.between(2, 4))
    names = ["source", "session"]
    for index in range(sessions):
        several = names[1] in mapping.paths
        source, session = (f"{machines}{index // 2}", f"b{index % 2}") if several else (f"{machines}{index}", "")
        begin = SPAN * 0.4 * (index % 2 if several else 0)
        sent += _session(mapping, dice, (source, session), start_us, begin, losses=losses)
    for _ in range(dice.below(3)):
        sent.append((dice.unit() * SPAN, None, dice.pick(_UNREADABLE)))
    sent.sort(key=lambda record: record[0])
    return sent


def _session(
    mapping: PlantMapping, dice: Dice, name: tuple[str, str], start_us: int, begin: float, *, losses: bool
) -> Iterator[Sent]:
    """Yield the records of one session, in no order."""
    count = dice.between(6, 24)
    events = list(_events(mapping, dice, name, start_us, count))
    step = (SPAN - begin) / 2 / count
    times = [begin + step * i for i in range(count)]
    stored = [time + _delay(dice, losses=losses) for time in times]
    copies = [(i, stored[i] + dice.unit() * SPAN / 3) for i in range(count) if dice.falls(0.08)]
    lost = {i for i in range(count) if losses and dice.falls(0.04)}
    if mapping.sequencing.modulus is not None and not _followed(mapping.sequencing.modulus, stored, copies):
        stored, copies = times, []  # More disorder than wrapping numbers can bear is no one's to put in order.
    for i, event in enumerate(events):
        if i not in lost:
            yield stored[i], event, orjson.dumps(event)
    for i, time in copies:
        event = events[i]
        if mapping.sequencing.mode == "number" and dice.falls(0.2):
            event = {**event, "occurred": event["occurred"] + 1}
        yield time, event, orjson.dumps(event)


def _delay(dice: Dice, *, losses: bool) -> float:
    chance = dice.unit()
    if chance < 0.8:
        return 0.0
    if chance < 0.97:
        return dice.unit() * SPAN / 6
    return dice.unit() * SPAN * (1.5 if losses else 0.5)


def _followed(modulus: int, stored: list[float], copies: list[tuple[int, float]]) -> bool:
    """Return whether each number lies less than half a cycle from the one that arrives before it."""
    arrivals = sorted([(time, i) for i, time in enumerate(stored)] + [(time, i) for i, time in copies])
    numbers = [i for _, i in arrivals]
    return all(abs(b - a) < modulus // 2 - 2 for a, b in zip([0, *numbers], numbers, strict=False))


def _events(
    mapping: PlantMapping, dice: Dice, name: tuple[str, str], start_us: int, count: int
) -> Iterator[dict[str, Any]]:
    """Yield what the events of a session say, in the order in which they happened."""
    fields, policy = mapping.paths, mapping.sequencing
    # Believable at every reading during the run, and over shift and bucket boundaries where the plant allows it.
    lag_us = min(mapping.limits.past_max_s / 2, 3 * 3_600) * 1e6
    step_us = int(lag_us / (count + 2))
    occurred = start_us - int(lag_us)
    first = policy.start if policy.start != "any" else (policy.modulus or 40) - dice.between(1, 12)
    order = dice.below(3)
    readings = {quantity: _first_reading(mapping, dice) for quantity in ("good_counter", "scrap_counter")}
    rare = [t for t in EventType if mapping.routes[t] is not Route.AGGREGATED] or list(EventType)
    for i in range(count):
        occurred += dice.between(1, step_us)
        verb = dice.pick(_COMMON) if dice.falls(0.85) else dice.pick(rare)
        if dice.falls(0.08):
            order += 1
        event: dict[str, Any] = {"source": name[0], "type": verb.value}
        if "session" in fields:
            event["session"] = name[1]
        if "seq" in fields:
            event["seq"] = (first + i) % policy.modulus if policy.modulus else first + i
        if "event_id" in fields:
            event["event_id"] = f"{name[0]}-{name[1]}-{i}"
        event["occurred"] = occurred - (step_us if dice.falls(0.05) else 0)
        if "recorded" in fields:
            event["recorded"] = occurred
        _add_texts(event, mapping, dice, order, verb)
        _add_quantities(event, mapping, dice, readings)
        if verb is EventType.COMPLETE:
            order += 1
        yield event


def _add_texts(event: dict[str, Any], mapping: PlantMapping, dice: Dice, order: int, verb: EventType) -> None:
    fields = mapping.paths
    if "order" in fields:
        event["order"] = f"o{order}"
    if "lot" in fields:
        event["lot"] = f"l{order // 2}"
    if "reason" in fields and verb in {EventType.SCRAP, EventType.DOWNTIME}:
        event["reason"] = dice.pick(("", "r1", "r2"))
    if "unit" in fields:
        event["unit"] = mapping.unit
    for name in _TEXTS:
        if name in fields:
            event[name] = f"{name}-{order % 2}"
    if "work_center" in fields and mapping.aggregation.is_side_by_side:
        event["work_center"] = f"work_center-{dice.below(4)}"


def _add_quantities(event: dict[str, Any], mapping: PlantMapping, dice: Dice, readings: dict[str, int]) -> None:
    fields, most = mapping.paths, min(3, mapping.limits.quantity_max)
    for name in ("good", "scrap", "rework", "setup", "machine", "labour", "energy"):
        if name in fields and dice.falls(0.6):
            event[name] = dice.between(0, most)
    policy = mapping.counters
    for name, last in readings.items():
        if name not in fields:
            continue
        reading = 0 if dice.falls(0.03) else last + dice.between(0, min(3, policy.jump_max or 3))
        if policy.rollover is not None:
            reading %= policy.rollover
        readings[name] = reading
        if dice.falls(0.8):
            event[name] = reading


def _first_reading(mapping: PlantMapping, dice: Dice) -> int:
    rollover = mapping.counters.rollover
    return dice.below(50) if rollover is None else max(0, rollover - 1 - dice.below(20))
