"""Lines decode as a twin decodes them that reads one character after the other, however they are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canonical.decoders.delimited import parse_delimited
from canonical.decoders.parsed import Parsed
from canonical.decoders.shdr import parse_shdr
from canonical.mapping import PlantMapping
from canonical.records import RawRecords

Fields = dict[str, Any]
Outcome = Fields | str | None
"""Of one record: its fields, the code of its fault, or None where it is no record."""

BLANKS = " \t\n\v\f\r"
BYTES_MAX = 64
COLUMNS = ("when", "machine", "qty")


def plant(**sections: Any) -> PlantMapping:
    shared = {"plant": "P", "input": {"folder": "p"}, "default_type": "partial", "sequencing": {"mode": "arrival"}}
    return PlantMapping.model_validate({**shared, "limits": {"record_bytes_max": BYTES_MAX}, **sections})


def outcomes(
    parse: Callable[[PlantMapping, RawRecords], Parsed], mapping: PlantMapping, records: list[bytes]
) -> list[Outcome]:
    parsed = parse(mapping, RawRecords.from_values(records, np.arange(len(records))))
    assert [fault.row for fault in parsed.faults] == sorted(fault.row for fault in parsed.faults)
    found: list[Outcome] = [None] * len(records)
    for i, row in enumerate(parsed.rows.to_pylist()):
        found[row] = {name: column[i].as_py() for name, column in parsed.fields.items()}
    for fault in parsed.faults:
        assert found[fault.row] is None, "a row is in one place"
        found[fault.row] = fault.code.value
    return found


def in_two_batches(
    parse: Callable[[PlantMapping, RawRecords], Parsed], mapping: PlantMapping, records: list[bytes], cut: int
) -> list[Outcome]:
    return outcomes(parse, mapping, records[:cut]) + outcomes(parse, mapping, records[cut:])


def line_of(record: bytes, encoding: str) -> tuple[str, str | None]:
    """The text of a record, and its fault."""
    if len(record) > BYTES_MAX:
        return "", "OVERSIZE"
    try:
        text = record.decode(encoding)
    except UnicodeDecodeError:
        return "", "NOT_UTF8"
    text = text.removesuffix("\n").removesuffix("\r")
    if encoding == "utf-8":
        text = text.removeprefix("\N{BYTE ORDER MARK}")
    return text, "MALFORMED" if "\n" in text or "\r" in text else None


def csv_cells(text: str) -> list[str] | str:
    cells, at = [], 0
    while True:
        cell = ""
        if text[at : at + 1] == '"':
            at += 1
            while True:
                if at >= len(text):
                    return "TRUNCATED"
                if text[at : at + 2] == '""':
                    cell += '"'
                    at += 2
                elif text[at] == '"':
                    at += 1
                    break
                else:
                    cell += text[at]
                    at += 1
            if at < len(text) and text[at] != ";":
                return "MALFORMED"
        else:
            while at < len(text) and text[at] != ";":
                cell += text[at]
                at += 1
        cells.append(cell.strip(BLANKS))
        if at == len(text):
            return cells
        at += 1


def csv_twin(mapping: PlantMapping, record: bytes) -> Outcome:
    section = mapping.csv
    assert section is not None
    text, fault = line_of(record, section.encoding)
    if fault:
        return fault
    if not text.strip(" \t"):
        return None
    cells = csv_cells(text)
    if isinstance(cells, str):
        return cells
    header = section.header and 2 * len(set(cells) & set(COLUMNS)) > len(cells)
    if len(cells) != len(COLUMNS):
        return "MALFORMED" if header or len(cells) > len(COLUMNS) else "TRUNCATED"
    if header and (cells[0] in COLUMNS or cells[-1] in COLUMNS):
        return None if tuple(cells) == COLUMNS else "MALFORMED"
    return numbered({"occurred": cells[0], "source": cells[1], "good": cells[2]}, section.decimal)


def numbered(cells: dict[str, str], decimal: str) -> Outcome:
    if decimal == ",":
        if "." in cells["good"]:
            return "WRONG_TYPE"
        cells["good"] = cells["good"].replace(",", ".")
    return {name: cell or None for name, cell in cells.items()}


cell = st.one_of(
    st.sampled_from(["1,5", "1.5", "7", "M1", "", " x ", '""', '"a;b"', '"a""b"', 'a"b', '"', "Fräse", "\t", *COLUMNS]),
    st.text('ab;",. "', max_size=5),
)
odd = st.sampled_from(
    [b"", b" ", b"\r", b"\n", b"\r\n", b"\xff", b"\x81", b"\xc3", b"\x00", b"\xef\xbb\xbf", b"x" * 64]
)
csv_record = st.builds(
    lambda before, cells, encoding, after: before + ";".join(cells).encode(encoding) + after,
    st.one_of(st.just(b""), st.just(b""), odd),
    st.one_of(st.lists(cell, min_size=3, max_size=3), st.lists(cell, max_size=5), st.just(list(COLUMNS))),
    st.sampled_from(["utf-8", "cp1252"]),
    st.one_of(st.just(b""), st.just(b""), odd),
)


@settings(max_examples=200, deadline=None)
@given(
    records=st.lists(csv_record, max_size=12),
    cut=st.integers(0, 12),
    header=st.booleans(),
    encoding=st.sampled_from(["utf-8", "cp1252", "latin-1"]),
    decimal=st.sampled_from([",", "."]),
)
@example(records=[b'a;b;"', b'"c;d;e'], cut=2, header=False, encoding="utf-8", decimal=".")
@example(records=[b'x"y;"b;1', b'";d;e'], cut=2, header=False, encoding="utf-8", decimal=".")
def test_csv_agrees_with_its_twin(records: list[bytes], cut: int, *, header: bool, encoding: str, decimal: str) -> None:
    mapping = plant(
        format="csv",
        csv={"delimiter": ";", "columns": COLUMNS, "header": header, "encoding": encoding, "decimal": decimal},
        fields={"occurred": "when", "source": "machine", "good": "qty"},
    )
    expected = [csv_twin(mapping, record) for record in records]
    assert outcomes(parse_delimited, mapping, records) == expected
    assert in_two_batches(parse_delimited, mapping, records, cut) == expected


def fixed_twin(mapping: PlantMapping, record: bytes) -> Outcome:
    section = mapping.fixed
    assert section is not None
    text, fault = line_of(record, section.encoding)
    if fault:
        return fault
    if not text.strip(" \t"):
        return None
    if len(text) < 8:
        return "TRUNCATED"
    if text[10:].strip(BLANKS) or text[5:6].strip(BLANKS):
        return "MALFORMED"
    cells = {"occurred": text[:3], "source": text[3:5], "good": text[6:8]}
    return numbered({name: cut.strip(BLANKS) for name, cut in cells.items()}, section.decimal)


fixed_record = st.builds(
    lambda text, encoding, after: text.encode(encoding) + after,
    st.one_of(st.text("ab1,. ä\t", min_size=7, max_size=11), st.text("a1 ", max_size=14)),
    st.sampled_from(["utf-8", "cp1252"]),
    st.one_of(st.just(b""), st.just(b""), odd),
)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(fixed_record, max_size=12),
    cut=st.integers(0, 12),
    encoding=st.sampled_from(["utf-8", "cp1252", "latin-1"]),
    decimal=st.sampled_from([",", "."]),
)
def test_fixed_width_agrees_with_its_twin(records: list[bytes], cut: int, encoding: str, decimal: str) -> None:
    spans = {"when": (0, 3), "machine": (3, 2), "qty": (6, 2), "filler": (8, 2)}
    columns = [{"name": name, "start": start, "width": width} for name, (start, width) in spans.items()]
    mapping = plant(
        format="fixed",
        fixed={"columns": columns, "encoding": encoding, "decimal": decimal},
        fields={"occurred": "when", "source": "machine", "good": "qty"},
    )
    expected = [fixed_twin(mapping, record) for record in records]
    assert outcomes(parse_delimited, mapping, records) == expected
    assert in_two_batches(parse_delimited, mapping, records, cut) == expected


SHDR = plant(
    format="shdr",
    shdr={
        "source": "M",
        "session_start": "avail",
        "items": {"good_counter": "n", "scrap_counter": "bad", "type": "run", "material": "prog"},
    },
)


def shdr_cells(text: str) -> list[str]:
    """Cells as the agent's tokenizer takes them: a quoted one may hold escaped pipes."""
    timestamp, *rest = text.split("|", 1)
    if not rest:
        return [timestamp]
    cells, text = [timestamp], rest[0]
    at = 0
    while True:
        end = closing(text, at)
        if end is None:
            end = text.find("|", at)
            end = len(text) if end < 0 else end
        cells.append(text[at:end])
        if end == len(text):
            return cells
        at = end + 1


def closing(text: str, at: int) -> int | None:
    """Where the quoted cell that begins here ends; None if no quoted cell begins here."""
    while text[at : at + 1] in tuple(BLANKS):
        at += 1
    if text[at : at + 1] != '"':
        return None
    at += 1
    while at < len(text) and text[at] not in '"|':
        at += 2 if text[at] == "\\" else 1
    if text[at : at + 1] != '"':
        return None
    at += 1
    while text[at : at + 1] in tuple(BLANKS):
        at += 1
    return at if text[at : at + 1] in {"", "|"} else None


def shdr_value(cell: str) -> str | None:
    quoted = closing(cell, 0) == len(cell)
    cell = cell.strip(BLANKS)
    if quoted:
        inner, cell = cell[1:-1], ""
        at = 0
        while at < len(inner):
            at += inner[at] == "\\"
            cell += inner[at]
            at += 1
    return None if cell in {"", "UNAVAILABLE"} else cell


def shdr_twin(record: bytes) -> Outcome:
    text, fault = line_of(record, "utf-8")
    if fault:
        return fault
    if not text.strip(" \t"):
        return None
    head = text.encode()[:11]
    dated = len(head) == 11 and head[:1].isdigit() and head[4:5] == head[7:8] == b"-" and head[10:] == b"T"
    if not dated:
        return None if text.lstrip().startswith(("<", "*", "--multiline--")) else "MALFORMED"
    timestamp, *cells = shdr_cells(text)
    asset = bool(cells) and cells[0].startswith("@")
    if not asset and (len(cells) % 2 or not cells):
        return "TRUNCATED"
    items = {} if asset else dict(zip(cells[::2], cells[1::2], strict=True))
    fields: Fields = {
        "occurred": timestamp.partition("@")[0],
        "good_counter": shdr_value(items.get("n", "")),
        "scrap_counter": shdr_value(items.get("bad", "")),
        "material": shdr_value(items.get("prog", "")),
        "session_start": shdr_value(items.get("avail", "")) is not None,
    }
    reads = fields["good_counter"] is not None or fields["scrap_counter"] is not None
    return {**fields, "type": "partial" if reads else "state" if "run" in items else "telemetry"}


shdr_cell = st.one_of(
    st.sampled_from(["n", "n", "bad", "run", "prog", "avail", "X1", "@ASSET@", "--multiline--A"]),
    st.sampled_from(
        ["7", "", " 8 ", "UNAVAILABLE", "AVAILABLE", "NORMAL", '"a\\|n\\|b"', ' "q\\"q" ', '"open\\|', "ä"]
    ),
    st.text('n"\\| 1ä', max_size=6),
)
shdr_record = st.builds(
    lambda head, cells, after: "|".join((head, *cells)).encode() + after,
    st.sampled_from(
        ["2022-08-08T1Z"] * 6
        + ["2022-08-08T1Z@1.5", "2022-08-08", "20ä2-08-08T1", "", "<a>", "* PING", "--multiline--A", " <b"]
    ),
    st.one_of(st.lists(shdr_cell, min_size=2, max_size=2), st.lists(shdr_cell, max_size=6)),
    st.one_of(st.just(b""), st.just(b""), odd),
)


@settings(max_examples=250, deadline=None)
@given(records=st.lists(shdr_record, max_size=12), cut=st.integers(0, 12))
@example(records=[b'2022-08-08T1Z|prog|"a\\|"n"|7', b"<a>|n|7", b"2022-08-08T1Z|n|7|n|UNAVAILABLE"], cut=1)
def test_shdr_agrees_with_its_twin(records: list[bytes], cut: int) -> None:
    expected = [shdr_twin(record) for record in records]
    assert outcomes(parse_shdr, SHDR, records) == expected
    assert in_two_batches(parse_shdr, SHDR, records, cut) == expected
