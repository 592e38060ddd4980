"""Material documents: definitions become materials, lots and sublots become lots.

- A sublot is a lot of its own to whoever names it, and has its own status.
- A lot without a status is not spoken of: only its sublots are.
- A lot counts until the day it expires; then nothing says any more that it is valid.
- A lot that names no material is one of the material whose information it stands in.

Source: ISA-95 part 2; B2MML Material, V0401 to V0700; M06, M11, A15.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from canonical.b2mml.document import Document
from canonical.b2mml.element import Element
from canonical.b2mml.orders import value_of
from canonical.b2mml.refusal import Refusal, shown
from canonical.b2mml.terms import Terms
from canonical.b2mml.values import instant_us, key, unit_code
from canonical.contracts.fault import FaultCode
from canonical.contracts.reference import LotReference, LotStatus, MaterialReference

DEFINITION: Final = "MaterialDefinition"
LOTS: Final = ("MaterialLot", "MaterialSubLot")


def material(document: Document, definition: Element, terms: Terms) -> MaterialReference:
    """Return the material that is defined. Raises: Refusal."""
    name = key(definition.value("ID"), "the ID of the material")
    if not name:
        raise Refusal(FaultCode.MISSING_FIELD, "the material has no ID")
    unit = value_of(definition.all("MaterialDefinitionProperty"), terms.unit_property)
    from_us, to_us = _validity(definition, terms, "")
    return MaterialReference(
        material=name,
        base_unit=unit_code(unit, f"the base unit of {name}", terms.units, terms.unit),
        changed_us=instant_us(document.created, "CreationDateTime", ZoneInfo(terms.time_zone)),
        deleted=document.withdrawn,
        valid_from_us=from_us,
        valid_to_us=to_us,
    )


def spoken_of(lot: Element, around: str) -> Iterator[tuple[Element, str]]:
    """Yield the lot and its sublots that have a status, each with its material as far as that is said."""
    of = lot.value("MaterialDefinitionID") or around
    if _state(lot):
        yield lot, of
    for inner in lot.all("MaterialSubLot"):
        yield from spoken_of(inner, of)


def lot_status(document: Document, lot: Element, of: str, terms: Terms) -> LotReference:
    """Return what is said of a lot. Raises: Refusal."""
    name = key(lot.value("ID"), "the ID of the lot")
    for text, what in ((name, "the lot has no ID"), (of, f"lot {name} names no material")):
        if not text:
            raise Refusal(FaultCode.MISSING_FIELD, what)
    from_us, to_us = _validity(lot, terms, value_of(lot.all("MaterialLotProperty"), terms.expiry_property))
    return LotReference(
        material=key(of, f"the material of lot {name}"),
        lot=name,
        status=_status(lot, name, terms),
        changed_us=instant_us(document.created, "CreationDateTime", ZoneInfo(terms.time_zone)),
        deleted=document.withdrawn,
        valid_from_us=from_us,
        valid_to_us=to_us,
    )


def _state(lot: Element) -> str:
    return lot.value("Status", "Disposition")


def _status(lot: Element, name: str, terms: Terms) -> LotStatus:
    state = _state(lot)
    if state not in terms.lot_states:
        raise Refusal(
            FaultCode.WRONG_TYPE, f"lot {name}: the status {shown(state)} is none of {', '.join(terms.lot_states)}"
        )
    return terms.lot_states[state]


def _validity(element: Element, terms: Terms, expiry: str) -> tuple[int, int | None]:
    """Return when the record holds: from its effective date to the earlier of its end and the expiry."""
    zone = ZoneInfo(terms.time_zone)
    start = element.value("EffectiveStartDate")
    ends = [
        instant_us(text, what, zone)
        for text, what in ((element.value("EffectiveEndDate"), "EffectiveEndDate"), (expiry, "the expiry"))
        if text
    ]
    return instant_us(start, "EffectiveStartDate", zone) if start else 0, min(ends, default=None)
