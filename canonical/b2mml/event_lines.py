"""Events of a performance as lines, one record each, so that a file of them is read as any other file is.

Laws: the lines are a function of the document's bytes; a line has the same id each time its document is read, and two
lines have different ids. A document that yields none, because it cannot be read, is of another kind or says nothing, is
one record as it is: what is wrong with it is told when it is decoded, and a dead letter keeps its bytes.

- A material *consumed* is a ``consume``: the quantity, the lot, and its sublot as handling unit.
- A material *produced* is a ``partial``; the last of a segment whose state is Completed a ``complete``. The last also
  carries what the segment says of itself: scrap, rework, times; where nothing was produced that is a line of its own.
- Any other use (by-product, sample, ...) is a line whose type is the use itself: a fault unless the plant maps it.
- Consumables are not accounted for.

Source: M03, M08, M18, M22; DOMAIN 3.10.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from canonical.b2mml.document import Document, read_document
from canonical.b2mml.orders import CONSUMED, PRODUCED
from canonical.b2mml.refusal import Refusal, shown
from canonical.b2mml.segments import MaterialActual, ResourceActual, Segment, segments
from canonical.b2mml.values import KEY_MAX, microseconds
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.units import code_of

FIELDS: Final = (
    "event_id", "type", "occurred", "recorded", "sender", "message", "response", "order", "operation", "work_center",
    "person", "material", "lot", "sub_lot", "location", "reason", "unit", "quantity", "good", "scrap", "rework",
    "setup", "machine", "labour",
)  # fmt: skip
"""Names a line may have, each a text; times spent are in seconds."""

FAULT: Final = "fault"
"""Of a line that is at fault: its code and what is wrong."""

SCRAP: Final = "ScrapQuantity"
SCRAP_REASON: Final = "ScrapReason"
REWORK: Final = "ReworkQuantity"
SETUP: Final = "Setup"
COMPLETED: Final = "Completed"

_UNCOUNTED: Final = ("", "Consumable")
Line = dict[str, object]


def event_lines(data: bytes) -> list[bytes]:
    """Return the records of a file that was dropped: of a document a line of JSON each, or the document itself.

    A file of such lines, as a replay drops it, is its lines; an empty one holds none.
    """
    if not data.strip():
        return []
    if is_line(data):
        return [line for line in data.split(b"\n") if line.strip()]
    try:
        return lines_of(read_document(data), data) or [data]
    except Refusal:
        return [data]


def lines_of(document: Document, data: bytes) -> list[bytes]:
    """Return a line of JSON for each event of a document; none where it says nothing.

    Args: data: the bytes it was read from, which name its events.
    Raises: Refusal with UNKNOWN_TYPE where it is no report of events.
    """
    _refuse_other(document)
    identity = hashlib.sha256(data).hexdigest()
    return [
        orjson.dumps({"event_id": f"{identity}#{ordinal}"} | _bounded(line))
        for ordinal, line in enumerate(_lines(document))
    ]


def is_line(record: bytes) -> bool:
    """Return whether a record is a line that this module made, and no document."""
    return record.lstrip()[:1] == b"{"


def _refuse_other(document: Document) -> None:
    if "Performance" not in document.noun:
        raise Refusal(
            FaultCode.UNKNOWN_TYPE, f"{document.noun} is reference data and no event; drop it into the reference folder"
        )
    if document.withdrawn and document.says:
        raise Refusal(
            FaultCode.UNKNOWN_TYPE,
            f"{document.verb or document.noun} takes back what was reported; correct it where it was confirmed",
        )


def _bounded(line: Line) -> Line:
    """Return what a line says, where that is no more than a record may say."""
    for name, value in line.items():
        if isinstance(value, str) and len(value) > KEY_MAX:
            kept = {other: text for other, text in line.items() if isinstance(text, str) and 0 < len(text) <= KEY_MAX}
            return kept | {FAULT: [FaultCode.TEXT_TOO_LONG, f"{name}: longer than {KEY_MAX} characters"]}
    return {name: value for name, value in line.items() if value}


def _lines(document: Document) -> Iterator[Line]:
    if not document.says:
        return
    common = {"recorded": document.created, "sender": document.sender, "message": document.message}
    for segment in segments(document):
        own = common | {
            "occurred": segment.ended or document.created,
            "response": segment.response,
            "order": segment.order,
            "operation": segment.operation,
            "work_center": segment.work_center,
            "person": segment.person,
        }
        yield from (own | line for line in _of(segment))


def _of(segment: Segment) -> Iterator[Line]:
    counted = [actual for actual in segment.materials if actual.use not in _UNCOUNTED]
    produced = [actual for actual in counted if actual.use in PRODUCED]
    yield from (_used(actual) for actual in counted if actual.use not in PRODUCED)
    done = EventType.COMPLETE if segment.state == COMPLETED else EventType.PARTIAL
    last = produced[-1] if produced else None
    for actual in produced:
        line = _moved(actual, EventType.PARTIAL if actual is not last else done, "good")
        yield line | _spent(segment, str(line.get("unit", ""))) if actual is last else line
    if last is None:
        unit = next((datum.unit for name in (SCRAP, REWORK) if (datum := segment.data.get(name)) is not None), "")
        spent = _spent(segment, unit)
        if spent or done is EventType.COMPLETE:
            yield {"type": done, "unit": unit} | spent


def _used(actual: MaterialActual) -> Line:
    return _moved(actual, EventType.CONSUME if actual.use in CONSUMED else actual.use, "quantity")


def _moved(actual: MaterialActual, kind: str, counted_as: str) -> Line:
    line: Line = {
        "type": kind,
        "material": actual.material,
        "lot": actual.lot,
        "sub_lot": actual.sub_lot,
        "location": actual.place,
    }
    if actual.fault is not None:
        return line | {FAULT: [actual.fault.code, f"line {actual.line}: {actual.fault.detail}"]}
    if actual.quantity is None:
        return line | {FAULT: [FaultCode.MISSING_FIELD, f"line {actual.line}: {actual.use} without a quantity"]}
    return line | {counted_as: actual.quantity.value, "unit": actual.quantity.unit}


def _spent(segment: Segment, unit: str) -> Line:
    """Return the scrap, rework and times of a segment; all its quantities are in one unit."""
    line: Line = {}
    for name, counted_as in ((SCRAP, "scrap"), (REWORK, "rework")):
        if (datum := segment.data.get(name)) is None:
            continue
        if code_of(datum.unit) != code_of(unit):
            detail = f"line {segment.line}: {name} is in {shown(datum.unit)}, the rest of the segment in {shown(unit)}"
            return {FAULT: [FaultCode.UNKNOWN_UNIT, detail]}
        line[counted_as] = datum.value
    if (reason := segment.data.get(SCRAP_REASON)) is not None:
        line["reason"] = reason.value
    times = (
        ("setup", [used for used in segment.equipment if used.use == SETUP]),
        ("machine", [used for used in segment.equipment if used.use != SETUP]),
        ("labour", segment.persons),
    )
    try:
        return line | {name: seconds for name, used in times if (seconds := _seconds(used))}
    except Refusal as refusal:
        return {FAULT: [refusal.code, f"line {segment.line}: {refusal.detail}"]}


def _seconds(resources: Iterable[ResourceActual]) -> str:
    """Return the sum of what is stated in a unit of time, as decimal seconds; empty where nothing is."""
    stated = [resource.quantity for resource in resources if resource.quantity is not None]
    total_us = sum(us for time in stated if (us := microseconds(time)) is not None)
    return f"{total_us // 10**6}.{total_us % 10**6:06d}" if total_us else ""
