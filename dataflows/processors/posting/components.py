"""Components: what was consumed, held against the order's bill of material.

Laws: each line of a draft is issued, backflushed or unknown, with all of its quantity. What the ERP issues itself when
an operation is confirmed is never issued a second time. The same draft and bill give the same issue.

A material that stands in several items of the bill is of the item of the line's operation, else of one for any
operation, else of the first.

Source: M13, M17, M18; DOMAIN 2.1 (component rule ``noneIfBackflushed``), 3.7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from canonical.contracts import ExceptionCode, Movement, OrderComponent
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.reference_book import ReferenceBook

ISSUE: Final = "261"


@dataclass(frozen=True, slots=True)
class Issue:
    """What becomes of the lines of a draft; ``planned`` are the components of ``movements``, in their order."""

    movements: tuple[Movement, ...]
    planned: tuple[OrderComponent, ...]
    backflushed: tuple[Movement, ...]
    unknown: tuple[Movement, ...]


def issue(draft: Draft, components: tuple[OrderComponent, ...]) -> Issue:
    """Return what becomes of the lines of a goods issue in the plant's words; bins stay where they stand."""
    movements: list[Movement] = []
    planned: list[OrderComponent] = []
    backflushed: list[Movement] = []
    unknown: list[Movement] = []
    operations = draft.movement_operations or (draft.operation,) * len(draft.movements)
    for told, operation in zip(draft.movements, operations, strict=True):
        movement = told.model_copy(update={"movement_type": ISSUE})
        component = component_of(movement.material, operation, components)
        if component is None:
            unknown.append(movement)
        elif component.backflush:
            backflushed.append(movement)
        else:
            reserved = {"reservation": component.reservation, "reservation_item": component.item}
            movements.append(movement.model_copy(update=reserved))
            planned.append(component)
    return Issue(tuple(movements), tuple(planned), tuple(backflushed), tuple(unknown))


def component_of(material: str, operation: str, components: tuple[OrderComponent, ...]) -> OrderComponent | None:
    """Return the item of the bill that a material used at an operation is of."""
    of_material = [component for component in components if component.material == material]
    for wanted in (operation, ""):
        for component in of_material:
            if component.operation == wanted:
                return component
    return of_material[0] if of_material else None


def taken_from(draft: Draft, issue: Issue, book: ReferenceBook) -> Draft | Failure:
    """Return the issue's lines with places: that of the bin a line names, else that its item is planned from (M13).

    Lines of unknown components are among them: who lets them through wants them issued.
    """
    movements = []
    places = (*(component.storage_location for component in issue.planned), *("" for _ in issue.unknown))
    for movement, location in zip((*issue.movements, *issue.unknown), places, strict=True):
        bin_, stock_type = movement.storage_location, movement.stock_type
        if bin_:
            place = book.bin(draft.plant, bin_, draft.end_us)
            if place is None:
                return bin_unmapped(draft, bin_)
            location, stock_type = place.storage_location, place.stock_type  # noqa: PLW2901 - where it really was
        movements.append(movement.model_copy(update={"storage_location": location, "stock_type": stock_type}))
    return replace(draft, movements=tuple(movements), movement_operations=())


def component_unknown(draft: Draft, movement: Movement) -> Failure:
    """Return the failure of a line whose material is not in the order's bill of material."""
    material = movement.material
    return Failure(
        ExceptionCode.COMPONENT_UNKNOWN,
        (("plant", draft.plant), ("order", draft.order), ("material", material)),
        f"order {draft.order} has no component {material or '(none)'}, of which {movement.quantity / 1000:g} "
        f"{movement.unit} were consumed",
        "add the component to the order, or release to issue it without a reservation",
    )


def component_backflushed(draft: Draft, movement: Movement) -> Failure:
    """Return the failure of a line that the ERP issues itself."""
    material = movement.material
    return Failure(
        ExceptionCode.COMPONENT_BACKFLUSHED,
        (("plant", draft.plant), ("order", draft.order), ("material", material)),
        f"the ERP issues {material} of order {draft.order} itself when the operation is confirmed",
        "discard, or take the mark off the component",
    )


def bin_unmapped(draft: Draft, bin_: str) -> Failure:
    """Return the failure of a line whose bin is not in the reference data."""
    return Failure(
        ExceptionCode.BIN_UNMAPPED,
        (("plant", draft.plant), ("item", bin_)),
        f"no storage location is named for bin {bin_ or '(none)'} of plant {draft.plant}",
        "add the bin to the reference data, or correct it there",
    )
