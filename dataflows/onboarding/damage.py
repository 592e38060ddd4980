"""Records damaged on purpose: what a plant's mapping has to refuse, each with the code that says why."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from canonical.mapping.fields import QUANTITY_FIELDS, numeric_fields

_NO_WORD: Final = "no such word"
_CUT: Final = frozenset({FaultCode.TRUNCATED, FaultCode.MALFORMED})
_MEASURES: Final = (*QUANTITY_FIELDS, "setup", "machine", "labour", "energy")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record, what was done to it, and the codes that say so."""

    what: str
    record: bytes
    codes: frozenset[FaultCode]


def damaged(mapping: PlantMapping, record: bytes) -> Iterator[Damaged]:
    """Yield what a record becomes by each kind of damage that its format and mapping know.

    Args: record: one that is accepted, its line without line end.
    """
    yield Damaged("cut in the middle", record[: len(record) // 2], _CUT | {FaultCode.WRONG_TYPE, FaultCode.NOT_UTF8})
    put = _PUTS.get(mapping.format)
    if put is None:
        return
    numeric = numeric_fields(mapping.time.format)
    for name, source in mapping.paths.items():
        for what, value, code in _wrong(mapping, name, is_number=name in numeric):
            changed = put(mapping, record, source.path, value)
            if changed is not None and changed != record:
                yield Damaged(f"{name}: {what}", changed, frozenset({code}))


def _wrong(mapping: PlantMapping, name: str, *, is_number: bool) -> Iterator[tuple[str, object, FaultCode]]:
    limits = mapping.limits
    if name in _MEASURES:
        yield "a word for a number", _NO_WORD, FaultCode.WRONG_TYPE
        absurd = 10**13 if name.endswith("_counter") else limits.quantity_max * 10**8
        yield "an absurd quantity", absurd, FaultCode.ABSURD_QUANTITY
        yield "a negative quantity", -1, FaultCode.NEGATIVE_QUANTITY
    elif name == "occurred":
        code = FaultCode.WRONG_TYPE if is_number and mapping.format == "json" else FaultCode.BAD_TIMESTAMP
        yield "no instant", _NO_WORD, code
    elif name == "seq" and mapping.sequencing.mode == "number":
        yield "a negative number", -1, FaultCode.BAD_SEQUENCE
    elif name == "type" and mapping.format != "shdr":
        yield "an unknown word", _NO_WORD, FaultCode.UNKNOWN_TYPE
    elif name == "unit":
        yield "an unknown unit", _NO_WORD, FaultCode.UNKNOWN_UNIT
    elif name == "source":
        yield "nothing", None, FaultCode.MISSING_FIELD


def _put_json(mapping: PlantMapping, record: bytes, path: str, value: object) -> bytes | None:
    del mapping
    document: Any = orjson.loads(record)
    at = document
    *steps, last = path.split(".")
    for step in steps:
        at = at.get(step)
        if not isinstance(at, dict):
            return None
    if last not in at:
        return None
    at[last] = value
    return orjson.dumps(document)


def _put_line(mapping: PlantMapping, record: bytes, path: str, value: object) -> bytes | None:
    """Put into a line of B2MML, whose values are texts."""
    return _put_json(mapping, record, path, None if value is None else str(value)) if record[:1] == b"{" else None


def _put_csv(mapping: PlantMapping, record: bytes, path: str, value: object) -> bytes | None:
    section = mapping.csv
    assert section is not None, "a mapping has the section of its format"
    text = record.decode(section.encoding)
    cells = next(csv.reader([text], delimiter=section.delimiter, quotechar=section.quote))
    at = section.columns.index(path)
    if not cells[at].strip():
        return None
    cells[at] = "" if value is None else str(value)
    out = io.StringIO()
    csv.writer(out, delimiter=section.delimiter, quotechar=section.quote, lineterminator="").writerow(cells)
    return out.getvalue().encode(section.encoding)


def _put_fixed(mapping: PlantMapping, record: bytes, path: str, value: object) -> bytes | None:
    section = mapping.fixed
    assert section is not None, "a mapping has the section of its format"
    column = next(each for each in section.columns if each.name == path)
    text = record.decode(section.encoding)
    end = column.start + column.width
    new = ("" if value is None else str(value))[: column.width].rjust(column.width)
    if not text[column.start : end].strip() or (isinstance(value, int) and len(str(value)) > column.width):
        return None
    return (text[: column.start] + new + text[end:]).encode(section.encoding)


def _put_shdr(mapping: PlantMapping, record: bytes, path: str, value: object) -> bytes | None:
    del mapping
    time, *cells = record.decode().split("|")
    if path not in cells[::2] or value is None:
        return None
    cells[2 * cells[::2].index(path) + 1] = str(value)
    return "|".join([time, *cells]).encode()


_PUTS: Final[dict[str, Callable[[PlantMapping, bytes, str, object], bytes | None]]] = {
    "json": _put_json,
    "b2mml": _put_line,
    "csv": _put_csv,
    "fixed": _put_fixed,
    "shdr": _put_shdr,
}
"""How a value is put into a record, by format; None where the record has none there. Avro's are typed by schema."""
