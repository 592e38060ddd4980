"""MTConnect adapter lines (SHDR): ``timestamp|key|value|key|value...``.

Law: what a line becomes depends on its own bytes alone, since a batch may begin anywhere, also in
the middle of an asset. A line is

- an observation, one record, when it begins with a date: ``2022-08-08T13:51:34.7167146Z|...``.
  Asset commands (``@ASSET@`` and its kin in place of a key) are such lines and telemetry;
- no record when it is blank, or begins with ``*`` (commands of adapter and agent), with ``<`` or
  with ``--multiline--`` (the document of an asset, which stretches over lines);
- a fault otherwise: MALFORMED, or TRUNCATED when its last key has no value.

A CONDITION takes six cells (key, level, code, severity, qualifier, text), an even number, so keys
are at even places whether or not conditions stand between; no device model is needed to find them.

Source: MTConnect Part 5 and cppagent ``shdr_tokenizer.hpp`` (quoted cells, escaped pipes).
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.decoders.lines import Lines, Mask, read, spans
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.mapping.plant import SHDR_TYPES
from canonical.records import RawRecords

COUNTERS: Final = ("good_counter", "scrap_counter")
UNAVAILABLE: Final = "UNAVAILABLE"
"""The value of an item that its machine cannot tell now."""

_TYPES: Final = pa.array([kind.value for kind in SHDR_TYPES])
_PIPE, _AT, _BACKSLASH = b"|@\\"
_DATE: Final = ((0, b"0123456789"), (4, b"-"), (7, b"-"), (10, b"T"))
_PASSED_OVER: Final = ("<", "*", "--multiline--")
_QUOTED: Final = r'"(?:[^"|\\]|\\.)*"'
_QUOTED_CELL: Final = re.compile(rf"\|\s*{_QUOTED}\s*(?=\||$)".encode())


def parse_shdr(mapping: PlantMapping, records: RawRecords) -> Parsed:
    """Read the mapped items of adapter lines.

    Args:    mapping: of format shdr. records: RAW[n], one line each.
    Returns: ``occurred``, the timestamp without its duration (``@...``); ``type``: partial where
             the line carries a reading of a counter, else where it carries the item mapped as type
             its value, if the mapping has words for it, and state if not, else telemetry;
             ``session_start`` (bool): the line says that the item that
             opens a session is available; and each mapped item, null where the line does not carry
             it or its value is empty or UNAVAILABLE. If a line carries an item twice the last counts.
             Faults OVERSIZE, NOT_UTF8, MALFORMED, TRUNCATED. Rows in neither are no records.
    """
    section = mapping.shdr
    assert section is not None, "a mapping has the section of its format"
    lines = read(records, "utf-8", mapping.limits.record_bytes_max)
    pipes = _separators(lines)
    first, last = np.searchsorted(pipes, lines.starts), np.searchsorted(pipes, lines.ends)
    _refuse_ill_formed(lines, last - first)
    observations = _Observations(lines, pipes, first, last)
    fields: dict[str, pa.Array] = {
        name: observations.values(read.path) for name, read in mapping.reading.reads.items() if name != "type"
    }
    reads = np.zeros(len(observations.rows), np.bool_)
    for name in COUNTERS:
        if name in section.items:
            values = fields[name] if name in fields else observations.values(section.items[name].path)
            reads |= values.is_valid().to_numpy(zero_copy_only=False)
    state = section.items.get("type")
    states = observations.carry(state.path) if state else np.zeros_like(reads)
    fields["type"] = _TYPES.take(pa.array(np.where(reads, 2, np.where(states, 1, 0)), pa.int64()))
    if state and states.any() and (mapping.types or mapping.packml):
        told = observations.values(state.path)
        fields["type"] = pc.if_else(pc.and_(told.is_valid(), pa.array(~reads)), told, fields["type"])
    if section.session_start:
        fields["session_start"] = observations.values(section.session_start).is_valid()
    fields["occurred"] = observations.timestamps()
    return Parsed(pa.array(observations.rows, pa.int32()), fields, sorted(lines.faults, key=attrgetter("row")))


def _separators(lines: Lines) -> IntColumn:
    """Return the positions of the pipes that separate cells, not those escaped inside quoted ones."""
    pipes = np.flatnonzero(lines.body == _PIPE)
    if b"\\|" not in lines.data:
        return pipes
    escaped = pipes[(pipes > 0) & (lines.body[pipes - 1] == _BACKSLASH)]
    inside = []
    for row in np.flatnonzero((lines.count(escaped) > 0) & lines.usable).tolist():
        start = int(lines.starts[row])
        line = lines.data[start : lines.ends[row]]
        for cell in _QUOTED_CELL.finditer(line):
            inside += [start + at for at in range(cell.start() + 1, cell.end()) if line[at] == _PIPE]
    return np.setdiff1d(pipes, np.array(inside, np.int64), assume_unique=True)


def _refuse_ill_formed(lines: Lines, pipes: IntColumn) -> None:
    """Leave as usable the observations whose keys all have values; ``pipes`` is their count per line."""
    body = np.concatenate((lines.body, np.zeros(16, np.uint8)))  # a line may be shorter than a date
    dated: Mask = lines.ends - lines.starts > _DATE[-1][0]
    for place, characters in _DATE:
        known = np.zeros(256, np.bool_)
        known[list(characters)] = True
        dated &= known[body[lines.starts + place]]
    foreign = np.zeros_like(dated)
    for row in np.flatnonzero(lines.usable & ~dated).tolist():
        foreign[row] = not lines.line(row).lstrip().startswith(_PASSED_OVER)
    lines.refuse(foreign, FaultCode.MALFORMED, lambda _: "neither a timestamp nor a command nor part of an asset")
    lines.usable &= dated
    # An asset's cells are not counted: its document may stand in the line, pipes and all.
    odd = (pipes % 2 == 1) | (pipes == 0)
    odd[odd & lines.usable] = [
        not lines.line(row).partition("|")[2].startswith("@") for row in np.flatnonzero(odd & lines.usable).tolist()
    ]
    lines.refuse(
        odd, FaultCode.TRUNCATED, lambda row: f"{pipes[row]} cells after the timestamp; the last key has no value"
    )


class _Observations:
    """Cells of the usable lines: pipe j ends one cell and begins the next.

    Those of line i are the pipes [first[i], last[i]).
    """

    def __init__(self, lines: Lines, pipes: IntColumn, first: IntColumn, last: IntColumn) -> None:
        self.rows: Final = np.flatnonzero(lines.usable)
        self._data: Final = lines.data
        self._body: Final = lines.body
        self._starts: Final = lines.starts[self.rows]
        self._ends: Final = lines.ends[self.rows]
        self._pipes: Final = pipes
        self._widths: Final = np.diff(pipes) - 1  # of the cell behind each pipe but the last
        self._first: Final = first[self.rows]
        self._last: Final = last[self.rows]

    def timestamps(self) -> pa.StringArray:
        """Return the text before the first pipe, without a duration."""
        texts = spans(self._data, self._starts, self._pipes[self._first])
        if pc.any(pc.match_substring(texts, "@")).as_py():
            texts = pc.replace_substring_regex(texts, "@.*$", "")
        return texts

    def carry(self, item: str) -> Mask:
        """Return which lines carry an item, whatever its value."""
        carried = np.zeros(len(self.rows), np.bool_)
        carried[self._find(item)[0]] = True
        return carried

    def values(self, item: str) -> pa.StringArray:
        """Return the last value of an item in each line."""
        at, pipe = self._find(item)
        if not len(at):
            return pa.nulls(len(self.rows), pa.string())
        following = np.minimum(pipe + 2, len(self._pipes) - 1)
        ends = np.where(pipe + 2 < self._last[at], self._pipes[following], self._ends[at])
        texts = _bare(spans(self._data, self._pipes[pipe + 1] + 1, ends))
        which = np.full(len(self.rows), -1)
        which[at] = np.arange(len(at))
        return texts.take(pa.array(which, pa.int64(), mask=which < 0))

    def _find(self, item: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the lines that carry an item, and the pipe before its last key in each."""
        key = np.frombuffer(item.encode(), np.uint8)
        if not len(self.rows):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        pipe = np.flatnonzero(self._widths == len(key))
        for i in range(len(key)):
            pipe = pipe[self._body[self._pipes[pipe] + 1 + i] == key[i]]
        at = np.searchsorted(self._starts, self._pipes[pipe], side="right") - 1
        # Keys are at even places of an observation; a line refused or passed over is none.
        is_key = (at >= 0) & (self._pipes[pipe] < self._ends[at]) & ((pipe - self._first[at]) % 2 == 0)
        is_key &= self._body[self._pipes[self._first[at]] + 1] != _AT
        pipe, at = pipe[is_key], at[is_key]
        last = np.append(at[1:] != at[:-1], np.ones(min(len(at), 1), np.bool_))
        return at[last], pipe[last]


def _bare(values: pa.StringArray) -> pa.StringArray:
    """Return values without blanks and quotes around them; null if empty or unavailable."""
    values = pc.ascii_trim_whitespace(values)
    quoted = pc.match_substring_regex(values, f"^{_QUOTED}$")
    if pc.any(quoted).as_py():
        inner = pc.replace_substring_regex(pc.utf8_slice_codeunits(values, 1, -1), r"\\(.)", r"\1")
        values = pc.if_else(quoted, inner, values)
    absent = pc.is_in(values, pa.array(["", UNAVAILABLE]))
    return pc.if_else(absent, None, values)
