"""One JSON record read strictly: is it one, and if not, what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from canonical.contracts.fault import FaultCode
from canonical.mapping.reads import Kind, Read
from canonical.policy import LimitPolicy

Path = tuple[str, ...]
Refusal = tuple[FaultCode, str]

TEXT_MAX: Final = 256
"""Characters of a key or code, as in ``canonical.contracts.event.Text``."""

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


def is_mistyped(document: dict[str, Any], paths: Mapping[str, Path], reads: Mapping[str, Read]) -> bool:
    """Return whether a mapped field surely has the wrong type; text in a number's place may yet be one."""
    for name, path in paths.items():
        at: Any = document
        for step in path:
            if at is None:
                break
            if at.__class__ is not dict:
                return True
            at = at.get(step)
        if at is not None and at.__class__ not in _CLASSES[reads[name].kind]:
            return True
    return False


def type_refusal(document: dict[str, Any], paths: Mapping[str, Path], reads: Mapping[str, Read]) -> Refusal:
    """Return which mapped field of a JSON object has the wrong type."""
    for name, path in paths.items():
        found, at = _found(document, path)
        if found is None:
            continue
        if len(at) < len(path):
            return FaultCode.WRONG_TYPE, f"{name}: {'.'.join(at)} is {_kind(found)}, no object"
        kind = reads[name].kind
        if not _FITS[kind](found):
            where = ".".join(path) if name == reads[name].name else f"{name} ({'.'.join(path)})"
            return FaultCode.WRONG_TYPE, f"{where} is {_kind(found)}, no {_WANTED[kind]}: {found!r}"
    return FaultCode.MALFORMED, "the record is refused by the JSON reader"


def text_at(document: dict[str, Any], path: Path | None) -> str:
    """Return the text at the path; the empty text where there is none that could be a key."""
    found, at = _found(document, path) if path is not None else (None, path)
    return found if at == path and isinstance(found, str) and len(found) <= TEXT_MAX else ""


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


_CLASSES: Final = {
    Kind.TEXT: frozenset({str}),
    Kind.NUMBER: frozenset({str, int, float}),
    Kind.TRUTH: frozenset({bool}),
}
_FITS: Final[Mapping[Kind, Callable[[object], bool]]] = {
    Kind.TEXT: lambda value: isinstance(value, str),
    Kind.NUMBER: _is_number,
    Kind.TRUTH: lambda value: isinstance(value, bool),
}
_WANTED: Final = {Kind.TEXT: "text", Kind.NUMBER: "number", Kind.TRUTH: "truth value"}


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
