"""The naive twin of the JSON decoder: one record at a time, with json, Decimal and datetime."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from canonical.columns import COUNTER_COLUMNS, EVENT_TYPES, TYPE_CODE
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.identity import content_identity
from canonical.mapping.fields import (
    DURATION_FIELDS,
    DURATION_US,
    ENERGY_MWH,
    QUANTITY_FIELDS,
    TEXT_FIELDS,
    numeric_fields,
)
from canonical.units import QuantityError, code_of, thousandths

FORM = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d(?::\d\d(?::\d\d)?)?)((?<=:\d\d:\d\d)\.\d+)?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


def decode_one(mapping, value, now_us):
    """Return the event as a dict of texts and numbers, None where there is no record, or raise Refused."""
    value = value.strip(b" \t\r\n").removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if not value:
        return None
    if len(value) > mapping.limits.record_bytes_max:
        raise Refused(FaultCode.OVERSIZE)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Refused(FaultCode.NOT_UTF8) from None
    _scan(text, mapping.limits.depth_max)
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise Refused(FaultCode.TRUNCATED if _unfinished(text) else FaultCode.MALFORMED) from None
    # Of equal keys the last counts, but all of them are looked at.
    whole = json.dumps(json.loads(text, object_pairs_hook=list), ensure_ascii=False)
    try:
        whole.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Refused(FaultCode.MALFORMED) from None
    if not isinstance(document, dict):
        raise Refused(FaultCode.WRONG_TYPE)
    if "\\u0000" in whole.replace("\\\\", ""):
        raise Refused(FaultCode.MALFORMED)
    return _event(mapping, _fields(mapping, document), value, now_us)


def _no_constant(name):
    raise ValueError(name)


def _scan(text, depth_max):
    if _walk(text)[1] > depth_max:
        raise Refused(FaultCode.DEEP_NESTING)


def _unfinished(text):
    depth, _, in_string = _walk(text)
    return depth > 0 or in_string


def _walk(text):
    depth = deepest = 0
    in_string = escaped = False
    for c in text:
        if in_string:
            if escaped:
                escaped = False
            elif c == "\\":
                escaped = True
            elif c == '"':
                in_string = False
        elif c == '"':
            in_string = True
        elif c in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif c in "}]":
            depth -= 1
    return depth, deepest, in_string


def _fields(mapping, document):
    numeric = numeric_fields(mapping.time.format)
    fields = {}
    for name, source in mapping.paths.items():
        at = document
        for step in source.path.split("."):
            if at is None:
                break
            if not isinstance(at, dict):
                raise Refused(FaultCode.WRONG_TYPE)
            at = at.get(step)
        if at is None:
            continue
        if name in numeric:
            if isinstance(at, bool) or not isinstance(at, int | float | str):
                raise Refused(FaultCode.WRONG_TYPE)
            if isinstance(at, str) and (not at.isascii() or "_" in at or at != at.strip()):
                raise Refused(FaultCode.WRONG_TYPE)  # what only Python takes for a number
            try:
                at = float(at)
            except (ValueError, OverflowError):
                raise Refused(FaultCode.WRONG_TYPE) from None
        elif not isinstance(at, str):
            raise Refused(FaultCode.WRONG_TYPE)
        fields[name] = at
    return fields


def _event(mapping, fields, value, now_us):  # noqa: C901, PLR0912 - the order of checks, in one place
    event = dict(mapping.constants)
    for name in TEXT_FIELDS:
        if name in fields and name != "unit":
            if len(fields[name]) > 256:
                raise Refused(FaultCode.TEXT_TOO_LONG)
            event[name] = mapping.keys.get(name, {}).get(fields[name], fields[name])
    for name in ("source", "plant"):
        if not event.get(name):
            raise Refused(FaultCode.MISSING_FIELD)
    if mapping.sequencing.mode == "arrival":
        if "event_id" in mapping.paths:
            if not fields.get("event_id"):
                raise Refused(FaultCode.MISSING_FIELD)
            event["identity"] = content_identity(f"{event['source']}\0{fields['event_id']}".encode())
        else:
            event["identity"] = content_identity(value)
    else:
        if "seq" not in fields:
            raise Refused(FaultCode.MISSING_FIELD)
        seq = fields["seq"]
        largest = 2**53 - 1 if mapping.sequencing.modulus is None else mapping.sequencing.modulus - 1
        if not 0 <= seq <= largest or seq != int(seq):
            raise Refused(FaultCode.BAD_SEQUENCE)
        event["seq"] = int(seq)
    for name in ("occurred", "recorded"):
        if name in fields:
            event[f"{name}_us"] = _instant(mapping, fields[name], now_us)
        elif name == "occurred":
            raise Refused(FaultCode.MISSING_FIELD)
    event["type"] = EVENT_TYPES[_type(mapping, fields)]
    unit = fields.get("unit") or mapping.unit
    if len(unit) > 256:
        raise Refused(FaultCode.TEXT_TOO_LONG)
    event["unit"] = mapping.units.get(unit) or code_of(unit)
    if event["unit"] is None:
        raise Refused(FaultCode.UNKNOWN_UNIT)
    _quantities(mapping, fields, event)
    return event


def _type(mapping, fields):
    kind = fields.get("type")
    if not kind:
        if mapping.default_type is None:
            raise Refused(FaultCode.MISSING_FIELD)
        return TYPE_CODE[mapping.default_type]
    if len(kind) > 256:
        raise Refused(FaultCode.TEXT_TOO_LONG)
    words = mapping.types or {t.value: t for t in EventType}
    if kind not in words:
        raise Refused(FaultCode.UNKNOWN_TYPE)
    return TYPE_CODE[words[kind]]


def _instant(mapping, value, now_us):
    if mapping.time.format == "epoch_ms":
        if not abs(value) <= 2**50:
            raise Refused(FaultCode.BAD_TIMESTAMP)
        us = round(value * 1000)
    else:
        us = _iso(mapping, value)
    if us > now_us + mapping.limits.future_max_s * 1e6:
        raise Refused(FaultCode.TIMESTAMP_FUTURE)
    if us < now_us - mapping.limits.past_max_s * 1e6:
        raise Refused(FaultCode.TIMESTAMP_PAST)
    return us


def _iso(mapping, text):
    form = FORM.fullmatch(text)
    if form is None:
        raise Refused(FaultCode.BAD_TIMESTAMP)
    try:
        instant = datetime.fromisoformat(form[1] + (form[2] or "")[:7] + (form[3] or ""))
    except ValueError:
        raise Refused(FaultCode.BAD_TIMESTAMP) from None
    if instant.tzinfo is None:
        zone = ZoneInfo(mapping.time_zone)
        first = instant.replace(tzinfo=zone)
        second = instant.replace(tzinfo=zone, fold=1)
        if first.utcoffset() < second.utcoffset():
            raise Refused(FaultCode.BAD_TIMESTAMP)
        instant = second if mapping.time.ambiguous == "latest" else first
    return (instant.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def _quantities(mapping, fields, event):
    largest = mapping.limits.quantity_max
    for name in QUANTITY_FIELDS:
        if name not in fields:
            event[name] = -1 if name in COUNTER_COLUMNS else 0
            continue
        value = fields[name]
        if value < 0:
            raise Refused(FaultCode.NEGATIVE_QUANTITY)
        try:
            event[name] = thousandths(value)
        except QuantityError as error:
            raise Refused(error.code) from None
        if event[name] > 1000 * (10**12 if name in COUNTER_COLUMNS else largest):
            raise Refused(FaultCode.ABSURD_QUANTITY)
    for name in (*DURATION_FIELDS, "energy"):
        units, default, target = (
            (ENERGY_MWH, "Wh", "energy_mwh") if name == "energy" else (DURATION_US, "s", f"{name}_us")
        )
        value = fields.get(name, 0)
        if value < 0:
            raise Refused(FaultCode.NEGATIVE_QUANTITY)
        scale = units[(mapping.paths[name].unit if name in mapping.paths else "") or default]
        if not value * scale <= largest * units[default]:
            raise Refused(FaultCode.ABSURD_QUANTITY)
        event[target] = round(Decimal(value * scale))
