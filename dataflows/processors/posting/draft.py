"""A draft: a posting before it has passed the gate and the checks, and before it has a number.

Source: DESIGN law 4; docs/decisions/0015.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from canonical.contracts import Confirmation, Lane, Movement, PostingKind


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be posted, in the plant's words; the desk checks it, maps it to its ERP and gives it a number.

    ``cause`` identifies it among all drafts of its kind: the posting id of a confirmation, or the keys of what was
    gathered. ``causes`` are the ids of the confirmations and events it accounts for. Instants are UTC microseconds,
    quantities thousandths of ``unit``. ``movement_operations`` are the operations of the movements, where they tell.
    ``source`` is who counted it, where one source did. ``unattributed``: its order is still to be found.
    """

    cause: str
    kind: PostingKind
    lane: Lane
    plant: str
    document_date: date
    start_us: int
    end_us: int
    order: str = ""
    operation: str = ""
    work_center: str = ""
    material: str = ""
    lot: str = ""
    reason: str = ""
    unit: str = "H87"
    shift: str = ""
    good: int = 0
    scrap: int = 0
    rework: int = 0
    setup_us: int = 0
    machine_us: int = 0
    labour_us: int = 0
    final: bool = False
    movements: tuple[Movement, ...] = ()
    movement_operations: tuple[str, ...] = ()
    reverses: str = ""
    causes: tuple[str, ...] = ()
    correlation_id: str = ""
    source: str = ""
    unattributed: bool = False


def confirmed(confirmation: Confirmation) -> Draft:
    """Return what a confirmation asks to be posted."""
    name = str(confirmation.posting_id)
    return Draft(
        cause=name,
        kind=PostingKind.CONFIRMATION,
        lane=Lane.STANDARD,
        plant=confirmation.plant,
        document_date=confirmation.posting_date,
        start_us=confirmation.first_occurred_us,
        end_us=confirmation.last_occurred_us,
        order=confirmation.order,
        operation=confirmation.operation,
        work_center=confirmation.work_center,
        material=confirmation.material,
        lot=confirmation.lot,
        reason=confirmation.reason,
        unit=confirmation.unit,
        shift=confirmation.shift,
        good=confirmation.good,
        scrap=confirmation.scrap,
        rework=confirmation.rework,
        setup_us=confirmation.setup_us,
        machine_us=confirmation.machine_us,
        labour_us=confirmation.labour_us,
        final=confirmation.final,
        causes=(name,),
        correlation_id=name,
        source=confirmation.source,
    )


def counted_by(draft: Draft) -> str:
    """Return the source whose count of pieces it is; empty where it counts none, as of times alone."""
    return draft.source if draft.good or draft.scrap or draft.rework else ""
