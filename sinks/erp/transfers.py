"""Transfers of stock, as ERPs see them that know no movement types: from a place and stock type to another.

Law: a transfer and the posting that takes it back have their ends changed.
Source: M13, M19, M30; DOMAIN 3.7 (movement types).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType
from sinks.erp.unmappable import Unmappable

TYPES: Final = frozenset({"311", "321", "322", "323", "325", "343", "344", "349", "350"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where stock lies, and as what."""

    storage_location: str
    stock_type: StockType


@dataclass(frozen=True, slots=True)
class Transfer:
    """So much of ``line``'s material and lot, from one place to another."""

    line: Movement
    source: Place
    target: Place


def transfer(posting: Posting) -> Transfer | None:
    """Return the transfer that a posting is; None where it is something else.

    Raises: Unmappable where it is more than one, which these ERPs could make in part.
    """
    back = posting.kind is PostingKind.REVERSAL
    if not (back or posting.kind is PostingKind.STOCK_TRANSFER) or not posting.movements:
        return None
    first = posting.movements[0]
    if back and str(int(first.movement_type) - 1) not in TYPES:
        return None
    if len(posting.movements) > 1:
        raise Unmappable("movement", "a transfer of several lines cannot be made whole or not at all; post one each")
    here = Place(first.storage_location, first.stock_type)
    there = Place(first.to_storage_location or first.storage_location, first.to_stock_type)
    return Transfer(first, there, here) if back else Transfer(first, here, there)
