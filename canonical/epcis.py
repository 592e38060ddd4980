"""Where a lot came from and went, as a document of GS1 EPCIS 2.0 in JSON-LD (M21).

An order that used lots and made lots is one ``TransformationEvent``: what went in, what came out, when it ended.
Identifiers are GS1 Digital Links below a base that the user names: application identifiers 01 (material), 10 (lot)
and 414 (plant); they are keys of GS1 where the canonical keys are, and else that company's own URIs.

Where confirmations of an order were replaced by later revisions, each version that was true until then stays an event
of its own with an ``errorDeclaration``, which names the event that corrects it.

Source: EPCIS 2.0 (JSON binding), CBV 2.0 (business steps, transaction types), GS1 Digital Link 1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import NAMESPACE_URL, uuid5

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


class NotABase(ValueError):
    """What identifiers are to begin with is no absolute URI."""


@dataclass(frozen=True, slots=True, order=True)
class LotQuantity:
    """So much of a lot: ``quantity`` in thousandths of ``unit``, a code of UN/ECE Recommendation 20."""

    material: str
    lot: str
    quantity: int
    unit: str


@dataclass(frozen=True, slots=True)
class Transformation:
    """What one order used and made; ``ended_us`` is the instant of its last event, UTC, in microseconds.

    ``version`` counts corrections; one that the next version corrected says when, in ``corrected_us``.
    """

    plant: str
    order: str
    ended_us: int
    used: Sequence[LotQuantity]
    made: Sequence[LotQuantity]
    version: int = 0
    corrected_us: int | None = None


def document(transformations: Iterable[Transformation], base: str, created_us: int) -> dict[str, Any]:
    """Return an ``EPCISDocument``; the same orders have the same events in every document.

    Args:    base: what identifiers begin with, an absolute URI such as ``https://id.example.com``.
    Raises:  NotABase.
    """
    parts = urlsplit(base)
    if not parts.scheme or not parts.netloc or parts.query or parts.fragment:
        raise NotABase(f"{base!r} is no absolute URI; identifiers begin with one, such as https://id.example.com")
    base = base.rstrip("/")
    return {
        "@context": [CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": _instant(created_us),
        "epcisBody": {"eventList": [_event(each, base) for each in transformations]},
    }


def _event(of: Transformation, base: str) -> dict[str, Any]:
    place = f"{base}/414/{_part(of.plant)}"
    order = f"{place}/order/{_part(of.order)}"
    return {
        "type": "TransformationEvent",
        "eventID": _event_id(order, of.version),
        "eventTime": _instant(of.ended_us),
        "eventTimeZoneOffset": "+00:00",
        **_declaration(of, order),
        "transformationID": order,
        "inputQuantityList": [_quantity(lot, base) for lot in sorted(of.used)],
        "outputQuantityList": [_quantity(lot, base) for lot in sorted(of.made)],
        "bizStep": "commissioning",
        "disposition": "in_progress",
        "readPoint": {"id": place},
        "bizTransactionList": [{"type": "prodorder", "bizTransaction": order}],
    }


def _event_id(order: str, version: int) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{order}/version/{version}' if version else order)}"


def _declaration(of: Transformation, order: str) -> dict[str, Any]:
    if of.corrected_us is None:
        return {}
    return {
        "errorDeclaration": {
            "declarationTime": _instant(of.corrected_us),
            "reason": "incorrect_data",
            "correctiveEventIDs": [_event_id(order, of.version + 1)],
        }
    }


def _quantity(lot: LotQuantity, base: str) -> dict[str, Any]:
    whole, thousandths = divmod(lot.quantity, 1000)
    found = {
        "epcClass": f"{base}/01/{_part(lot.material)}/10/{_part(lot.lot)}",
        "quantity": lot.quantity / 1000 if thousandths else whole,
    }
    # H87 is a piece: EPCIS tells pieces by having no unit.
    return found if lot.unit == "H87" else found | {"uom": lot.unit}


def _part(key: str) -> str:
    return quote(key, safe="")


def _instant(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
