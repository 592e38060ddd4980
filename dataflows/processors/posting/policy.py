"""How postings are decided: timeouts, rules and bounds, each a field with its unit last in its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from canonical.contracts import Confirmation, ConfirmationKind, ExceptionCode, Lane, PostingKind
from dataflows.processors.posting.gathering import GatheringPolicy
from dataflows.processors.posting.presence import AttributionPolicy

NOT_POSTED: Final = "analytics-only"
"""Instead of a lane: such postings are not made."""


class Sort(StrEnum):
    """What the table of lanes knows: the kinds of postings, confirmations told apart."""

    CONFIRMATION = PostingKind.CONFIRMATION
    COMPLETION = "completion"  # a confirmation that ends its operation
    SUPPLEMENTARY = "supplementary"  # one of late events
    GOODS_ISSUE = PostingKind.GOODS_ISSUE
    GOODS_RECEIPT = PostingKind.GOODS_RECEIPT
    STOCK_TRANSFER = PostingKind.STOCK_TRANSFER
    REVERSAL = PostingKind.REVERSAL


LANES: Final[Mapping[Sort, Lane]] = {
    Sort.CONFIRMATION: Lane.STANDARD,
    Sort.COMPLETION: Lane.CRITICAL,
    Sort.SUPPLEMENTARY: Lane.BULK,
    Sort.GOODS_ISSUE: Lane.CRITICAL,
    Sort.GOODS_RECEIPT: Lane.STANDARD,
    Sort.STOCK_TRANSFER: Lane.STANDARD,
    Sort.REVERSAL: Lane.CRITICAL,
}
"""Where the settings say nothing else (M16)."""


@dataclass(frozen=True, slots=True)
class PostingPolicy:
    """How postings are decided.

    ``release_timeout_us``: so long a confirmation waits for its order's release before it is an exception.
    ``quality_timeout_us``: so long a receipt waits for its lot's release before it goes to quality stock.
    ``patience_us``: so long anything else may be amiss before it is an exception; streams that arrive a little
    apart settle it by themselves. ``unchecked`` are checks that are left out. ``operation_from``: whose word on the
    operation counts, where the confirmation has one. ``closed_period``: what becomes of a day whose period is closed.
    ``lanes``: the lane of each sort, or ``NOT_POSTED``. ``owners``: for each kind of reference record or event the
    systems that may tell of it; a kind that is not named is anybody's. ``resident``: the ERPs that may receive what a
    plant makes; of one that is not named, any. ``backflushed``: what becomes of consumption of
    components that the ERP issues itself: it is left out and counted, or waits as an exception.
    """

    release_timeout_us: int = 4 * 3_600_000_000
    quality_timeout_us: int = 24 * 3_600_000_000
    patience_us: int = 60_000_000
    unchecked: frozenset[ExceptionCode] = frozenset()
    operation_from: Literal["confirmation", "table"] = "confirmation"
    closed_period: Literal["shift", "exception"] = "shift"
    lanes: Mapping[Sort, str] = field(default_factory=lambda: dict(LANES))
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resident: Mapping[str, frozenset[str]] = field(default_factory=dict)
    backflushed: Literal["count", "exception"] = "count"
    gathering: GatheringPolicy = field(default_factory=GatheringPolicy)
    attribution: AttributionPolicy = field(default_factory=AttributionPolicy)
    waiting_max: int = 200_000
    orders_max: int = 200_000
    lots_max: int = 200_000
    references_max: int = 1_000_000
    exceptions_max: int = 20_000
    remembered_max: int = 100_000
    actions_max: int = 10_000
    commands_max: int = 10_000

    def patience_of_us(self, code: ExceptionCode) -> int:
        """Return how long this may be amiss before it is an exception."""
        match code:
            case ExceptionCode.ORDER_NOT_RELEASED:
                return self.release_timeout_us
            case ExceptionCode.QUALITY_RELEASE_MISSING:
                return self.quality_timeout_us
            case ExceptionCode.NO_ORDER_ACTIVE | ExceptionCode.ORDER_AMBIGUOUS:
                return self.attribution.settle_us
            case _:
                return self.patience_us


def sort_of(confirmation: Confirmation) -> Sort:
    """Return what the table of lanes calls a confirmation."""
    if confirmation.kind is ConfirmationKind.SUPPLEMENTARY:
        return Sort.SUPPLEMENTARY
    return Sort.COMPLETION if confirmation.final else Sort.CONFIRMATION
