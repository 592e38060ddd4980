"""Plain JSON records without fault, read into canonical columns in one pass by a compiled kernel (``json_fields.c``).

Law: the events of the records it reads are those that ``canonical.decoders.json`` and ``canonicalise`` would make of
them; what it does not read, it leaves to them, and so every fault. Where the kernel was not compiled, it reads
nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.columns import DEFAULTS, CodeColumn, Column, EventBatch, IntColumn, Vocabulary
from canonical.decoders.canonicalise import valued
from canonical.decoders.coding import TEXT_MAX, Coding, coding, constant_code
from canonical.decoders.expressions import Computation
from canonical.decoders.instants import instants, localised, time_bounds
from canonical.decoders.json_plan import (
    INSTANT,
    SPAN,
    TEXT,
    Field,
    Node,
    Plan,
    planned,
)
from canonical.decoders.known_texts import REFUSED, TEXTS_MAX, KnownTexts, Texts
from canonical.decoders.lines import spans
from canonical.decoders.parsed import ReadRecords
from canonical.decoders.words import Words
from canonical.identity import content_identity
from canonical.kernel import INT64, POINTER, address, function
from canonical.mapping import PlantMapping
from canonical.mapping.fields import TEXT_FIELDS
from canonical.mapping.reads import CODED_FIELDS, Kind
from canonical.records import RawRecords

Mask = NDArray[np.bool_]

_SLACK: Final = 64
_LOCAL: Final = 2
_PAGE_ITEMS: Final = 512
_STAGGER_ITEMS: Final = 40


class _Job(ctypes.Structure):
    """``struct job`` of json_fields.c, member by member."""

    _fields_ = (
        ("data", POINTER),
        ("tail", POINTER),
        ("size", INT64),
        ("tail_start", INT64),
        ("starts", POINTER),
        ("ends", POINTER),
        ("rows", INT64),
        ("fields", POINTER),
        ("nodes", POINTER),
        ("field_count", INT64),
        ("record_bytes_max", INT64),
        ("depth_max", INT64),
        ("row", INT64),
        ("count", INT64),
        ("read", POINTER),
    )


_READ: Final = function(
    "read_fields",
    (ctypes.POINTER(_Job),),
    {"job_bytes": _Job, "field_bytes": Field, "node_bytes": Node, "texts_bytes": Texts},
)


def read_json(mapping: PlantMapping, records: RawRecords, vocabulary: Vocabulary, now_us: int) -> ReadRecords:
    """Return the events of the records that the kernel can read; none where it cannot read this mapping at all."""
    if _READ is None or not len(records):
        return ReadRecords(EventBatch.empty())
    reader = vocabulary.readers.get(id(mapping))
    if reader is None or reader.mapping is not mapping:
        reader = vocabulary.readers[id(mapping)] = _Reader(mapping, vocabulary)
    plan = reader.plan
    if plan is None:
        return ReadRecords(EventBatch.empty())
    reading = _Reading(reader, plan, records, vocabulary, now_us)
    return ReadRecords(reading.events(), reading.skipped)


class _Reader:
    """What the kernel knows of a mapping, and of the texts and names in its records so far; the vocabulary keeps it."""

    def __init__(self, mapping: PlantMapping, vocabulary: Vocabulary) -> None:
        self.mapping = mapping
        self.plan = planned(mapping)
        self.texts: dict[str, KnownTexts] = {}
        self.words = Words()
        for name, field in () if self.plan is None else self.plan.of_kind(TEXT):
            absent = self.coding(vocabulary, name).absent
            known = self.texts[name] = KnownTexts(absent, required=name in ("source", "plant"))
            field.texts, field.absent = ctypes.addressof(known.layout), known.absent
            field.required = known.absent == REFUSED

    def coding(self, vocabulary: Vocabulary, name: str) -> Coding:
        """Return how the texts of a field, or an input, are coded."""
        if name in self.mapping.reading.inputs:
            return Coding(self.words.vocabulary.codes, 0)
        return coding(self.mapping, vocabulary, name)

    def bound(self) -> None:
        """Forget the words of inputs where they are many."""
        if len(self.words) > TEXTS_MAX:
            self.words = Words()
            for name in self.mapping.reading.inputs.keys() & self.texts:
                self.texts[name].forget()


class _Reading:
    """One batch: the columns the kernel writes, and what Python does for the few rows that need it."""

    def __init__(self, reader: _Reader, plan: Plan, records: RawRecords, vocabulary: Vocabulary, now_us: int) -> None:
        self.reader, self.plan, self.records = reader, plan, records
        self.mapping, self.vocabulary = reader.mapping, vocabulary
        self.now_us = now_us
        self.first_us, self.last_us = time_bounds(self.mapping, now_us)
        rows = len(records)
        # The columns are written side by side, so they must not begin at the same place of a page: it would be the
        # same place of the processor's cache.
        pitch = -(-rows // _PAGE_ITEMS) * _PAGE_ITEMS + _STAGGER_ITEMS
        fields = list(plan.leaves())
        wide = iter(np.empty((len(fields), pitch), np.int64)[:, :rows])
        self.columns: dict[str, Column] = {}
        self.lengths: dict[str, IntColumn] = {}
        self.zones: dict[str, NDArray[np.uint8]] = {}
        for name, field in fields:
            column = self.columns[name] = next(wide).view(np.int32)[:rows] if field.kind == TEXT else next(wide)
            field.column = address(column)
            field.first_us, field.last_us = self.first_us, self.last_us
            if field.kind == SPAN:
                self.lengths[name] = np.empty(rows, np.int64)
                field.lengths = address(self.lengths[name])
            if field.kind == INSTANT:
                self.zones[name] = np.empty(rows, np.uint8)
                field.zones, field.zones_met = address(self.zones[name]), 0
        self.suspicious = False
        reader.bound()
        self.rows = self._run(np.empty(rows, np.int32))
        self.refused: Mask | None = None
        self.skipped = np.empty(0, np.int32)

    def _run(self, read: NDArray[np.int32]) -> NDArray[np.int32]:
        """Call the kernel as often as tables of texts have to grow; return the rows read."""
        records, limits = self.records, self.mapping.limits
        body = np.frombuffer(records.data, np.uint8)
        starts, ends = np.ascontiguousarray(records.starts, np.int64), np.ascontiguousarray(records.ends, np.int64)
        first = min(int(np.searchsorted(ends, len(body) - _SLACK, side="right")), len(starts) - 1)
        tail = np.concatenate((body[starts[first] :], np.zeros(_SLACK, np.uint8)))
        job = _Job(
            data=address(body),
            tail=address(tail),
            size=len(body),
            tail_start=int(starts[first]),
            starts=address(starts),
            ends=address(ends),
            rows=len(records),
            fields=ctypes.addressof(self.plan.fields),
            nodes=ctypes.addressof(self.plan.nodes),
            field_count=len(self.plan.fields),
            record_bytes_max=limits.record_bytes_max,
            depth_max=limits.depth_max,
            read=address(read),
        )
        full = 1
        while full:
            for known in self.reader.texts.values():
                known.prepare()
            settled = job.count
            full = _READ(ctypes.byref(job))
            for name, known in self.reader.texts.items():
                if known.has_new:
                    how = self.reader.coding(self.vocabulary, name)
                    self.suspicious |= known.settle(self.columns[name][settled : job.count], how)
        return read[: job.count]

    def events(self) -> EventBatch:
        """Return the events of the rows that were read."""
        count, mapping = len(self.rows), self.mapping
        if not count:
            return EventBatch.empty()
        self.columns = {name: column[:count] for name, column in self.columns.items()}
        columns: dict[str, Column] = {}
        work = self._computation()
        if self.suspicious:
            for name in self.reader.texts:
                self._refuse(self.columns[name] == REFUSED)
        for name in (*TEXT_FIELDS, "type"):
            if name in self.reader.texts:
                columns[name] = self.columns[name]
            elif name in mapping.reading.computed:
                columns[name] = self._coded(work, name)
            elif (constant := constant_code(mapping, self.vocabulary, name)) is not None:
                if constant == REFUSED:
                    return EventBatch.empty()
                columns[name] = np.full(count, constant, np.int32)
        columns["type"] = columns["type"].astype(np.int8)
        for name, field in self.plan.leaves():
            if field.kind == INSTANT and field.zones_met & _LOCAL:
                self._localise(name)
            elif field.kind == SPAN and name in ("occurred", "recorded"):
                self._parse_times(name)
            if name not in self.reader.texts and name in self.plan.targets:
                columns[self.plan.targets[name]] = self.columns[name]
        columns |= self._valued(work)
        if mapping.sequencing.mode != "number":
            columns["identity"] = self._identity(columns["source"], work)
        self._refuse(work.unwritable)
        offsets = self.records.offsets
        columns["offset"] = offsets if count == len(offsets) else offsets[self.rows]
        columns["row"] = self.rows
        events = EventBatch(count, columns)
        skipped = work.skipped()
        if skipped is not None and skipped.any():
            # What a word refused had no code, so that only the long way can tell what a condition says of it.
            kept = ~skipped if self.refused is None else ~skipped & ~self.refused
            self.skipped = self.rows[skipped if self.refused is None else skipped & ~self.refused]
            return events.take(kept)
        return events if self.refused is None else events.take(~self.refused)

    # -- what is computed ----------------------------------------------------------------------

    def _computation(self) -> Computation:
        """Return the computed fields of the rows read, from the inputs as the kernel left them."""
        inputs: dict[str, pa.Array] = {}
        codes: dict[str, CodeColumn] = {}
        count = len(self.rows)
        for name, read in self.mapping.reading.inputs.items():
            column = self.columns[name]
            if name in self.reader.texts:
                # A text that is refused has no code; its row is left to the other decoder.
                codes[name] = np.maximum(column, 0) if self.suspicious else column
            elif read.kind is Kind.NUMBER:
                numbers = column.view(np.float64)
                inputs[name] = pa.array(numbers, mask=np.isnan(numbers))
            elif read.kind is Kind.TRUTH:
                codes[name] = self.reader.words.vocabulary.codes(["false", "true", ""])[column]
            else:
                lengths = self.lengths[name][:count]
                text = self._text(column, lengths)
                inputs[name] = pc.if_else(pa.array(lengths >= 0), text, pa.scalar(None, pa.string()))
        return Computation(self.mapping, self.reader.words, count, inputs, codes)

    def _coded(self, work: Computation, name: str) -> CodeColumn:
        """Return the canonical codes of a computed text; rows whose text is refused, or missing, are left."""
        how = coding(self.mapping, self.vocabulary, name)
        required = name in ("source", "plant")

        def meant(texts: list[str]) -> CodeColumn:
            usable = [text for text in texts if text and len(text) <= TEXT_MAX]
            codes = np.array([REFUSED if text else how.absent for text in texts], np.int32)
            codes[[bool(text) and len(text) <= TEXT_MAX for text in texts]] = how.codes(usable)
            return np.where(codes == 0, REFUSED, codes) if required else codes

        column = self.reader.words.asked(("field", name), meant, work.codes(name))
        self._refuse(column == REFUSED)
        return column

    def _valued(self, work: Computation) -> dict[str, Column]:
        """Return the columns of computed numbers and instants; rows with a fault are left."""
        fields = {
            name: work.values(name) for name in self.mapping.reading.computed.keys() - CODED_FIELDS - {"event_id"}
        }
        columns, faulty = valued(self.mapping, fields, self.rows, self.records, self.vocabulary, self.now_us)
        self._refuse(faulty)
        return columns

    def _refuse(self, where: Mask) -> None:
        if where.any():
            self.refused = where if self.refused is None else self.refused | where

    def _localise(self, name: str) -> None:
        """Turn the plant-local times of a column into UTC, where the clock showed them and they are within bounds."""
        count = len(self.rows)
        local = self.zones[name][:count] == _LOCAL
        us, exists = localised(self.mapping, self.columns[name], local)
        self._refuse(local & (~exists | (us < self.first_us) | (us > self.last_us)))
        self.columns[name] = us

    def _parse_times(self, name: str) -> None:
        """Read a column of times that are written in the plant's own pattern."""
        starts, lengths = self.columns[name], self.lengths[name][: len(self.rows)]
        null = lengths < 0
        text = self._text(starts, lengths)
        us, valid = instants(self.mapping, pc.if_else(pa.array(~null), text, pa.scalar(None, pa.string())))
        self._refuse(~null & (~valid | (us < self.first_us) | (us > self.last_us)))
        self.columns[name] = np.where(null, np.int64(DEFAULTS["recorded_us"][1]), us)

    def _text(self, starts: IntColumn, lengths: IntColumn) -> pa.StringArray:
        begin = np.where(lengths < 0, self.records.starts[self.rows], starts)
        return spans(self.records.data, begin, begin + np.maximum(lengths, 0))

    def _identity(self, sources: Column, work: Computation) -> Column:
        """Give records without numbers an identity, as ``canonicalise`` does."""
        contents: Iterable[bytes]
        if "event_id" in self.mapping.reading.computed:
            values = work.values("event_id").cast(pa.string()).fill_null("")
            self._refuse(pc.equal(values, "").to_numpy(zero_copy_only=False))
            ids = values.to_pylist()
        elif "event_id" in self.lengths:
            lengths = self.lengths["event_id"][: len(self.rows)]
            self._refuse(lengths <= 0)
            ids = self._text(self.columns["event_id"], lengths).to_pylist()
        else:
            ids = None
        if ids is None:
            contents = map(self.records.value, self.rows.tolist())
        else:
            texts = self.vocabulary.texts
            contents = (f"{texts[s]}\0{i}".encode() for s, i in zip(sources.tolist(), ids, strict=True))
        return np.fromiter(map(content_identity, contents), np.uint64, len(self.rows))
