"""Files for an ERP without an interface: one posting a file, as JSON or as segments of fixed width.

A segment is a line: its name in 30 characters, then its fields, each in its width. Widths are those
of SAP's fields of the same name; the segments are the simulator's own (IDoc-like, no IDoc).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from dataflows.erp_simulator import fields
from dataflows.erp_simulator.document import Document
from dataflows.erp_simulator.erp import Erp, day_of
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.posting import Confirmation, GoodsMovement, Movement, Reversal
from dataflows.erp_simulator.refusal import Code, Refused

_NAME: Final = 30
_MOVEMENT: Final = {
    "movement_type": 3,
    "material": 40,
    "quantity": 17,
    "unit": 3,
    "plant": 4,
    "storage_location": 4,
    "lot": 10,
    "order": 12,
    "reservation": 10,
    "reservation_item": 4,
    "stock_type": 12,
    "receiving_location": 4,
}
SEGMENTS: Final[Mapping[str, tuple[str, Mapping[str, int]]]] = {
    "Z1CONF": (
        "confirmation",
        {
            "order": 12,
            "operation": 4,
            "work_center": 8,
            "plant": 4,
            "posting_date": 10,
            "yield": 17,
            "scrap": 17,
            "rework": 17,
            "unit": 3,
            "reason": 4,
            "final": 1,
            "external_id": 36,
            "lot": 10,
        },
    ),
    "Z1GMVT": ("goods_movement", {"posting_date": 10, "external_id": 36, "code": 2}),
    "Z1REVS": ("reversal", {"document": 30, "posting_date": 10, "external_id": 36}),
    "Z1ITEM": ("movement", _MOVEMENT),
}
_FIELDS: Final = {kind: frozenset({*names, "type", "movements"}) for kind, names in SEGMENTS.values()}
LINES_MAX: Final = 1000


def parse(name: str, body: bytes) -> Row:
    """Return the posting in a file; its ending says how it is written.

    Raises: Refused (FIELD_WRONG).
    """
    if name.endswith(".idoc"):
        return _segments(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(Code.FIELD_WRONG, field=name, reason="it is not JSON") from error
    if not isinstance(value, dict):
        raise Refused(Code.FIELD_WRONG, field=name, reason="it is no object")
    return value


def post(erp: Erp, posting: Row, request_id: str, now_us: int) -> Document:
    """Book what a file asks for.

    Raises: Refused.
    """
    kind = posting.get("type")
    actions: dict[str, Callable[[Row], Document]] = {
        "confirmation": lambda p: erp.confirm(_confirmation(p, request_id, now_us), now_us),
        "goods_movement": lambda p: erp.move(_goods_movement(p, request_id, now_us), now_us),
        "reversal": lambda p: erp.reverse(_reversal(p, request_id), now_us),
    }
    if not isinstance(kind, str) or kind not in actions:
        raise Refused(Code.FIELD_WRONG, field="type", reason=f"none of {', '.join(actions)}")
    for name in posting:
        if name not in _FIELDS[kind]:
            raise Refused(Code.FIELD_WRONG, field=str(name)[:60], reason="there is no such field")
    return actions[kind](posting)


def _confirmation(posting: Row, request_id: str, now_us: int) -> Confirmation:
    items = fields.nested(posting, "movements")
    return Confirmation(
        order=fields.text(posting, "order"),
        operation=fields.text(posting, "operation", 4),
        posting_date=fields.day(posting.get("posting_date"), "posting_date") or day_of(now_us),
        yield_quantity=fields.quantity(posting, "yield"),
        scrap_quantity=fields.quantity(posting, "scrap"),
        rework_quantity=fields.quantity(posting, "rework"),
        unit=fields.text(posting, "unit", 3),
        plant=fields.text(posting, "plant", 4),
        work_center=fields.text(posting, "work_center", 8),
        lot=fields.text(posting, "lot", 20),
        reason=fields.text(posting, "reason"),
        final=posting.get("final") in {True, "X"},
        external_id=fields.text(posting, "external_id"),
        request_id=request_id,
        movements=None if items is None else tuple(_movement(item) for item in items),
    )


def _goods_movement(posting: Row, request_id: str, now_us: int) -> GoodsMovement:
    return GoodsMovement(
        tuple(_movement(item) for item in fields.nested(posting, "movements") or ()),
        fields.day(posting.get("posting_date"), "posting_date") or day_of(now_us),
        code=fields.text(posting, "code", 2),
        external_id=fields.text(posting, "external_id"),
        request_id=request_id,
    )


def _reversal(posting: Row, request_id: str) -> Reversal:
    return Reversal(
        fields.text(posting, "document"),
        fields.day(posting.get("posting_date"), "posting_date"),
        external_id=fields.text(posting, "external_id"),
        request_id=request_id,
    )


def _movement(item: Row) -> Movement:
    for name in item:
        if name not in _MOVEMENT:
            raise Refused(Code.FIELD_WRONG, field=str(name)[:60], reason="there is no such field")
    texts: dict[str, Any] = {name: fields.text(item, name) for name in _MOVEMENT if name != "quantity"}
    return Movement(quantity=fields.quantity(item, "quantity"), **texts)


def _segments(body: bytes) -> Row:
    """Return what a file of segments says: the first is the posting, the others are its items."""
    lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    if not 1 <= len(lines) <= LINES_MAX:
        raise Refused(Code.FIELD_WRONG, field="file", reason=f"between 1 and {LINES_MAX} segments are needed")
    rows = [_segment(line) for line in lines]
    posting, items = rows[0], rows[1:]
    if posting["type"] == "movement" or any(item.pop("type") != "movement" for item in items):
        raise Refused(Code.FIELD_WRONG, field="file", reason="one posting, then its Z1ITEM segments")
    return posting | ({"movements": items} if items else {})


def _segment(line: str) -> Row:
    name = line[:_NAME].strip()
    if name not in SEGMENTS:
        raise Refused(Code.FIELD_WRONG, field="segment", reason=f"{name!r} is not known")
    kind, widths = SEGMENTS[name]
    row: Row = {"type": kind}
    at = _NAME
    for field, width in widths.items():
        if value := line[at : at + width].strip():
            row[field] = value
        at += width
    return row
