"""OData V2 as SAP Gateway writes it: decimals as texts, dates, times, keys, filters, errors, pages.

Source: OData 2.0 overview (odata.org), JSON verbose format; SAP Gateway's error bodies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Final

from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row, day
from dataflows.erp_simulator.refusal import Code, Refused

PAGE: Final = 100
PAGE_MAX: Final = 1000
_LITERAL: Final = r"(?:guid|datetime)?'((?:[^']|'')*)'|(true|false|-?\d+)"
_KEY: Final = re.compile(rf"(?:(\w+)\s*=\s*)?(?:{_LITERAL})")
_TERM: Final = re.compile(rf"\s*\(?\s*(\w+)\s+eq\s+(?:{_LITERAL})\s*\)?\s*")
_TARGET: Final = re.compile(r"(\w+)(?:\((.*)\))?")


def decimal(value: int) -> str:
    """Return thousandths as Edm.Decimal travels: a text without trailing zeros."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, part = divmod(value, 1000)
    return f"{sign}{whole}" + (f".{part:03d}".rstrip("0") if part else "")


def date_of(iso: str) -> str:
    """Return an ISO day as ``/Date(ms)/``."""
    instant = datetime.combine(date.fromisoformat(iso), datetime.min.time(), UTC)
    return f"/Date({int(instant.timestamp()) * 1000})/"


def time_of(now_us: int) -> str:
    """Return the time of an instant as ``PT..H..M..S``."""
    now = datetime.fromtimestamp(now_us / 1e6, UTC)
    return f"PT{now.hour:02d}H{now.minute:02d}M{now.second:02d}S"


def parameters(query: Mapping[str, str]) -> Row:
    """Return the parameters of a function import, without the quotes and types of their literals."""
    return {name: literal(value) for name, value in query.items() if not name.startswith(("$", "sap-"))}


def literal(value: str) -> str:
    """Return what an OData literal says: ``'a'``, ``guid'..'``, ``datetime'..'``, ``1.5M``, ``true``."""
    found = re.fullmatch(r"(?:guid|datetime|time)?'(.*)'", value)
    if found:
        return found[1].replace("''", "'")
    return value[:-1] if re.fullmatch(r"-?[\d.]+[MmLlDdFf]", value) else value


def target(path: str) -> tuple[str, dict[str, str]]:
    """Return (name, keys) of a path segment such as ``Entity(A='1',B='2')``; a lone key has the name ''."""
    found = _TARGET.fullmatch(path)
    if not found:
        raise Refused(Code.FIELD_WRONG, field="URI", reason="resource path not understood")
    keys = {m[1] or "": (m[2] or "").replace("''", "'") or (m[3] or "") for m in _KEY.finditer(found[2] or "")}
    return found[1], keys


def conditions(call: Call) -> dict[str, str]:
    """Return the conditions of ``$filter``: equalities joined by ``and``; nothing else is supported."""
    asked = call.query.get("$filter", "").strip()
    found: dict[str, str] = {}
    for part in re.split(r"\s+and\s+", asked) if asked else []:
        term = _TERM.fullmatch(part)
        if not term:
            raise Refused(Code.FIELD_WRONG, field="$filter", reason="only equalities joined by 'and' are supported")
        found[term[1]] = (term[2] or "").replace("''", "'") or (term[3] or "")
    return found


def matches(row: Row, wanted: Mapping[str, str]) -> bool:
    """Return whether a row fulfils all conditions."""
    for name, value in wanted.items():
        if name not in row:
            raise Refused(Code.FIELD_WRONG, field="$filter", reason=f"property {name} is not known")
        have = row[name]
        if isinstance(have, bool):
            same = value == ("true" if have else "false")
        elif isinstance(have, str) and have.startswith("/Date("):
            same = day(have, name) == day(value[:10], name)
        else:
            same = str(have).lstrip("0").lower() == value.lstrip("0").lower()
        if not same:
            return False
    return True


def collection(call: Call, rows: Iterable[Row]) -> Answer:
    """Return a page of rows as ``d.results``."""
    found = list(rows)
    skip, top = call.number("$skip", 0), min(call.number("$top", PAGE), PAGE_MAX)
    page: Row = {"results": found[skip : skip + top]}
    if call.query.get("$inlinecount") == "allpages":
        page["__count"] = str(len(found))
    if skip + top < len(found) and "$top" not in call.query:
        page["__next"] = f"{call.path.rpartition('/')[2]}?$skip={skip + top}"
    return answer(page)


def answer(value: Row, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a value as ``d``."""
    return Answer.of({"d": value}, status, {"DataServiceVersion": "2.0", **(headers or {})})


def children(rows: list[Row], *, expand: bool, uri: str) -> Row:
    """Return a navigation property: its rows, or where they can be found."""
    return {"results": rows} if expand else {"__deferred": {"uri": uri}}


def error(code: str, message: str, status: int, service: str) -> Answer:
    """Return an error as SAP Gateway writes it."""
    detail = {
        "code": code,
        "message": message,
        "propertyref": "",
        "severity": "error",
        "transition": False,
        "target": "",
    }
    body = {
        "error": {
            "code": code,
            "message": {"lang": "en", "value": message},
            "innererror": {
                "application": {
                    "component_id": "PP-SFC-EXE-CON",
                    "service_namespace": "/SAP/",
                    "service_id": service,
                    "service_version": "0001",
                },
                "transactionid": "",
                "timestamp": "",
                "Error_Resolution": {"SAP_Transaction": "", "SAP_Note": ""},
                "errordetails": [detail],
            },
        }
    }
    return Answer.of(body, status, {"DataServiceVersion": "1.0"})


def message(code: str, words: str, severity: str, details: Iterable[Row] = ()) -> str:
    """Return the value of a ``sap-message`` header."""
    value = {"code": code, "message": words, "severity": severity, "target": "", "details": list(details)}
    return json.dumps(value)  # ASCII, as a header must be
