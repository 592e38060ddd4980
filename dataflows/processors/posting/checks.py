"""The checks that a draft passes before it becomes a posting, one function each (M10, M11, M13).

Law: a check depends on the draft, on what the reference book has in force, and on what the order has posted; never
on when it is asked, but for what the ERP takes now (order, lot, period). Each returns what it found, or a ``Failure``
with a stable code. What a check looks at is what a case that fails it waits for (``ReferenceBook.looked``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from canonical.contracts import (
    ExceptionCode,
    LotStatus,
    MaterialReference,
    Movement,
    OrderOperation,
    OrderReference,
    OrderStatus,
    PostingKind,
    RouteReference,
)
from dataflows.processors.posting.conversion import in_unit
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.lots import LotShelf
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.processors.posting.presence import Presence
from dataflows.processors.posting.reference_book import ReferenceBook, open_day

_C: Final = ExceptionCode


@dataclass(slots=True)
class View:
    """What the checks look at, as it is at an instant."""

    book: ReferenceBook
    lots: LotShelf
    policy: PostingPolicy
    presence: Presence
    now_us: int = 0


def route_of(draft: Draft, view: View) -> RouteReference | Failure:
    """Return the ERP of the plant at the draft's last event (M33), where that may receive what it makes (M50)."""
    route = view.book.route(draft.plant, draft.end_us)
    if route is not None:
        may = view.policy.resident.get(draft.plant)
        if may is None or route.erp in may:
            return route
        return Failure(
            _C.RESIDENCY_REFUSED,
            (("plant", draft.plant), ("erp", route.erp)),
            f"{route.erp} may not receive what plant {draft.plant} makes: erps.{route.erp}.residency lacks its region",
            "correct the plant's route, or the region of the ERP or of the mapping",
        )
    return Failure(
        _C.ROUTE_MISSING,
        (("plant", draft.plant),),
        f"no ERP is named for plant {draft.plant} at that time",
        "add a route record whose validity holds it",
    )


def order_of(draft: Draft, route: RouteReference, view: View) -> OrderReference | Failure:
    """Return the order, where it takes postings now (M10)."""
    plant, key = draft.plant, draft.order
    concerns = (("erp", route.erp), ("plant", plant), ("order", key))
    if not key:
        place = (("plant", plant), ("work_center", draft.work_center))
        return Failure(_C.ORDER_UNKNOWN, place, "it names no production order", "discard it, or correct its source")
    order = view.book.order(route.erp, plant, key, view.now_us)
    if order is None:
        if others := [erp for erp in view.book.elsewhere(plant, key) if erp != route.erp]:
            where = f"order {key} is in {', '.join(others)}, but plant {plant} posted to {route.erp} at that time"
            return Failure(_C.ORDER_UNKNOWN, concerns, where, "see the plant's routes")
        unseen = f"nothing has been seen of order {key}"
        return Failure(_C.ORDER_NOT_RELEASED, concerns, unseen, "release it in the ERP, or discard")
    if order.status is OrderStatus.RELEASED:
        return order
    code, remedy = _REFUSING[order.status]
    return Failure(code, concerns, f"order {key} is {order.status}", remedy)


_REFUSING: Final = {
    OrderStatus.CREATED: (_C.ORDER_NOT_RELEASED, "release it in the ERP"),
    OrderStatus.LOCKED: (_C.ORDER_LOCKED, "unlock it in the ERP"),
    OrderStatus.TECHNICALLY_COMPLETE: (_C.ORDER_CLOSED, "take the completion back in the ERP, or discard"),
    OrderStatus.CLOSED: (_C.ORDER_CLOSED, "post to another order by hand, and discard"),
    OrderStatus.DELETED: (_C.ORDER_DELETED, "post to another order by hand, and discard"),
}


def steps_of(draft: Draft, view: View) -> tuple[tuple[str, str], ...] | Failure:
    """Return the operations a completion confirms, each with its ERP's work centre, empty for the routing's (M13)."""
    if draft.operation and view.policy.operation_from == "confirmation":
        return ((draft.operation, draft.work_center),)
    step = view.book.step(draft.plant, draft.work_center, draft.material, draft.end_us)
    if step is not None:
        return tuple((operation, step.erp_work_center) for operation in step.operations)
    return Failure(
        _C.OPERATION_UNMAPPED,
        (("plant", draft.plant), ("work_center", draft.work_center)),
        f"no routing step is named for completions at work centre {draft.work_center}",
        "add a step record for it",
    )


def operation_of(draft: Draft, operation: str, order: OrderReference) -> OrderOperation | Failure:
    """Return the order's operation."""
    for known in order.operations:
        if known.operation == operation:
            return known
    return Failure(
        _C.OPERATION_UNKNOWN,
        (("plant", draft.plant), ("order", draft.order), ("operation", operation)),
        f"order {draft.order} has no operation {operation}",
        "correct the order's routing, or discard",
    )


def work_center_of(draft: Draft, work_center: str, view: View) -> str | Failure:
    """Return the work centre, where it is known."""
    if view.book.work_center(draft.plant, work_center, draft.end_us) is not None:
        return work_center
    return Failure(
        _C.WORK_CENTER_UNKNOWN,
        (("plant", draft.plant), ("work_center", work_center)),
        f"work centre {work_center or '(none)'} is not known in plant {draft.plant}",
        "add it to the reference data, or a step record that names the ERP's",
    )


def product_of(draft: Draft, order: OrderReference) -> str | Failure:
    """Return the material made, which is the order's."""
    if not (draft.material and order.material) or draft.material == order.material:
        return order.material or draft.material
    return Failure(
        _C.MATERIAL_WRONG,
        (("plant", draft.plant), ("order", draft.order), ("material", draft.material)),
        f"order {draft.order} makes {order.material}, not {draft.material}",
        "see which order the machine was told; discard, and post by hand",
    )


def material_of(draft: Draft, material: str, view: View) -> MaterialReference | Failure:
    """Return the material."""
    known = view.book.material(material, draft.end_us)
    if known is not None:
        return known
    return Failure(
        _C.MATERIAL_UNKNOWN,
        (("material", material),),
        f"material {material or '(none)'} is not known",
        "add it to the reference data",
    )


def lot_fault(draft: Draft, material: MaterialReference, lot: str, view: View) -> Failure | None:
    """Return why a lot cannot be used, if it cannot."""
    if not material.lot_managed:
        return None
    name = material.material
    if not lot:
        concerns = (("plant", draft.plant), ("order", draft.order), ("material", name))
        return Failure(
            _C.LOT_MISSING,
            concerns,
            f"material {name} is managed in lots, and none is named",
            "discard, and post by hand",
        )
    known = view.book.lot(name, lot, view.now_us)
    lot_of = (("material", name), ("lot", lot))
    if known is None:
        return Failure(_C.LOT_UNKNOWN, lot_of, f"lot {lot} of {name} is not known", "create it, or discard")
    usable = known.status is LotStatus.VALID or (
        known.status is LotStatus.RESTRICTED and draft.kind is not PostingKind.GOODS_ISSUE
    )
    if usable:
        return None
    return Failure(_C.LOT_NOT_VALID, lot_of, f"lot {lot} of {name} is {known.status}", "settle its status")


def reason_of(draft: Draft, view: View) -> str | Failure:
    """Return the ERP's word for why there is scrap."""
    if not (draft.scrap and draft.reason):
        return ""
    known = view.book.reason(draft.plant, draft.reason, draft.end_us)
    if known is not None:
        return known.erp_reason
    return Failure(
        _C.REASON_UNMAPPED,
        (("plant", draft.plant), ("item", draft.reason)),
        f"the ERP's word for reason {draft.reason} of plant {draft.plant} is not known",
        "add a reason record for it",
    )


def day_of(draft: Draft, erp: str, view: View) -> date | Failure:
    """Return the day it is posted to: its own, or the first day of the next open period by rule (M41)."""
    day = open_day(view.book.periods(erp, view.now_us), draft.document_date)
    if day == draft.document_date or (day is not None and view.policy.closed_period == "shift"):
        return day
    return Failure(
        _C.PERIOD_CLOSED,
        (("erp", erp), ("plant", draft.plant), ("item", draft.document_date.isoformat()[:7])),
        f"{draft.document_date} is in no period of {erp} that is open, and none is known to be the next open one",
        "open it, or tell all periods up to the next open one",
    )


def within_predecessor(draft: Draft, before: str, total: int, limit: int) -> Failure | None:
    """Return a failure where an operation would yield ``total``, more than the one before it has."""
    if not draft.good or total <= limit:
        return None
    return Failure(
        _C.YIELD_ABOVE_PREDECESSOR,
        (("plant", draft.plant), ("order", draft.order), ("operation", draft.operation)),
        f"operation {draft.operation} would yield {total} thousandths, and {before} before it has only {limit}",
        f"see what is missing of operation {before}, or release",
    )


def within_tolerance(draft: Draft, operation: OrderOperation, order: OrderReference, total: int) -> Failure | None:
    """Return a failure where more would be made than the order tolerates; ``total`` counts this one."""
    planned = operation.quantity or order.quantity
    if order.over_delivery is None or not planned or not draft.good:
        return None
    limit = planned + planned * order.over_delivery // 1000
    if total <= limit:
        return None
    return Failure(
        _C.OVER_DELIVERY,
        (("plant", draft.plant), ("order", draft.order), ("operation", operation.operation)),
        f"operation {operation.operation} would yield {total} thousandths, and {limit} are tolerated",
        "raise the order's quantity or tolerance, release, or discard",
    )


def predecessor(operation: str, order: OrderReference) -> str | None:
    """Return the operation before it whose yield is posted; a milestone posts those before it with its own."""
    found = None
    for known in order.operations:
        if known.operation == operation:
            return found
        if not confirmed_by_milestone(known, order):
            found = known.operation
    return None


def confirmed_by_milestone(operation: OrderOperation, order: OrderReference) -> bool:
    """Return whether a later operation's confirmation confirms this one too."""
    return bool(operation.confirmed_by) and any(known.operation == operation.confirmed_by for known in order.operations)


def counts(source: str, operation: OrderOperation, order: OrderReference) -> bool:
    """Return whether what this source counts of the operation is posted; where none is named, all of it is."""
    sources = operation.counting_sources or order.counting_sources
    return not (source and sources) or source in sources


def movement_fault(draft: Draft, movement: Movement, view: View) -> Failure | None:
    """Return why a line cannot be posted: its material, its lot or its unit."""
    material = material_of(draft, movement.material, view)
    if isinstance(material, Failure):
        return material
    if fault := lot_fault(draft, material, movement.lot, view):
        return fault
    quantities = in_unit(draft, (movement.quantity,), movement.unit, material.base_unit, material)
    return quantities if isinstance(quantities, Failure) else None


def not_released(draft: Draft) -> Failure:
    """Return the failure of a receipt whose lot the quality system has not released yet (M19)."""
    return Failure(
        _C.QUALITY_RELEASE_MISSING,
        (("material", draft.material), ("lot", draft.lot)),
        f"lot {draft.lot or '(none)'} of {draft.material} has not been released by the quality system",
        "decide on the lot there",
    )
