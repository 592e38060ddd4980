"""A draft: a posting before it has passed the gate and the checks, and before it has a number.

Source: DESIGN law 4; docs/decisions/0015.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from canonical.contracts import Lane, Movement, PostingKind


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be posted, in the plant's words; the desk checks it, maps it to its ERP and gives it a number.

    ``cause`` identifies it among all drafts of its kind: the posting id of a confirmation, or the keys of what was
    gathered. ``causes`` are the ids of the confirmations and events it accounts for. Instants are UTC microseconds,
    quantities thousandths of ``unit``. ``movement_operations`` are the operations of the movements, where they tell.
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
