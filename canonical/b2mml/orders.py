"""Schedules: production requests become orders with their operations and components.

- A segment with a name is an operation. It comes after those inside it, since it is complete when they are; its name is
  its ID, else the operations, product or process segment it is. What an unnamed one uses is used by the one around it.
  A segment of which nothing is said but what is allocated to it is no operation.
- A material that is *consumed* is a component. One without a use is no more than allocated (a container that stands
  ready), and consumables and samples are not issued: they are no components.
- The product is the outermost material that is *produced*; by-products and co-products are not.
- A request without a state was sent to be made: it is released.

Source: ISA-95 part 2; B2MML ProductionSchedule (V0401 to V0600), OperationsSchedule (V0500 to V0700); M10, M11.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

from canonical.b2mml.document import Document
from canonical.b2mml.element import Element
from canonical.b2mml.refusal import Refusal, shown
from canonical.b2mml.terms import Terms
from canonical.b2mml.values import instant_us, key, quantity, thousandths_of, unit_code
from canonical.contracts.fault import FaultCode
from canonical.contracts.reference import OrderComponent, OrderOperation, OrderReference, OrderStatus

REQUESTS: Final = ("ProductionRequest", "OperationsRequest")
SEGMENTS: Final = ("SegmentRequirement", "SegmentRequirementChild")
CONSUMED: Final = ("Consumed", "Material Consumed")
PRODUCED: Final = ("Produced", "Yield Produced", "Material Produced")

_NAMES: Final = ("ID", "OperationsSegmentID", "ProductSegmentID", "ProcessSegmentID")
_MATERIALS: Final = {
    "MaterialRequirement": "",
    "MaterialConsumedRequirement": CONSUMED[0],
    "MaterialProducedRequirement": PRODUCED[0],
}
"""Elements that name a material, and the use that the name of the element states."""


def order(document: Document, request: Element, terms: Terms) -> OrderReference:
    """Return the order that a request is. Raises: Refusal."""
    number = key(request.value("ID"), "the ID of the request")
    if not number:
        raise Refusal(FaultCode.MISSING_FIELD, "the request has no ID")
    material, made, unit = _product(request, terms)
    operations: dict[str, OrderOperation] = {}
    components: list[OrderComponent] = []
    for segment in request.all(*SEGMENTS):
        _take(segment, "", made, terms, operations, components)
    items = [component.item for component in components]
    if len(items) != len(set(items)):
        twice = next(item for item in items if items.count(item) > 1)
        raise Refusal(FaultCode.MALFORMED, f"order {number}: two components have the item {shown(twice)}")
    return OrderReference(
        erp=terms.erp,
        plant=terms.plant,
        order=number,
        status=_status(request, terms),
        changed_us=instant_us(document.created, "CreationDateTime", ZoneInfo(terms.time_zone)),
        deleted=document.withdrawn,
        material=material,
        quantity=made,
        unit=unit,
        operations=tuple(operations.values()),
        components=tuple(components),
    )


def place(element: Element) -> str:
    """Return where a material lies or a segment is worked at, in the words of any release; empty where it is not said.

    Of a hierarchy it is the innermost.
    """
    stated = element.first("StorageLocation", "Location", "HierarchyScope")
    name = ""
    while stated is not None:
        inner = stated.first("Location", "LocationChild", "HierarchyScopeChild")
        name = stated.value("EquipmentID") or (stated.text if not stated.children else "") or name
        stated = inner
    return name


def _status(request: Element, terms: Terms) -> OrderStatus:
    state = request.value("RequestState")
    if not state:
        return OrderStatus.RELEASED
    if state not in terms.order_states:
        raise Refusal(
            FaultCode.WRONG_TYPE, f"the request state {shown(state)} is none of {', '.join(terms.order_states)}"
        )
    return terms.order_states[state]


def _product(request: Element, terms: Terms) -> tuple[str, int, str]:
    """Return the material made, how much in thousandths, and the unit."""
    level = list(request.all(*SEGMENTS))
    while level:
        for segment in level:
            for use, requirement in _requirements(segment):
                if use in PRODUCED:
                    material = key(requirement.value("MaterialDefinitionID"), "the material produced")
                    return (material, *_amount(requirement, material, terms))
        level = [inner for segment in level for inner in segment.all(*SEGMENTS)]
    return "", 0, terms.unit


def _take(
    segment: Element,
    around: str,
    made: int,
    terms: Terms,
    operations: dict[str, OrderOperation],
    components: list[OrderComponent],
) -> None:
    """Add a segment and those inside it."""
    name = key(segment.value(*_NAMES), "the name of a segment")
    used_by = name or around
    for use, requirement in _requirements(segment):
        if use in CONSUMED:
            components.append(_component(requirement, used_by, len(components) + 1, terms))
    for inner in segment.all(*SEGMENTS):
        _take(inner, used_by, made, terms, operations, components)
    uses = [use for use, _ in _requirements(segment)]
    if name and (any(uses) or not uses):
        operations.pop(name, None)  # Named twice it is one operation, at its last place.
        operations[name] = OrderOperation(operation=name, work_center=_work_center(segment, terms), quantity=made)


def _requirements(segment: Element) -> Iterator[tuple[str, Element]]:
    """Yield the materials of a segment with their use."""
    for requirement in segment.all(*_MATERIALS):
        yield _MATERIALS[requirement.name] or requirement.value("MaterialUse"), requirement


def _component(requirement: Element, operation: str, ordinal: int, terms: Terms) -> OrderComponent:
    material = key(requirement.value("MaterialDefinitionID"), "the material consumed")
    if not material:
        raise Refusal(FaultCode.MISSING_FIELD, f"line {requirement.line}: a component names no material")
    item = value_of(requirement.all("MaterialRequirementProperty"), terms.item_property)
    required, unit = _amount(requirement, material, terms)
    return OrderComponent(
        item=key(item or requirement.value("ID") or f"{ordinal:04d}", f"the item of {material}"),
        material=material,
        operation=operation,
        quantity=required,
        unit=unit,
        storage_location=key(place(requirement), f"the place of {material}"),
    )


def _amount(requirement: Element, material: str, terms: Terms) -> tuple[int, str]:
    """Return how much of a material, in thousandths, and its unit; nothing said is nothing required."""
    stated = quantity(requirement, material)
    if stated is None:
        return 0, terms.unit
    return thousandths_of(stated, material), unit_code(stated.unit, material, terms.units, terms.unit)


def _work_center(segment: Element, terms: Terms) -> str:
    equipment = next((found.value("EquipmentID") for found in segment.all("EquipmentRequirement")), "")
    if not equipment:
        parameters = [p for listed in segment.all("ProductionParameter") for p in listed.all("Parameter")]
        equipment = value_of((*parameters, *segment.all("SegmentParameter")), terms.work_center_parameter)
    return key(equipment or place(segment), "a work centre")


def value_of(properties: Iterable[Element], name: str) -> str:
    """Return the first value of the property or parameter of this ID; empty where there is none."""
    for found in properties:
        if found.value("ID") == name:
            value = found.first("Value")
            return "" if value is None else value.value("ValueString")
    return ""
