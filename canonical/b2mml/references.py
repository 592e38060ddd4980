"""Reference data of a document: orders, materials and lots, each by itself sound or at fault.

Law: one record or one fault for each request, material and lot that is spoken of; a faulty one stops no other. A
document of production says nothing of that kind, and is at fault as a whole, as is one that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from canonical.b2mml.document import Document, read_document
from canonical.b2mml.element import Element
from canonical.b2mml.materials import DEFINITION, LOTS, lot_status, material, spoken_of
from canonical.b2mml.orders import REQUESTS, order
from canonical.b2mml.refusal import DocumentFault, Refusal
from canonical.b2mml.terms import Terms
from canonical.contracts.fault import FaultCode
from canonical.contracts.reference import LotReference, MaterialReference, OrderReference

B2mmlReference = OrderReference | MaterialReference | LotReference


@dataclass(frozen=True, slots=True)
class References:
    """What a document says of orders, materials and lots, in its order."""

    records: tuple[B2mmlReference, ...] = ()
    faults: tuple[DocumentFault, ...] = ()


def read_references(data: bytes, terms: Terms) -> References:
    """Return the reference records of a document, and what in it could not be used; a question has neither."""
    try:
        document = read_document(data)
        if "Performance" in document.noun:
            raise Refusal(  # noqa: TRY301, a document of another kind is refused as one that cannot be read
                FaultCode.UNKNOWN_TYPE,
                f"{document.noun} tells what was done and is no reference data; drop it into the folder of its plant",
            )
    except Refusal as refusal:
        return References(faults=(DocumentFault(refusal.code, refusal.detail),))
    records: list[B2mmlReference] = []
    faults: list[DocumentFault] = []
    for element, read in _readings(document, terms) if document.says else ():
        try:
            records.append(read())
        except Refusal as refusal:
            faults.append(DocumentFault(refusal.code, refusal.detail, element.line))
    return References(tuple(records), tuple(faults))


def _readings(document: Document, terms: Terms) -> Iterator[tuple[Element, Callable[[], B2mmlReference]]]:
    """Yield each thing the document speaks of, and how it is read."""
    for item in document.items:
        for request in item.all(*REQUESTS):
            yield request, partial(order, document, request, terms)
        around = item.value("ID") if document.noun == "MaterialInformation" else ""
        for definition in (item,) if document.noun == DEFINITION else item.all(DEFINITION):
            yield definition, partial(material, document, definition, terms)
        for lot in (item,) if document.noun in LOTS else item.all(*LOTS):
            for found, of in spoken_of(lot, around):
                yield found, partial(lot_status, document, found, of, terms)
