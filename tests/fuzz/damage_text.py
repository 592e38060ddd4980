"""Mutations of lines by cell: quotes, separators, numbers of columns, headers, times and decimal signs."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.fuzz.damage_bytes import Damage

CELLS = (
    b"", b" ", b"\t", b"\x0b", b"\xa0", b"\xc2\xa0", b"\xe3\x80\x80", b"0", b"-0", b"-1", b"1", b"1,5", b"1.5",
    b"1.250,5", b"1,250.5", b"1,,5", b",5", b"5,", b"1e3", b"1E+02", b"1e99999", b"1e-5", b"+7", b"0,0005", b"0.001",
    b"9007199254740993", b"1" * 400, b"0" * 400, b"NaN", b"inf", b"-Infinity", b"0x10", b"1_000", b"1 000",
    b"\xd9\xa1\xd9\xa2", b"\xb2", b"true", b"NULL", b"#N/A", b"=1+1", b"\0", b"a\0b", b"\xff", b"\x81", b"\x80",
    b"\xe4", b"\xc3\xa4", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"e\xcc\x81", b"\xe2\x80\xa8", b"\xc2\x85",
    b"x" * 256, b"x" * 257, b"\xc3\xa4" * 256, b"x" * 5000, b'"', b'""', b'"""', b'a"b', b'"a', b'a"', b'"a"b',
    b'"a""b"', b"'a'", b"''", b"\\", b"\\n", b"\\|", b'"\\|"', b"@", b"@1.5", b"@ASSET@", b"UNAVAILABLE",
    b"unavailable", b"Stand", b"Ende", b"Stk", b"KGM", b"SCR", b"03.03.2026 11:00:00", b"3.3.2026 11:00:00",
    b"31.02.2026 11:00:00", b"29.03.2026 02:30:00", b"25.10.2025 02:30:00", b"03.03.2026 24:00:00",
    b"03.03.2026 11:00:61", b"03.03.0001 00:00:00", b"31.12.9999 23:59:59", b"03.03.2026  11:00:00",
    b"2026-03-03T11:00:00Z", b"2026-03-03T11:00:00", b"2026-03-03 11:00", b"2026-03-03T11:00:00.123456789+01:00",
    b"2026-03-29T02:30:00", b"2025-10-26T02:30:00", b"2026-03-03", b"0001-01-01T00:00:00", b"9999-12-31T23:59:59Z",
    b"2026-03-03T11:00:00Z@100.5", b"2026-03-03 11:00:00.5+0100", b"2026-03-03 11:00:00.000001Z",
    b"2026-03-03 11:00:00.0000019-1200", b"03-Mar-26 11:00:00", b"03-M\xe4r-26 11:00:00", b"29-Feb-26 11:00:00",
    b"1772539200", b"1772539200,5", b"1772539200.123456789", b"-1", b"1e10", b"99999999999",
)  # fmt: skip
LINE_ENDS = (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\n", b"\x1a", b"\0", b"\x0c")


def damage(delimiter: bytes, quote: bytes = b'"', header: bytes = b"", *, fixed: bool = False) -> Damage:
    """Return a mutation for lines of this form; ``fixed`` lines have no delimiter and are cut at random."""

    def damaged(rng: Random, line: bytes, donors: Sequence[bytes]) -> bytes:
        if fixed:
            return _fixed(rng, line, donors)
        cells = line.split(delimiter)
        at = rng.randrange(len(cells))
        match rng.randrange(12):
            case 0 | 1 | 2:
                cells[at] = rng.choice(CELLS)
            case 3:
                cells[at] = quote + cells[at] + rng.choice((quote, quote, b"", quote * 2))
            case 4:
                inside = rng.choice((quote, quote * 2, delimiter, b"\n", b"\r", b" "))
                half = rng.randint(0, len(cells[at]))
                cells[at] = rng.choice((quote, b"")) + cells[at][:half] + inside + cells[at][half:] + quote
            case 5:
                cells[at:at] = rng.choice(([b""], [b""] * 3, [cells[at]], [rng.choice(CELLS)], [b""] * 300))
            case 6:
                del cells[at : at + rng.choice((1, 1, 2))]
            case 7:
                other = rng.randrange(len(cells))
                cells[at], cells[other] = cells[other], cells[at]
            case 8:
                theirs = rng.choice(donors).split(delimiter)
                cells[at:] = theirs[rng.randrange(len(theirs)) :]
            case 9:
                cells[at] = (
                    rng.choice((b" ", b"\t", b"\xa0", b"\x0b", b"\xef\xbb\xbf"))
                    + cells[at]
                    + rng.choice((b" ", b"\r", b"\t"))
                )
            case 10:
                return line + rng.choice(LINE_ENDS) if rng.random() < 0.8 else rng.choice(LINE_ENDS) + line
            case _:
                return (
                    _header(rng, header, delimiter)
                    if header
                    else rng.choice((b"* note", b"<x/>", b"--multiline--A", b" "))
                )
        return delimiter.join(cells)

    return damaged


def _header(rng: Random, header: bytes, delimiter: bytes) -> bytes:
    cells = header.split(delimiter)
    match rng.randrange(5):
        case 0:
            rng.shuffle(cells)
        case 1:
            cells[rng.randrange(len(cells))] = rng.choice(CELLS)
        case 2:
            del cells[rng.randrange(len(cells))]
        case 3:
            cells[:0] = [b"\xef\xbb\xbf"]
        case _:
            return rng.choice((b"\xef\xbb\xbf", b" ", b"")) + header + rng.choice((b"", b"\r", b" "))
    return delimiter.join(cells)


def _fixed(rng: Random, line: bytes, donors: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(line))
    match rng.randrange(5):
        case 0:
            cell = rng.choice(CELLS)
            return line[:at] + cell + line[at + len(cell) :]
        case 1:
            return line[:at] + rng.choice(CELLS) + line[at:]
        case 2:
            return line[:at] + rng.choice(donors)[at:]
        case 3:
            return line + rng.choice((*LINE_ENDS, b" " * 30, b"x", b" x", b"\xc3\xa4", b"\xa0"))
        case _:
            return line[:at]
