"""Expressions of mappings, record by record and as plainly as can be: the twin of the columnar one."""

from __future__ import annotations

import re
from decimal import Decimal

from canonical.contracts.fault import FaultCode
from canonical.mapping.fields import numeric_fields


class Refused(Exception):
    """The record is a fault."""

    def __init__(self, code):
        self.code = code


def at(record, path):
    """Return what the record has at a path; the empty text is nothing."""
    for step in path.split("."):
        record = record.get(step) if isinstance(record, dict) else None
    return None if record == "" else record


def holds(condition, record, is_json):
    found = at(record, condition.path)
    if condition.present is not None:
        return (found is not None) == condition.present
    if condition.matches is not None:
        return found is not None and re.search(condition.matches, found) is not None
    if is_json:
        same = any(type(each) is type(found) and each == found for each in condition.compared) or (
            isinstance(found, int | float) and not isinstance(found, bool)
            and any(each == found and not isinstance(each, bool) for each in condition.compared)
        )  # fmt: skip
    else:
        same = as_text(found) in {as_text(each) for each in condition.compared}
    return same == (condition.equal is not None)


def as_text(found):
    return str(found).lower() if isinstance(found, bool) else None if found is None else str(found)


def value(source, record, *, number, is_json):
    """Return what an expression is of a record: text, a Decimal, or None. Raises: Refused."""
    inner = number and source.match is None
    found = base(source, record, number=inner, is_json=is_json)
    if found is not None and source.match is not None:
        match = re.search(source.match, found)
        found = match and (match[1] if match.re.groups else match[0])
        found = found or None
        if found is not None and number:
            found = Decimal(found)
    if found is not None and (source.scale is not None or source.offset is not None):
        found = found * (1 if source.scale is None else source.scale) + (source.offset or 0)
    if not all(holds(condition, record, is_json) for condition in source.when):
        found = None
    if found is None and source.default:
        found = Decimal(source.default) if number else source.default
    return found


def base(source, record, *, number, is_json):
    if source.path:
        found = at(record, source.path)
        if number:
            return None if found is None else Decimal(str(found))
        if is_json and source.number and found is not None and found != int(found):
            raise Refused(FaultCode.WRONG_TYPE)
        return as_text(found)
    if source.value is not None:
        return Decimal(source.value) if number else source.value or None
    # Every part is evaluated, so that a number which cannot be text is refused wherever it is.
    parts = [value(part, record, number=number, is_json=is_json) for part in source.parts]
    if source.first_of:
        return next((part for part in parts if part is not None), None)
    return None if None in parts else source.separator.join(parts)


def computed(mapping, record):
    """Return the record that a mapping of plain fields of their own names would need; None if it is skipped.

    Raises: Refused.
    """
    is_json = mapping.format == "json"
    if any(holds(condition, record, is_json) for condition in mapping.skip):
        return None
    numeric = numeric_fields(mapping.time.format)
    made = {}
    for name, source in mapping.sources.items():
        found = value(source, record, number=name in numeric, is_json=is_json)
        if found is not None:
            made[name] = found
    return made
