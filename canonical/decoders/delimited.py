"""Delimited text (CSV) and fixed-width text: one physical line is one record.

Law: a line is accepted or refused, and its values are read, by its own bytes alone. Structure is
judged for all lines at once before the bulk reader sees them, so the reader meets only lines
that it must accept, and a broken one cannot pull its neighbours down or swallow them.

The mapping states the columns, since a batch may begin anywhere in a file. A line that repeats
exactly these names is a header and skipped, wherever it stands: files are concatenated and
dropped again. A header with other names is a fault; rows cannot be read by position alone then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.decoders.lines import LF, Lines, Mask, read, spans
from canonical.decoders.parsed import Parsed
from canonical.mapping.fields import DURATION_FIELDS, QUANTITY_FIELDS
from canonical.mapping.plant import CsvSection, FixedColumn, FixedSection, PlantMapping
from canonical.mapping.reads import Kind
from canonical.records import RawRecords, RowFault

NUMBER_FIELDS: Final = frozenset((*QUANTITY_FIELDS, *DURATION_FIELDS, "energy", "seq"))
"""Fields whose decimal sign is the plant's."""

_BLANKS: Final = " \t\n\v\f\r"


def parse_delimited(mapping: PlantMapping, records: RawRecords) -> Parsed:
    """Read the mapped columns of CSV or fixed-width lines.

    Args:    mapping: of format csv or fixed. records: RAW[n], one line each.
    Returns: the mapped fields as strings, stripped of blanks, empty ones null, numbers with a
             decimal point; faults OVERSIZE, NOT_UTF8, TRUNCATED, MALFORMED, WRONG_TYPE. Rows in
             neither are blank lines and headers.
    """
    if mapping.csv is not None:
        columns = _columns(mapping, mapping.csv.columns)
        lines = read(records, mapping.csv.encoding, mapping.limits.record_bytes_max)
        return _parse_csv(mapping.csv, columns, _numbers(mapping), lines)
    assert mapping.fixed is not None, "a mapping has the section of its format"
    columns = _columns(mapping, [column.name for column in mapping.fixed.columns])
    lines = read(records, mapping.fixed.encoding, mapping.limits.record_bytes_max)
    return _parse_fixed(mapping.fixed, columns, _numbers(mapping), lines)


def _numbers(mapping: PlantMapping) -> frozenset[str]:
    """Return the fields and inputs whose decimal sign is the plant's."""
    return NUMBER_FIELDS | {name for name, read in mapping.reading.inputs.items() if read.kind is Kind.NUMBER}


def _columns(mapping: PlantMapping, names: Sequence[str]) -> dict[str, int]:
    """Return the index of the column of each mapped field; the mapping has been checked to name them."""
    return {name: names.index(read.path) for name, read in mapping.reading.reads.items()}


def _parse_csv(section: CsvSection, columns: Mapping[str, int], numbers: frozenset[str], lines: Lines) -> Parsed:
    assert section.delimiter.isascii(), "a delimiter is one byte"
    assert section.quote.isascii(), "a quote is one byte"
    _refuse_ill_formed(section, lines)
    first, last = 0, len(section.columns) - 1
    cells = _read_csv(section, {first, last, *columns.values()}, lines)
    if section.header:
        rows = np.flatnonzero(lines.usable)
        names = pa.array(section.columns)
        suspects = pc.or_(pc.is_in(cells[first], names), pc.is_in(cells[last], names)).to_numpy(zero_copy_only=False)
        plain = np.ones(len(rows), np.bool_)
        for i in np.flatnonzero(suspects).tolist():
            row = int(rows[i])
            found, _ = _cells(section, lines.line(row))
            if _is_header(section.columns, found):
                plain[i] = False
                if tuple(found) != section.columns:
                    lines.faults.append(RowFault(row, FaultCode.MALFORMED, _header_detail(section.columns, found)))
        if not plain.all():
            lines.usable[rows[~plain]] = False
            cells = {index: column.filter(pa.array(plain, pa.bool_())) for index, column in cells.items()}
    return _finished({field: cells[index] for field, index in columns.items()}, section.decimal, numbers, lines)


def _refuse_ill_formed(section: CsvSection, lines: Lines) -> None:
    """Refuse lines that do not have exactly the declared columns."""
    delimiters = np.flatnonzero(lines.body == ord(section.delimiter))
    quotes = np.flatnonzero(lines.body == ord(section.quote))
    well_formed = lines.count(delimiters) == len(section.columns) - 1
    if len(quotes):
        quoted = lines.count(quotes) > 0
        well_formed[quoted] = _plainly_quoted(section, lines, delimiters, quotes)[quoted]
    # What remains is judged one by one: faults, and the rare line with a quote inside a bare cell.
    for row in np.flatnonzero(lines.usable & ~well_formed).tolist():
        fault = _fault(section, lines.line(row))
        if fault is not None:
            lines.faults.append(RowFault(row, *fault))
            lines.usable[row] = False


def _plainly_quoted(section: CsvSection, lines: Lines, delimiters: IntColumn, quotes: IntColumn) -> Mask:
    """Return which lines have the declared columns and quotes only around cells or doubled inside.

    Counting the quotes of a line from 0, an even one opens a cell or, behind another quote, goes on
    with it; an odd one closes the cell, or is doubled by the next. A delimiter behind an odd
    number of quotes is text.
    """
    body = np.concatenate((lines.body, np.full(1, LF, np.uint8)))
    first = np.searchsorted(quotes, lines.starts)
    count = np.searchsorted(quotes, lines.ends) - first
    line = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    at = quotes[np.repeat(first, count) + nth]
    opens = nth % 2 == 0
    edge = np.where(opens, at == lines.starts[line], at + 1 == lines.ends[line])
    beside = body[np.where(opens, at - 1, at + 1)]
    proper = edge | (beside == ord(section.delimiter)) | (beside == ord(section.quote))
    improper = np.bincount(line[~proper], minlength=len(count))
    before = np.searchsorted(quotes, delimiters)
    owner = np.searchsorted(lines.starts, delimiters, side="right") - 1
    outside = (before - first[owner]) % 2 == 0
    columns = lines.count(delimiters[outside]) + 1
    plain: Mask = (improper == 0) & (count % 2 == 0) & (columns == len(section.columns))
    return plain


def _cell_pattern(delimiter: str, quote: str) -> str:
    """Return what a cell is: quoted with quotes doubled, or text that does not begin with a quote."""
    d, q = re.escape(delimiter), re.escape(quote)
    return f"(?:{q}(?:[^{q}]|{q}{q})*{q}|[^{d}{q}][^{d}]*|)"


def _fault(section: CsvSection, line: str) -> tuple[FaultCode, str] | None:
    """Say what is wrong with one line, if anything is."""
    cells, problem = _cells(section, line)
    if problem is not None or len(cells) == len(section.columns):
        return problem
    if section.header and _is_header(section.columns, cells):
        return FaultCode.MALFORMED, _header_detail(section.columns, cells)
    code = FaultCode.TRUNCATED if len(cells) < len(section.columns) else FaultCode.MALFORMED
    return code, f"{len(cells)} columns instead of {len(section.columns)}"


def _cells(section: CsvSection, line: str) -> tuple[list[str], tuple[FaultCode, str] | None]:
    """Take one line apart: its cells up to its end, or up to where the quotes go wrong."""
    quote = section.quote
    pattern = re.compile(_cell_pattern(section.delimiter, quote))
    cells: list[str] = []
    at = 0
    while True:
        match = pattern.match(line, at)
        assert match is not None, "a cell may be empty"
        cell = match[0]
        if cell.startswith(quote):
            cell = cell[1:-1].replace(quote * 2, quote)
        cells.append(cell.strip(_BLANKS))
        at = match.end()
        if at == len(line):
            return cells, None
        if line[at] == quote:
            return cells, (FaultCode.TRUNCATED, f"column {len(cells)}: a quote is opened and not closed")
        if line[at] != section.delimiter:
            return cells, (FaultCode.MALFORMED, f"column {len(cells)}: text after the closing quote")
        at += 1


def _is_header(columns: Iterable[str], cells: Sequence[str]) -> bool:
    """Return whether more than half of the cells are names of columns."""
    return 2 * len(set(columns) & set(cells)) > len(cells)


def _header_detail(columns: Sequence[str], cells: Sequence[str]) -> str:
    missing = [name for name in columns if name not in cells]
    unknown = [cell for cell in cells if cell not in columns]
    differences = [
        *([f"missing {', '.join(missing)}"] if missing else []),
        *([f"unknown {', '.join(unknown)}"] if unknown else []),
    ] or [f"in another order: {', '.join(cells)}"]
    return f"a header other than csv.columns ({'; '.join(differences)}); correct csv.columns and drop the file again"[
        :1024
    ]


def _read_csv(section: CsvSection, wanted: Iterable[int], lines: Lines) -> dict[int, pa.Array]:
    """Read columns of the usable lines in bulk, by index; all usable lines are well formed."""
    count = int(np.count_nonzero(lines.usable))
    names = {index: str(index) for index in sorted(wanted)}
    if not count:
        return {index: pa.array([], pa.string()) for index in names}
    table = pyarrow.csv.read_csv(
        pa.BufferReader(_only_usable(lines)),
        read_options=pyarrow.csv.ReadOptions(
            column_names=[str(index) for index in range(len(section.columns))],
            block_size=len(lines.data) + 1,
            use_threads=False,
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=section.delimiter, quote_char=section.quote),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(names.values()),
            column_types=dict.fromkeys(names.values(), pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    assert table.num_rows == count, f"{count} lines were read as {table.num_rows} rows"
    return {index: _stripped(table[name].combine_chunks()) for index, name in names.items()}


def _only_usable(lines: Lines) -> pa.Buffer:
    """Return the data with all but the usable lines overwritten by line ends, which the reader passes over."""
    if lines.apart and lines.usable.all():
        return pa.py_buffer(lines.data)
    body = lines.body.copy()
    if lines.apart:
        for row in np.flatnonzero(~lines.usable).tolist():
            body[lines.starts[row] : lines.ends[row]] = LF
    else:
        edges = np.zeros(len(body) + 1, np.int8)
        np.add.at(edges, lines.starts[lines.usable], 1)
        np.add.at(edges, lines.ends[lines.usable], -1)
        body[np.cumsum(edges[:-1], dtype=np.int8) == 0] = LF
    return pa.py_buffer(body)


def _parse_fixed(section: FixedSection, columns: Mapping[str, int], numbers: frozenset[str], lines: Lines) -> Parsed:
    """Cut lines by position.

    A line must reach the end of its last mapped column. What may be missing is only what nobody
    reads: padding and columns behind it. A line that ends inside or before a mapped column is
    TRUNCATED even if blanks may have stood there, since 12 cut from 120 cannot be told from 12.

    What the mapping declares no column for is blank: text there is a layout that has changed, or a value wider than
    its column, and the line is MALFORMED.
    """
    mapped = {section.columns[index] for index in columns.values()}
    needed = max((column.start + column.width for column in mapped), default=0)
    width = max(column.start + column.width for column in section.columns)
    rows = np.flatnonzero(lines.usable)
    text = spans(lines.data, lines.starts[rows], lines.ends[rows])
    length = np.zeros(len(lines.usable), np.int64)
    length[rows] = pc.utf8_length(text).to_numpy()
    beyond = np.zeros(len(lines.usable), np.bool_)
    for row in np.flatnonzero(length > width).tolist():
        beyond[row] = bool(lines.line(row)[width:].strip())
    lines.refuse(
        length < needed, FaultCode.TRUNCATED, lambda row: f"{length[row]} characters; the mapped columns need {needed}"
    )
    lines.refuse(
        beyond, FaultCode.MALFORMED, lambda row: f"{length[row]} characters; the columns end at {width}, text follows"
    )
    text, rows = text.filter(pa.array(lines.usable[rows], pa.bool_())), np.flatnonzero(lines.usable)
    ascii_only = lines.data.isascii()
    between: dict[int, str] = {}
    for gap in _gaps(section.columns):
        found = _stripped(_cut(text, gap, ascii_only=ascii_only))
        for i in np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False)).tolist():
            between.setdefault(
                int(rows[i]), f"{found[i].as_py()[:64]!r} stands {gap.name}, where no column is declared"
            )
    if between:
        undeclared = np.isin(np.arange(len(lines.usable)), list(between))
        text = text.filter(pa.array(~undeclared[rows], pa.bool_()))
        lines.refuse(undeclared, FaultCode.MALFORMED, between.__getitem__)
    cells = {
        field: _stripped(_cut(text, column, ascii_only=ascii_only))
        for field, column in ((field, section.columns[index]) for field, index in columns.items())
    }
    return _finished(cells, section.decimal, numbers, lines)


def _gaps(columns: Sequence[FixedColumn]) -> list[FixedColumn]:
    """Return the places before and between the columns that belong to none, each named by those beside it."""
    gaps, end, last = [], 0, ""
    for column in sorted(columns, key=attrgetter("start")):
        if column.start > end:
            name = f"between {last} and {column.name}" if last else f"before {column.name}"
            gaps.append(FixedColumn(name=name, start=end, width=column.start - end))
        if column.start + column.width > end:
            end, last = column.start + column.width, column.name
    return gaps


def _cut(text: pa.StringArray, column: FixedColumn, *, ascii_only: bool) -> pa.StringArray:
    """Return the characters of one column; in ASCII they are bytes, which are quicker to find."""
    start, stop = column.start, column.start + column.width
    if ascii_only:
        return pc.binary_slice(text.cast(pa.binary()), start, stop).cast(pa.string())
    return pc.utf8_slice_codeunits(text, start, stop)


def _stripped(column: pa.Array) -> pa.Array:
    """Return the cells without blanks around them; empty ones are null."""
    stripped = pc.ascii_trim_whitespace(column)
    empty = pc.equal(stripped, "")
    return pc.if_else(empty, None, stripped) if pc.any(empty).as_py() else stripped


def _finished(cells: dict[str, pa.Array], decimal: str, numbers: frozenset[str], lines: Lines) -> Parsed:
    """Give numbers a decimal point and drop the rows whose numbers use the other sign.

    With a decimal comma a point may separate thousands or decimals; reading 1.250 as either would
    be a guess, a thousandfold one.
    """
    rows = np.flatnonzero(lines.usable)
    if decimal == ",":
        good: Mask = np.ones(len(rows), np.bool_)
        for field in sorted(numbers & cells.keys()):
            pointed = pc.fill_null(pc.match_substring(cells[field], "."), fill_value=False)
            for i in np.flatnonzero(pointed.to_numpy(zero_copy_only=False) & good).tolist():
                good[i] = False
                detail = f"{field}: {cells[field][i].as_py()[:64]!r} has a point, and the decimal sign is the comma"
                lines.faults.append(RowFault(int(rows[i]), FaultCode.WRONG_TYPE, detail))
            cells[field] = pc.replace_substring(cells[field], ",", ".")
        if not good.all():
            rows = rows[good]
            cells = {field: column.filter(pa.array(good, pa.bool_())) for field, column in cells.items()}
    return Parsed(pa.array(rows, pa.int32()), cells, sorted(lines.faults, key=attrgetter("row")))
