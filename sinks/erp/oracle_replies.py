"""What Oracle's resources answer: pages of items, and errors of a whole request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sinks.erp.connection import Connection, Reply, json_object, refused
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import OracleSettings

PAGE: Final = 500
PAGES_MAX: Final = 20
REFUSALS: Final = frozenset({400, 404, 409, 422})
"""Statuses of a refusal, where it is in Oracle's form."""

Item = Mapping[str, Any]


def items(connection: Connection, path: str, condition: str, **query: str) -> list[Item] | Answer:
    """Return all items of a resource that fulfil ``q``; an answer where they cannot be had."""
    found: list[Item] = []
    for number in range(PAGES_MAX):
        reply = connection.exchange(
            "GET",
            path,
            writes=False,
            query={"q": condition, "onlyData": "true", "limit": str(PAGE), "offset": str(number * PAGE), **query},
            headers={"Accept": "application/json"},
        )
        if isinstance(reply, Answer):
            return reply
        page = json_object(reply.body)
        rows = page.get("items")
        if not 200 <= reply.status < 300 or not isinstance(rows, list):
            return refused(reply, writes=False, message=problem(reply)[1])
        found += [row for row in rows if isinstance(row, dict)]
        if not page.get("hasMore"):
            return found
    return Answer(Outcome.CANNOT_TELL, message=f"more than {PAGES_MAX * PAGE} items where {condition}")


def children(parent: Item, name: str) -> list[Item]:
    """Return the rows of a child, which is a list or a collection of its own."""
    found = parent.get(name)
    found = found.get("items") if isinstance(found, dict) else found
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def problem(reply: Reply) -> tuple[str, str]:
    """Return (code, words) of an error of the whole request; empty where it is not in Oracle's form."""
    said = json_object(reply.body)
    inner = said.get("o:errorDetails")
    first = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], dict) else said
    code = first.get("o:errorCode") or said.get("o:errorCode") or ""
    return str(code), str(first.get("detail") or said.get("title") or "")


def quoted(value: str) -> str:
    """Return a text as it stands in ``q``."""
    return "'" + value.replace("'", "''") + "'"


def refusal(code: str, message: str, settings: OracleSettings) -> Answer:
    """Return what a message of Oracle's comes to: whether the same may succeed later is a matter of its name."""
    outcome = Outcome.REJECTED
    if code in settings.locked_codes:
        outcome = Outcome.LOCKED
    elif code in settings.transient_codes:
        outcome = Outcome.UNAVAILABLE
    return Answer(outcome, code=code, message=message)
