"""From the words of a plant to canonical columns.

Laws: every parsed row becomes exactly one event or one fault; a row's outcome depends on nothing
but the row, the mapping and ``now_us``. A row has one fault, the first in this order:

1. text too long, by column;
2. a missing field: source, then plant, then the event id where the plant sends one and does not number;
3. the sequence number: missing, then bad;
4. occurred: missing, bad, in the future, in the past; then recorded the same, but it may be missing;
5. the type, missing or unknown; then the unit;
6. quantities, counters, durations and energy, by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import DEFAULTS, CodeColumn, Column, EventBatch, IntColumn, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders.coding import TEXT_MAX, UNKNOWN, coding, constant_code
from canonical.decoders.instants import instants, time_bounds
from canonical.decoders.parsed import Decoded, Parsed
from canonical.decoders.quantities import (
    COUNTER_MAX,
    Findings,
    Mask,
    measured,
    sequence_numbers,
    thousandths,
    valid_rows,
)
from canonical.identity import content_identity
from canonical.mapping import PlantMapping
from canonical.mapping.fields import DURATION_FIELDS, DURATION_US, ENERGY_MWH, QUANTITY_FIELDS, TEXT_FIELDS
from canonical.records import RawRecords, RowFault

YEAR_1_US: Final = -62_135_596_800_000_000
"""Where the calendar begins: Arrow also takes a year 0, which no clock means."""

_DETAIL_MAX: Final = 120
_VALUE_MAX: Final = 48


def canonicalise(
    mapping: PlantMapping, parsed: Parsed, records: RawRecords, vocabulary: Vocabulary, now_us: int
) -> Decoded:
    """Check and convert the parsed fields of a raw batch.

    Args:    records: RAW[n], of which ``parsed`` holds k rows; now_us: the time of reading, int64 UTC microseconds.
    Returns: EVENT[<=k] in row order and all faults by row; rows that are in neither count as skipped.
    """
    rows = np.asarray(parsed.rows, np.int32)
    work = _Work(mapping, parsed, rows, records, vocabulary)
    if len(rows):
        work.texts()
        work.identity()
        work.sequence()
        work.times(now_us)
        work.types()
        work.units()
        work.quantities()
        work.session_starts()
    events = EventBatch(len(rows), {**work.columns, "offset": records.offsets[rows], "row": rows})
    faults = list(parsed.faults)
    if work.found:
        faults += work.faults()
        good = np.ones(len(rows), np.bool_)
        good[list(work.found)] = False
        events = events.take(good)
    faults.sort(key=lambda fault: fault.row)
    return Decoded(events, faults, len(records) - len(events) - len(faults))


def valued(
    mapping: PlantMapping,
    fields: Mapping[str, pa.Array],
    rows: NDArray[np.int32],
    records: RawRecords,
    vocabulary: Vocabulary,
    now_us: int,
) -> tuple[dict[str, Column], Mask]:
    """Return the columns of sequence numbers, instants and quantities, and which rows have a fault in one of them."""
    work = _Work(mapping, Parsed(pa.array(rows), fields), rows, records, vocabulary)
    if fields:
        work.sequence()
        work.times(now_us)
        work.quantities()
    faulty = np.zeros(len(rows), np.bool_)
    faulty[list(work.found)] = True
    return work.columns, faulty


class _Work:
    """The columns and the first fault of each row, while a batch is converted."""

    def __init__(
        self,
        mapping: PlantMapping,
        parsed: Parsed,
        rows: NDArray[np.int32],
        records: RawRecords,
        vocabulary: Vocabulary,
    ) -> None:
        self.mapping = mapping
        self.fields = parsed.fields
        self.rows = rows
        self.records = records
        self.vocabulary = vocabulary
        self.columns: dict[str, Column] = {}
        self.found: dict[int, tuple[FaultCode, str]] = {}

    def texts(self) -> None:
        for name in TEXT_FIELDS:
            if name == "unit":
                continue
            constant = constant_code(self.mapping, self.vocabulary, name)
            if constant is not None:
                self.columns[name] = self.same(constant)
            elif name in self.fields:
                self.columns[name] = self.coded(name)
        for name in ("source", "plant"):
            if name in self.fields:
                self.missing(name, self.columns[name] == 0)

    def coded(self, name: str) -> CodeColumn:
        """Return a code per row, asking for the distinct texts once."""
        how = coding(self.mapping, self.vocabulary, name)
        values = self.fields[name]
        if not pa.types.is_dictionary(values.type):
            values = (values if pa.types.is_string(values.type) else values.cast(pa.string())).dictionary_encode()
        distinct, indices = values.dictionary, values.indices
        texts: list[str] = distinct.to_pylist()
        too_long = np.zeros(0, np.bool_)
        if max(map(len, texts), default=0) > TEXT_MAX:
            too_long = np.fromiter((len(text) > TEXT_MAX for text in texts), np.bool_, len(texts))
            texts = [text if len(text) <= TEXT_MAX else "" for text in texts]
        table = how.codes(texts)
        if "" in texts:
            table[[not text for text in texts]] = how.absent
        if indices.null_count:
            table = np.append(table, np.int32(how.absent))
            indices = indices.fill_null(len(texts))
        at = indices.to_numpy()
        if too_long.any():
            too_long = np.append(too_long, np.False_)
            self.fault(too_long[at], FaultCode.TEXT_TOO_LONG, name, f"longer than {TEXT_MAX} characters")
        column: CodeColumn = table[at]
        return column

    def identity(self) -> None:
        """Give records without numbers an identity: their source and event id, or all their bytes."""
        if self.mapping.sequencing.mode == "number":
            return
        if "event_id" in self.fields:
            ids: list[str | None] = self.fields["event_id"].cast(pa.string()).to_pylist()
            self.missing("event_id", np.fromiter((not i for i in ids), np.bool_, len(ids)))
            texts = self.vocabulary.texts
            sources = self["source"].tolist()
            contents: Iterator[bytes] = (f"{texts[s]}\0{i}".encode() for s, i in zip(sources, ids, strict=True))
        else:
            contents = map(self.records.value, self.rows.tolist())
        self.columns["identity"] = np.fromiter(map(content_identity, contents), np.uint64, len(self.rows))

    def sequence(self) -> None:
        if self.mapping.sequencing.mode == "number" and "seq" in self.fields:
            values = self.fields["seq"]
            self.missing("seq", ~valid_rows(values))
            self.columns["seq"], findings = sequence_numbers(values, self.mapping.sequencing.modulus)
            self.faulty("seq", findings)

    def times(self, now_us: int) -> None:
        past_us, future_us = time_bounds(self.mapping, now_us)
        for name, column in (("occurred", "occurred_us"), ("recorded", "recorded_us")):
            if name not in self.fields:
                continue
            values = self.fields[name]
            us, valid = instants(self.mapping, values)
            if us.min() < YEAR_1_US:
                valid = valid & (us >= YEAR_1_US)
            if not valid.all():
                null = ~valid_rows(values)
                if name == "occurred":
                    self.missing(name, null)
                self.fault(~valid & ~null, FaultCode.BAD_TIMESTAMP, name, f"no instant ({self.mapping.time.format})")
                us = np.where(valid, us, -1)
            if us.max() > future_us:
                self.fault(valid & (us > future_us), FaultCode.TIMESTAMP_FUTURE, name, "in the future", us)
            if us.min() < past_us:
                self.fault(valid & (us < past_us), FaultCode.TIMESTAMP_PAST, name, "too far in the past", us)
            self.columns[column] = us

    def types(self) -> None:
        if "type" not in self.fields:
            self.columns["type"] = self.same(self.constant("type")).astype(np.int8)
            return
        column = self.coded("type")
        if column.min() == UNKNOWN:
            self.missing("type", (column == UNKNOWN) & self.empty("type"))
            self.fault(column == UNKNOWN, FaultCode.UNKNOWN_TYPE, "type", "not in [types] of the mapping")
        self.columns["type"] = column.astype(np.int8)

    def units(self) -> None:
        if "unit" not in self.fields:
            self.columns["unit"] = self.same(self.constant("unit"))
            return
        column = self.coded("unit")
        if column.min() == UNKNOWN:
            self.fault(
                column == UNKNOWN, FaultCode.UNKNOWN_UNIT, "unit", "not in [units] of the mapping, and not Rec 20"
            )
        self.columns["unit"] = column

    def constant(self, name: str) -> int:
        code = constant_code(self.mapping, self.vocabulary, name)
        assert code is not None, "types and units have a constant or a default"
        return code

    def quantities(self) -> None:
        limits, sources = self.mapping.limits, self.mapping.sources
        for name in QUANTITY_FIELDS:
            if name in self.fields:
                counter = name.endswith("_counter")
                column, findings = thousandths(
                    self.fields[name], COUNTER_MAX if counter else limits.quantity_max, DEFAULTS[name][1]
                )
                self.columns[name] = column
                self.faulty(name, findings)
        scales = {name: (f"{name}_us", DURATION_US, "s") for name in DURATION_FIELDS}
        scales["energy"] = ("energy_mwh", ENERGY_MWH, "Wh")
        for name, (target, units, default) in scales.items():
            if name in self.fields:
                scale = units[sources[name].unit or default]  # type: ignore[index]
                largest = limits.quantity_max * units[default] / scale
                self.columns[target], findings = measured(self.fields[name], scale, largest)
                self.faulty(name, findings)

    def session_starts(self) -> None:
        if "session_start" in self.fields:
            self.columns["session_start"] = (
                self.fields["session_start"].fill_null(fill_value=False).to_numpy(zero_copy_only=False)
            )

    def __getitem__(self, name: str) -> Column:
        column = self.columns.get(name)
        return self.same(0) if column is None else column

    def same(self, code: int) -> CodeColumn:
        return np.full(len(self.rows), code, np.int32)

    def empty(self, name: str) -> Mask:
        values = self.fields[name].cast(pa.string()).fill_null("")
        return np.fromiter((not text for text in values.to_pylist()), np.bool_, len(values))

    def missing(self, name: str, where: Mask) -> None:
        if where.any():
            for row in np.flatnonzero(where).tolist():
                self.found.setdefault(row, (FaultCode.MISSING_FIELD, self.told(name, "missing, or empty")))

    def faulty(self, name: str, findings: Findings) -> None:
        for where, code, what in findings:
            self.fault(where, code, name, what)

    def fault(self, where: Mask, code: FaultCode, name: str, what: str, us: IntColumn | None = None) -> None:
        """Note the fault of these rows, unless they have one already; ``us`` are the instants they stand for."""
        for row in np.flatnonzero(where).tolist():
            if row not in self.found:
                value = _shown(self.fields[name][row]) if us is None else f"{np.datetime64(int(us[row]), 'us')}Z"
                self.found[row] = (code, self.told(name, what, value))

    def told(self, name: str, what: str, value: object = None) -> str:
        source = self.mapping.paths.get(name)  # type: ignore[call-overload]
        where = f" ({source.path})" if source is not None and source.path != name else ""
        found = "" if value is None else f": {_shortened(repr(value))}"
        return f"{name}{where}: {what}{found}"[:_DETAIL_MAX]

    def faults(self) -> list[RowFault]:
        texts = self.vocabulary.texts
        source, session = self["source"], self["session"]
        seq: IntColumn | None = self.columns.get("seq")
        return [
            RowFault(
                int(self.rows[row]),
                code,
                detail,
                texts[source[row]],
                texts[session[row]],
                -1 if seq is None else int(seq[row]),
            )
            for row, (code, detail) in self.found.items()
        ]


def _shown(value: pa.Scalar) -> object:
    # A timestamp may lie outside Python's calendar; its count is what the record holds anyway.
    return value.value if pa.types.is_timestamp(value.type) else value.as_py()


def _shortened(text: str) -> str:
    return text if len(text) <= _VALUE_MAX else text[: _VALUE_MAX - 1] + "…"
