"""A request and its answer, without the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from urllib.parse import unquote_plus

import orjson

from dataflows.erp_simulator.erp import Late
from dataflows.erp_simulator.refusal import Code, Refused

JSON: Final = "application/json"
FIELDS_MAX: Final = 100
DEPTH_MAX: Final = 24
_DIGITS_MAX: Final = 9


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is to go wrong inside the ERP while it works on a request."""

    late: Late | None = None
    partial: float | None = None
    failing_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A request: ``path`` below the ERP's base path, names of headers in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now_us: int
    trouble: Trouble = field(default_factory=Trouble)

    def within(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
        """Return a request that is part of this one."""
        path, _, query = target.partition("?")
        return replace(self, method=method, path=path, query=parsed(query), headers=headers, body=body)

    def number(self, name: str, default: int) -> int:
        """Return a field of the query as a number that is not negative.

        Raises: Refused (FIELD_WRONG).
        """
        value = self.query.get(name, "")
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > _DIGITS_MAX:
            raise Refused(Code.FIELD_WRONG, field=name, reason="not a number")
        return int(value)

    def json(self) -> dict[str, Any]:
        """Return the body, a JSON object of bounded depth.

        Raises: Refused (FIELD_WRONG).
        """
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Refused(Code.FIELD_WRONG, field="body", reason="it is not JSON") from error
        if not isinstance(value, dict):
            raise Refused(Code.FIELD_WRONG, field="body", reason="it is no object")
        if _deeper(value, DEPTH_MAX):
            raise Refused(Code.FIELD_WRONG, field="body", reason=f"it is nested deeper than {DEPTH_MAX}")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ERP says."""

    status: int
    body: bytes = b""
    type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        """Return a value as JSON."""
        return cls(status, orjson.dumps(value), JSON, headers or {})


class Dialect(Protocol):
    """A protocol: translation between calls and the ERP, and nothing else."""

    def answer(self, call: Call) -> Answer:
        """Work on a request that has been let in; refusals become answers in the protocol's own form."""

    def refusal(self, refused: Refused, status: int | None = None) -> Answer:
        """Return a refusal in the protocol's own form."""

    def failure(self, status: int, text: str) -> Answer:
        """Return a failure of the server in the protocol's own form."""


def parsed(query: str) -> dict[str, str]:
    """Return the fields of a query string, at most ``FIELDS_MAX``; the last of several counts."""
    pairs = (part.partition("=") for part in query.split("&", FIELDS_MAX)[:FIELDS_MAX] if part)
    return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}


def _deeper(value: object, levels: int) -> bool:
    if levels == 0:
        return True
    if isinstance(value, dict):
        return any(_deeper(inner, levels - 1) for inner in value.values())
    return isinstance(value, list) and any(_deeper(inner, levels - 1) for inner in value)
