"""Performances: what each segment of a response says was used, made and spent.

Names of several releases are read alike: a response names its request, or where it names none, as responses of V0401
may, its own ID is that of the order. A segment is the operation that the schedule's segment was
(``canonical.b2mml.orders``): the requirement it names, else a segment of a definition, else its own ID; one inside
another without a name of its own is part of that.

Source: B2MML ProductionPerformance (V0401 to V0600), OperationsPerformance (V0500 to V0700); ISA-95 part 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from canonical.b2mml.document import Document
from canonical.b2mml.element import Element
from canonical.b2mml.orders import CONSUMED, PRODUCED, place
from canonical.b2mml.refusal import DocumentFault, Refusal
from canonical.b2mml.values import Quantity, quantity

RESPONSES: Final = ("ProductionResponse", "OperationsResponse")
SEGMENTS: Final = ("SegmentResponse", "SegmentResponseChild")
DATA: Final = ("ProductionData", "SegmentData")

_NAMES: Final = ("SegmentRequirementID", "OperationsSegmentID", "ProductSegmentID", "ProcessSegmentID", "ID")
_ORDER: Final = ("ProductionRequestID", "OperationsRequestID")
_MATERIALS: Final = {
    "MaterialActual": "",
    "MaterialConsumedActual": CONSUMED[0],
    "MaterialProducedActual": PRODUCED[0],
}


@dataclass(frozen=True, slots=True)
class MaterialActual:
    """A material used or made, in the document's words; ``fault`` says what makes it unusable."""

    line: int
    use: str
    material: str
    lot: str
    sub_lot: str
    place: str
    quantity: Quantity | None
    properties: Mapping[str, str]
    fault: DocumentFault | None = None


@dataclass(frozen=True, slots=True)
class ResourceActual:
    """Equipment or a person, and how much of it was used."""

    name: str
    use: str
    quantity: Quantity | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a response, in the document's words; empty where nothing is said."""

    line: int
    response: str
    order: str
    operation: str
    state: str
    site: str
    started: str
    ended: str
    posting_date: str
    data: Mapping[str, Quantity]
    equipment: tuple[ResourceActual, ...]
    persons: tuple[ResourceActual, ...]
    materials: tuple[MaterialActual, ...]

    @property
    def work_center(self) -> str:
        """The first equipment that is named."""
        return next((used.name for used in self.equipment if used.name), "")

    @property
    def person(self) -> str:
        """The first person that is named."""
        return next((used.name for used in self.persons if used.name), "")


def segments(document: Document) -> Iterator[Segment]:
    """Yield the segments of a performance, those inside others behind them.

    What is wrong with the amount of a material is told with it; the amount of a resource is left out then.
    """
    for performance in document.items:
        for response in performance.all(*RESPONSES):
            ended = response.value("EndTime") or performance.value("EndTime", "Endtime")
            for segment in response.all(*SEGMENTS):
                yield from _inside(response, segment, "", response.value(*_ORDER, "ID"), ended)


def _inside(response: Element, segment: Element, around: str, order: str, ended: str) -> Iterator[Segment]:
    operation = segment.value(*_NAMES) or around
    own = segment.value(*_ORDER) or order
    until = segment.value("ActualEndTime", "ActualStartTime") or ended
    yield Segment(
        line=segment.line,
        response=response.value("ID"),
        order=own,
        operation=operation,
        state=segment.value("SegmentState") or response.value("ResponseState"),
        site=place(response),
        started=segment.value("ActualStartTime"),
        ended=until,
        posting_date=segment.value("PostingDate"),
        data=dict(_data(segment)),
        equipment=tuple(_resource(used, "Equipment") for used in segment.all("EquipmentActual")),
        persons=tuple(_resource(used, "Person") for used in segment.all("PersonnelActual")),
        materials=tuple(_material(actual) for actual in segment.all(*_MATERIALS)),
    )
    for inner in segment.all(*SEGMENTS):
        yield from _inside(response, inner, operation, own, until)


def _data(segment: Element) -> Iterator[tuple[str, Quantity]]:
    for datum in segment.all(*DATA):
        value = datum.first("Value")
        if value is not None:
            yield datum.value("ID"), Quantity(value.value("ValueString"), value.value("UnitOfMeasure"))


def _resource(used: Element, kind: str) -> ResourceActual:
    try:
        amount = quantity(used, used.name)
    except Refusal:
        amount = None
    return ResourceActual(
        used.value(f"{kind}ID"), used.value("EquipmentUse" if kind == "Equipment" else "PersonnelUse"), amount
    )


def _material(actual: Element) -> MaterialActual:
    material = actual.value("MaterialDefinitionID")
    amount, fault = None, None
    try:
        amount = quantity(actual, material or actual.name)
    except Refusal as refusal:
        fault = DocumentFault(refusal.code, refusal.detail, actual.line)
    properties = {
        stated.value("ID"): value.value("ValueString")
        for stated in actual.all("MaterialActualProperty")
        if (value := stated.first("Value")) is not None
    }
    return MaterialActual(
        line=actual.line,
        use=_MATERIALS[actual.name] or actual.value("MaterialUse"),
        material=material,
        lot=actual.value("MaterialLotID"),
        sub_lot=actual.value("MaterialSubLotID"),
        place=place(actual),
        quantity=amount,
        properties=properties,
        fault=fault,
    )
