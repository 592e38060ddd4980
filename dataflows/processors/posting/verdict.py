"""What an examination of a case comes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from canonical.contracts import OrderReference, UnpostedState
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure


@dataclass(frozen=True, slots=True)
class Ready:
    """What passed all checks: a draft as the ERP says it. ``received`` is the order, where its product is received."""

    draft: Draft
    erp: str
    erp_plant: str
    posting_date: date
    received: OrderReference | None = None


@dataclass(frozen=True, slots=True)
class RuledOut:
    """Not to be posted by rule, for this reason; ``state`` is what it is told as."""

    why: str
    state: UnpostedState = UnpostedState.RULED_OUT


@dataclass(frozen=True, slots=True)
class Attributed:
    """Not told of an order, and there is one that was at its work centre: the draft as that order's."""

    draft: Draft


Verdict = tuple[Ready, ...] | Failure | RuledOut | Attributed
