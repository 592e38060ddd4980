"""One JSON record read strictly: is it one, and if not, what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from canonical.contracts.fault import FaultCode
from canonical.policy import LimitPolicy

Path = tuple[str, ...]
Refusal = tuple[FaultCode, str]

WHITE: Final = b" \t\r\n"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_UNENDED: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?\Z', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[][{}]")
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB]")
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


def trimmed(value: bytes) -> bytes:
    """Return the record without white space around it and without a byte order mark."""
    return value.strip(WHITE).removeprefix(_BYTE_ORDER_MARK).lstrip(WHITE)


def form_refusal(value: bytes, limits: LimitPolicy) -> Refusal | None:
    """Return why the trimmed record is not one JSON object within the limits, or None."""
    if len(value) > limits.record_bytes_max:
        return FaultCode.OVERSIZE, f"{len(value)} bytes, at most {limits.record_bytes_max}"
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        return FaultCode.NOT_UTF8, f"byte {error.start} is 0x{value[error.start]:02x}"
    depth, deepest, unended = _nesting(value)
    if deepest > limits.depth_max:
        return FaultCode.DEEP_NESTING, f"{deepest} levels, at most {limits.depth_max}"
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if depth > 0 or unended:
            return FaultCode.TRUNCATED, "the record ends inside its structure"
        return FaultCode.MALFORMED, f"no JSON: {error}"
    if not isinstance(document, dict):
        return FaultCode.WRONG_TYPE, f"the record is {_kind(document)}, no object"
    if _ESCAPED_NUL.search(value):
        return FaultCode.MALFORMED, "the record holds U+0000"
    return None


def unescaped(value: bytes) -> bytes:
    """Return a valid record with its surrogate pairs written out."""
    return orjson.dumps(orjson.loads(value)) if _SURROGATE.search(value) else value


def type_refusal(value: bytes, paths: Mapping[str, Path], numeric: frozenset[str]) -> Refusal:
    """Return which mapped field of a JSON object has the wrong type."""
    document = orjson.loads(value)
    for name, path in paths.items():
        found, at = _found(document, path)
        if found is None:
            continue
        if len(at) < len(path):
            return FaultCode.WRONG_TYPE, f"{name}: {'.'.join(at)} is {_kind(found)}, no object"
        fits = _is_number(found) if name in numeric else isinstance(found, str)
        if not fits:
            wanted = "number" if name in numeric else "text"
            return FaultCode.WRONG_TYPE, f"{name} ({'.'.join(path)}) is {_kind(found)}, no {wanted}: {found!r}"
    return FaultCode.MALFORMED, "the record is refused by the JSON reader"


def texts(value: bytes, paths: Mapping[str, Path]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of the mapped fields a valid JSON object holds."""
    document = orjson.loads(value)
    for name, path in paths.items():
        found, at = _found(document, path)
        if len(at) == len(path):
            yield name, found


def _found(document: Any, path: Path) -> tuple[Any, Path]:
    """Return what lies at the path, and how much of it there is."""
    at = document
    for i, step in enumerate(path):
        if at is None or (isinstance(at, dict) and step not in at):
            return None, path
        if not isinstance(at, dict):
            return at, path[:i]
        at = at[step]
    return at, path


def _nesting(value: bytes) -> tuple[int, int, bool]:
    """Return open brackets at the end, the greatest depth, and whether a string is open at the end."""
    bare = _STRING.sub(b"", value)
    closed = _UNENDED.sub(b"", bare)
    depth = deepest = 0
    for bracket in _BRACKETS.findall(closed):
        depth += 1 if bracket in b"{[" else -1
        deepest = max(deepest, depth)
    return depth, deepest, len(closed) < len(bare)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return _DECIMAL.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
