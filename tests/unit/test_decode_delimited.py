from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from canonical.contracts.fault import FaultCode
from canonical.decoders.delimited import parse_delimited
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.records import RawRecords

COLUMNS = ("when", "machine", "qty", "note")
FIELDS = {"occurred": "when", "source": "machine", "good": "qty", "reason": "note"}


def plant(fields: dict[str, str] = FIELDS, limits: dict[str, Any] | None = None, **section: Any) -> PlantMapping:
    """A plant of format csv, or of format fixed if the section is so named."""
    content: dict[str, Any] = {
        "plant": "B",
        "format": "fixed" if "fixed" in section else "csv",
        "input": {"folder": "b"},
        "default_type": "partial",
        "fields": fields,
        "sequencing": {"mode": "arrival"},
        "limits": limits or {},
    }
    if "fixed" in section:
        content["fixed"] = section["fixed"]
    else:
        content["csv"] = {"delimiter": ";", "columns": COLUMNS, **section}
    return PlantMapping.model_validate(content)


def parse(data: bytes, mapping: PlantMapping | None = None) -> Parsed:
    return parse_delimited(mapping or plant(), RawRecords.from_lines(data))


def table(parsed: Parsed) -> dict[str, list[str | None]]:
    return {name: column.to_pylist() for name, column in parsed.fields.items()}


def codes(parsed: Parsed) -> list[tuple[int, FaultCode]]:
    return [(fault.row, fault.code) for fault in parsed.faults]


def test_mapped_columns_become_fields() -> None:
    parsed = parse(b"2026-06-10 06:00;M1;5;ok\n2026-06-10 06:01;M2;7;\n")
    assert parsed.rows.to_pylist() == [0, 1]
    assert table(parsed) == {
        "occurred": ["2026-06-10 06:00", "2026-06-10 06:01"],
        "source": ["M1", "M2"],
        "good": ["5", "7"],
        "reason": ["ok", None],
    }
    assert parsed.faults == []


@pytest.mark.parametrize(
    ("line", "code", "detail"),
    [
        (b"t;M1;5", FaultCode.TRUNCATED, "3 columns instead of 4"),
        (b"t", FaultCode.TRUNCATED, "1 columns instead of 4"),
        (b'"t;M1";5;ok', FaultCode.TRUNCATED, "3 columns instead of 4"),
        (b't;M1;5;"open', FaultCode.TRUNCATED, "column 4: a quote is opened and not closed"),
        (b't;"M1;5;note', FaultCode.TRUNCATED, "column 2: a quote is opened and not closed"),
        (b't;M1;5;"a""', FaultCode.TRUNCATED, "column 4: a quote is opened and not closed"),
        (b"t;M1;5;ok;more", FaultCode.MALFORMED, "5 columns instead of 4"),
        (b"t;M1;5;ok;", FaultCode.MALFORMED, "5 columns instead of 4"),
        (b't;"M1"x;5;ok', FaultCode.MALFORMED, "column 2: text after the closing quote"),
        (b"t;M1;5;a\rb", FaultCode.MALFORMED, "a line end inside the record; one record is one line"),
        (b"t;M1;5;\xff", FaultCode.NOT_UTF8, "byte 7 (0xff) is not utf-8 text: invalid start byte"),
        (b"t;M1;5;\xc3", FaultCode.NOT_UTF8, "byte 7 (0xc3) is not utf-8 text: unexpected end of data"),
        (b"t;M1;5;" + b"x" * 120, FaultCode.OVERSIZE, "127 bytes; the limit is 100"),
    ],
)
def test_fault(line: bytes, code: FaultCode, detail: str) -> None:
    good = b"t;M0;1;n"
    parsed = parse(b"\n".join((good, line, good)), plant(limits={"record_bytes_max": 100}))
    assert [(fault.row, fault.code, fault.detail) for fault in parsed.faults] == [(1, code, detail)]
    assert parsed.rows.to_pylist() == [0, 2]
    assert table(parsed)["source"] == ["M0", "M0"]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (b'"a;b"', "a;b"),
        (b'"say ""on"""', 'say "on"'),
        (b'12" tube', '12" tube'),  # a quote inside a bare cell is a character
        (b'a"b"', 'a"b"'),
        (b'""', None),
        (b"  padded  ", "padded"),
        (b"   ", None),
        (b'" "', None),
        (b"NULL", "NULL"),
        (b"0", "0"),
        ("Zähler".encode(), "Zähler"),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_cell(cell: bytes, value: str | None) -> None:
    parsed = parse(b"t;M1;5;" + cell + b"\nt;M2;6;x\n")
    assert parsed.faults == []
    assert table(parsed)["reason"] == [value, "x"]


def test_line_ends_and_blank_lines_are_no_records() -> None:
    parsed = parse(b"t;M1;1;a\r\n\r\n\nt;M2;2;b\r\n  \t\nt;M3;3;c")
    assert parsed.rows.to_pylist() == [0, 3, 5]
    assert table(parsed)["reason"] == ["a", "b", "c"]
    assert parsed.faults == []


def test_a_message_may_carry_its_line_end_but_not_two_lines() -> None:
    values = [b"t;M1;1;a\r\n", b"t;M2;2;b\nt;M3;3;c", b"t;M4;4;d"]
    parsed = parse_delimited(plant(), RawRecords.from_values(values, np.arange(3)))
    assert table(parsed)["source"] == ["M1", "M4"]
    assert codes(parsed) == [(1, FaultCode.MALFORMED)]


def test_header_is_skipped_wherever_it_stands() -> None:
    header = b"when;machine;qty;note\n"
    quoted = b'"when";"machine"; qty ;"note"\r\n'
    parsed = parse(b"\xef\xbb\xbf" + header + b"t;M1;1;a\n" + header + quoted + b"\xef\xbb\xbft;M2;2;b\n")
    assert parsed.rows.to_pylist() == [1, 4]
    assert table(parsed)["occurred"] == ["t", "t"]
    assert parsed.faults == []


@pytest.mark.parametrize(
    ("header", "difference"),
    [
        (b"when;machine;note;qty", "in another order: when, machine, note, qty"),
        (b"when;machine;qty", "missing note"),
        (b"when;machine;qty;note;shift", "unknown shift"),
        (b"when;machine;quantity;note", "missing qty; unknown quantity"),
    ],
)
def test_other_header_is_a_fault_that_says_what_differs(header: bytes, difference: str) -> None:
    parsed = parse(header + b"\nt;M1;1;a\n")
    assert [(f.row, f.code) for f in parsed.faults] == [(0, FaultCode.MALFORMED)]
    assert difference in parsed.faults[0].detail
    assert parsed.rows.to_pylist() == [1]


def test_a_value_that_equals_a_column_name_is_no_header() -> None:
    assert table(parse(b"when;M1;1;note\n"))["reason"] == ["note"]


def test_without_header_the_names_are_values() -> None:
    assert table(parse(b"when;machine;qty;note\n", plant(header=False)))["source"] == ["machine"]


def test_decimal_comma() -> None:
    parsed = parse(b"t;M1;1250,5;a,b\nt;M1;1.250,5;c\nt;M1;1.250;d\nt;M1;7;e.f\n", plant(decimal=","))
    assert table(parsed) == {
        "occurred": ["t", "t"],
        "source": ["M1", "M1"],
        "good": ["1250.5", "7"],
        "reason": ["a,b", "e.f"],
    }
    assert codes(parsed) == [(1, FaultCode.WRONG_TYPE), (2, FaultCode.WRONG_TYPE)]
    assert parsed.faults[0].detail == "good: '1.250,5' has a point, and the decimal sign is the comma"


def test_single_byte_encodings() -> None:
    line = "t;Fräse 1;1;5 € Œ ok".encode("cp1252")
    parsed = parse(line + b"\n" + b"t;M\x81;1;x\n" + line, plant(encoding="cp1252"))
    assert table(parsed)["source"] == ["Fräse 1", "Fräse 1"]
    assert table(parsed)["reason"] == ["5 € Œ ok", "5 € Œ ok"]
    assert codes(parsed) == [(1, FaultCode.NOT_UTF8)]
    assert "0x81" in parsed.faults[0].detail
    assert table(parse(b"t;Fr\xe4se;1;\x80", plant(encoding="latin-1")))["source"] == ["Fräse"]


def test_no_records() -> None:
    parsed = parse(b"")
    assert len(parsed.rows) == 0
    assert table(parsed) == {name: [] for name in FIELDS}


FIXED = {
    "columns": [
        {"name": "when", "start": 0, "width": 4},
        {"name": "machine", "start": 4, "width": 6},
        {"name": "qty", "start": 10, "width": 5},
        {"name": "filler", "start": 15, "width": 3},
    ],
    "decimal": ",",
}
FIXED_FIELDS = {"occurred": "when", "source": "machine", "good": "qty"}


def test_fixed_width_cuts_by_characters_and_strips_blanks() -> None:
    lines = ("0600Fräse1  5,5xyz\n0601M2       7   \n0602         8\n").encode()
    parsed = parse(lines, plant(FIXED_FIELDS, fixed=FIXED))
    assert parsed.rows.to_pylist() == [0, 1]
    assert table(parsed) == {"occurred": ["0600", "0601"], "source": ["Fräse1", "M2"], "good": ["5.5", "7"]}
    assert codes(parsed) == [(2, FaultCode.TRUNCATED)]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"0600M1      12", FaultCode.TRUNCATED),  # 12 of 120? Nobody knows.
        (b"0600M1    ", FaultCode.TRUNCATED),
        (b"0600M1      120", None),  # only filler is missing
        (b"0600M1      120x", None),
        (b"0600M1      120xyz   ", None),
        (b"0600M1      120xyz   y", FaultCode.MALFORMED),
        (b"0600M1    1.200", FaultCode.WRONG_TYPE),
        (b"0600M\xe4      120", FaultCode.NOT_UTF8),
    ],
)
def test_fixed_width_fault(line: bytes, code: FaultCode | None) -> None:
    parsed = parse(line + b"\n0600M0        1xyz\n\n", plant(FIXED_FIELDS, fixed=FIXED))
    assert codes(parsed) == ([] if code is None else [(0, code)])
    assert parsed.rows.to_pylist() == ([0, 1] if code is None else [1])


def test_text_where_fixed_width_has_no_column_is_a_fault_that_names_its_place() -> None:
    columns = [
        {"name": "qty", "start": 12, "width": 3},
        {"name": "when", "start": 1, "width": 4},
        {"name": "machine", "start": 6, "width": 4},
        {"name": "letter", "start": 6, "width": 1},
    ]
    lines = (" 0600 M1      7", " 0600 Fräse   8", " 0600 M1    100", "x0600 Fräs yz 9", " 0601 M2     10", " 0602 M3")
    parsed = parse("\n".join(lines).encode(), plant(FIXED_FIELDS, fixed={"columns": columns}))
    assert table(parsed)["good"] == ["7", "100", "10"]
    assert [(fault.row, fault.code, fault.detail) for fault in parsed.faults] == [
        (1, FaultCode.MALFORMED, "'e' stands between machine and qty, where no column is declared"),
        (3, FaultCode.MALFORMED, "'x' stands before when, where no column is declared"),
        (5, FaultCode.TRUNCATED, "8 characters; the mapped columns need 15"),
    ]


def test_fixed_width_in_a_single_byte_encoding() -> None:
    parsed = parse(
        "0600Fräse1  5,5xyz\n".encode("latin-1"), plant(FIXED_FIELDS, fixed={**FIXED, "encoding": "latin-1"})
    )
    assert table(parsed) == {"occurred": ["0600"], "source": ["Fräse1"], "good": ["5.5"]}
