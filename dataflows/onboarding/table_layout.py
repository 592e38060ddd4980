"""How delimited and fixed-width text is laid out: delimiter, quote, header, columns, decimal sign."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from canonical.mapping.plant import Encoding
from dataflows.onboarding.time_pattern import time_pattern

DELIMITERS: Final = ";\t|,"
_QUOTE: Final = '"'
_ALIKE: Final = 0.9
"""Share of lines that must have the columns; the others may be damaged."""
_WIDTH_MIN: Final = 12
_HEADING_WITHIN: Final = 5
"""Rows from the top among which names of columns are looked for."""
_COMMA: Final = re.compile(r"[+-]?\d+,\d+")
_POINT: Final = re.compile(r"[+-]?\d+\.\d+")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+")
_VALUE: Final = re.compile(r"[+-]?[\d.,:/ -]*\d[\d.,:/ -]*")


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """Delimited text, one record a line."""

    delimiter: str
    header: bool
    columns: tuple[str, ...]
    encoding: Encoding
    decimal: str

    def rows(self, lines: Sequence[str]) -> list[dict[str, str]]:
        """Return the lines that have the columns and are no header, by column."""
        return [
            dict(zip(self.columns, cells, strict=True))
            for cells in _cells(lines, self.delimiter)
            if len(cells) == len(self.columns) and (not self.header or tuple(cells) != self.columns)
        ]

    def remarks(self, lines: Sequence[str]) -> list[str]:
        """Return what is odd about the lines."""
        cells = _cells(lines, self.delimiter)
        odd = sum(len(each) != len(self.columns) for each in cells)
        grouped = sum(bool(_GROUPED.fullmatch(cell)) for each in cells for cell in each)
        found = [f"{odd} of {len(lines)} lines do not have {len(self.columns)} columns"] if odd else []
        if grouped:
            found.append(f"{grouped} numbers have points between their thousands, which are refused: write them plain")
        return found


@dataclass(frozen=True, slots=True)
class FixedLayout:
    """Fixed-width text: (name, start, width) of each column, in characters."""

    columns: tuple[tuple[str, int, int], ...]
    header: str
    encoding: Encoding
    decimal: str

    @property
    def remarks(self) -> list[str]:
        """What is odd about the layout."""
        found = ["columns were found by their blanks: compare starts and widths with the plant's record description"]
        if self.header:
            found.append("the first line is a heading, which becomes a fault: have the plant leave it out")
        return found

    def rows(self, lines: Sequence[str]) -> list[dict[str, str]]:
        """Return the lines but the heading, by column."""
        return [
            {name: line[start : start + width].strip() for name, start, width in self.columns}
            for line in lines
            if line != self.header
        ]


def csv_layout(lines: Sequence[str], encoding: Encoding) -> CsvLayout | None:
    """Return how the lines are delimited; None where no delimiter gives most of them the same columns."""
    best: tuple[float, str, int] | None = None
    for delimiter in DELIMITERS:
        counts = Counter(len(cells) for cells in _cells(lines, delimiter))
        columns, often = counts.most_common(1)[0]
        share = often / len(lines)
        # A comma inside of numbers and texts stands in lines of any format; a true delimiter gives many columns.
        if columns > 1 and share >= _ALIKE and (best is None or share * columns > best[0] * 1.5):
            best = (share * columns, delimiter, columns)
    if best is None:
        return None
    _, delimiter, count = best
    rows = [cells for cells in _cells(lines, delimiter) if len(cells) == count]
    heading = _heading_of(rows)
    names = heading or tuple(f"column_{i + 1}" for i in range(count))
    return CsvLayout(delimiter, bool(heading), names, encoding, _decimal(rows, delimiter))


def fixed_layout(lines: Sequence[str], encoding: Encoding) -> FixedLayout | None:
    """Return the columns of lines of one width, apart where all lines are blank; None where lines differ."""
    widths = Counter(len(line.rstrip()) for line in lines)
    longest = max(widths)
    if longest < _WIDTH_MIN or len(lines) < 3:
        return None
    header = _heading(lines)
    body = [line.ljust(longest) for line in lines if line != header]
    blank = [all(line[i] == " " for line in body) for i in range(longest)]
    runs = _runs(blank)
    if len(runs) < 2:
        return None
    sides = [_side([line[start:end] for line in body]) for start, end in runs]
    columns = []
    first = 0
    for i, (start, end) in enumerate(runs):
        after = runs[i + 1][0] if i + 1 < len(runs) else longest + 1
        last = _end(end, after, sides[i], sides[i + 1] if i + 1 < len(runs) else _Side.FULL)
        title = header[min(first, start) : after].strip() if header else ""
        begin = start if sides[i] is _Side.LEFT else min(first, start)
        columns.append((title or f"column_{i + 1}", begin, last - begin))
        first = last + 1
    columns = _instants_joined(columns, body)
    names = [name for name, _, _ in columns]
    if len(set(names)) < len(names):
        columns = [(f"column_{i + 1}", start, width) for i, (_, start, width) in enumerate(columns)]
    table = [[line[start : start + width].strip() for _, start, width in columns] for line in body]
    steady = sum(len(list(filter(None, row))) >= len(columns) / 2 for row in table)
    if steady < _ALIKE * len(body):
        return None
    return FixedLayout(tuple(columns), header, encoding, _decimal(table, " "))


class _Side(Enum):
    """Where the values of a column stand, which tells to which side longer ones will grow."""

    LEFT = 0
    RIGHT = 1
    FULL = 2  # all are of one length
    NUMBER = 3  # all are of one length, and numbers, which mostly stand right


def _side(cells: Sequence[str]) -> _Side:
    there = [cell for cell in cells if cell.strip()]
    if any(cell != cell.rstrip() for cell in there):
        return _Side.LEFT
    if any(cell != cell.lstrip() for cell in there):
        return _Side.RIGHT
    return _Side.NUMBER if all(map(_is_value, there)) else _Side.FULL


def _end(end: int, after: int, side: _Side, following: _Side) -> int:
    """Return where a column ends between its last letter and the next column's first: one blank stays between them."""
    if following is _Side.RIGHT:
        return (end + after) // 2 if side is _Side.LEFT else end
    if following is _Side.NUMBER and side is not _Side.LEFT:
        return end
    return max(end, after - 1)


def _instants_joined(columns: list[tuple[str, int, int]], lines: Sequence[str]) -> list[tuple[str, int, int]]:
    """Join a date and the time of day behind it into one column."""
    out: list[tuple[str, int, int]] = []
    for name, start, width in columns:
        if out:
            title, first, _ = out[-1]
            texts = [text for line in lines if (text := line[first : start + width].strip())]
            if time_pattern([line[start : start + width].strip() for line in lines]) is None and time_pattern(texts):
                out[-1] = (title, first, start + width - first)
                continue
        out.append((name, start, width))
    return out


def _cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    # One line at a time: a quote that is not closed must not swallow its neighbours.
    return [
        [cell.strip() for row in csv.reader([line], delimiter=delimiter, quotechar=_QUOTE) for cell in row]
        for line in lines
    ]


def _heading_of(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the names of the columns, if one of the first rows has them; files are concatenated, so it may repeat."""
    for row in rows[:_HEADING_WITHIN]:
        if not all(row) or len(set(row)) < len(row) or any(_VALUE.fullmatch(cell) for cell in row):
            continue
        rest = [other for other in rows if other != row]
        columns = [[other[i] for other in rest if other[i]] for i in range(len(row))]
        valued = any(column and sum(map(_is_value, column)) >= _ALIKE * len(column) for column in columns)
        if valued or not any(cell in column for cell, column in zip(row, columns, strict=True)):
            return tuple(row)
    return ()


def _is_value(cell: str) -> bool:
    return _VALUE.fullmatch(cell) is not None


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    comma = sum(bool(_COMMA.fullmatch(cell) or _GROUPED.fullmatch(cell)) for row in rows for cell in row)
    point = sum(bool(_POINT.fullmatch(cell)) for row in rows for cell in row)
    return "," if delimiter != "," and comma > point else "."


def _heading(lines: Sequence[str]) -> str:
    digits = [sum(c.isdigit() for c in line) for line in lines]
    return lines[0] if digits[0] == 0 and min(digits[1:]) > 0 else ""


def _runs(blank: Sequence[bool]) -> list[tuple[int, int]]:
    """Return where text stands, as [start, end)."""
    edges = [i for i, (a, b) in enumerate(pairwise([True, *blank, True])) if a != b]
    return list(zip(edges[::2], edges[1::2], strict=True))
