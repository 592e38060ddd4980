"""What Oracle has booked of a posting, as its history of transactions tells it.

Law: ``compared`` says of each detail of a posting whether it is booked, whatever was booked and taken back before it.

Source: M26; DOMAIN 3.8.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import orjson

from canonical.units import QuantityError, thousandths
from sinks.erp.oracle_payload import Detail, opposite
from sinks.erp.oracle_replies import Item, children


def compared(details: Sequence[Detail], rows: Sequence[Item]) -> dict[int, str] | None:
    """Return the TransactionId of each detail that is booked, by its place; None where rows fit no detail.

    Rows have the fields of the details that made them, in the order in which they were made.
    """
    # As they travel, since that is how they come back.
    sent: list[Detail] = orjson.loads(orjson.dumps(list(details)))
    wanted = defaultdict(list)
    for number, detail in enumerate(sent):
        wanted[_what(detail)].append(number)
    back = {_what(opposite(detail)): _what(detail) for detail in sent}
    booked: defaultdict[Hashable, list[str]] = defaultdict(list)
    for row in rows:
        what = _what(row)
        if what in wanted:
            booked[what].append(str(row.get("TransactionId", "")))
        elif what in back and booked[back[what]]:
            booked[back[what]].pop()
        else:
            return None
    if any(len(found) > len(wanted[what]) for what, found in booked.items()):
        return None
    return {
        number: document
        for what, numbers in wanted.items()
        for number, document in zip(numbers, booked[what], strict=False)
    }


def _what(detail: Mapping[str, Any]) -> Hashable:
    """Return what a detail does, and how much of it."""
    lots = tuple((str(lot.get("LotNumber", "")), _amount(lot)) for lot in children(detail, "TransactionLot"))
    names = ("FromDispatchState", "ToDispatchState", "TransactionTypeCode", "InventoryItemNumber", "SubinventoryCode")
    texts = tuple(str(detail.get(name) or "") for name in names)
    return (*texts, detail.get("WoOperationSequenceNumber"), _amount(detail), lots)


def _amount(row: Mapping[str, Any]) -> int | None:
    value = row.get("TransactionQuantity")
    try:
        return thousandths(value) if isinstance(value, int | float) else None
    except QuantityError:
        return None
