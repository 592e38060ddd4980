"""Fields that a mapping computes: constants, alternatives, joined texts, patterns, factors, conditions.

Laws: a row's value depends on the row's own inputs only; null and the empty text are nothing. Nothing is evaluated row
by row: texts that repeat are codes (``Words``), of which each is looked at once; other texts and numbers are columns of
Arrow.

An expression is evaluated in this order: its path, constant, alternatives or parts; ``match``; ``scale`` and
``offset``; ``when``; ``default``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.columns import CodeColumn
from canonical.contracts.fault import FaultCode
from canonical.decoders.parsed import Parsed
from canonical.decoders.quantities import valid_rows
from canonical.decoders.scaling import scaled
from canonical.decoders.words import Words
from canonical.mapping import PlantMapping
from canonical.mapping.fields import Condition, FieldSource
from canonical.mapping.patterns import extracted, found
from canonical.mapping.reads import CODED_FIELDS, Kind
from canonical.records import RowFault

Mask = NDArray[np.bool_]

WHOLE_MAX: Final = 2**53
"""A number from here on is no text: float64 cannot tell it from its neighbours."""

_ONE: Final = Decimal(1)
_NOTHING: Final = Decimal(0)


class Computation:
    """The computed fields of rows, from their inputs.

    Args: inputs: by name, an array of texts, numbers or truth values; codes: by name, codes of ``words`` where these
          are known already.
    """

    def __init__(
        self,
        mapping: PlantMapping,
        words: Words,
        rows: int,
        inputs: Mapping[str, pa.Array],
        codes: Mapping[str, CodeColumn],
    ) -> None:
        self._reading = mapping.reading
        self._mapping = mapping
        self._words = words
        self._rows = rows
        self._inputs = inputs
        self._codes = dict(codes)
        self.unwritable = np.zeros(rows, np.bool_)
        """Rows with a number that should be text, and is no whole number below 2**53."""

    def skipped(self) -> Mask | None:
        """Return which rows are no records; None where the mapping does not ask."""
        if not self._mapping.skip:
            return None
        where = np.zeros(self._rows, np.bool_)
        for condition in self._mapping.skip:
            where |= self._holds(condition)
        return where

    def codes(self, name: str) -> CodeColumn:
        """Return a field of ``CODED_FIELDS`` as codes of the words."""
        return self._coded(self._reading.computed[name])

    def texts(self, name: str) -> pa.DictionaryArray:
        """Return a field of ``CODED_FIELDS`` as texts."""
        return self._words.texts(self.codes(name))

    def values(self, name: str) -> pa.Array:
        """Return another field as texts or numbers."""
        return self._valued(self._reading.computed[name], number=self._reading.is_number(name))

    def _coded(self, source: FieldSource) -> CodeColumn:
        words = self._words
        if source.path:
            column = self._input_codes(self._reading.leaf(source, number=False))
        elif source.value is not None:
            column = np.full(self._rows, words.code(source.value), np.int32)
        elif source.join:
            column = words.joined(id(source), [self._coded(part) for part in source.join], source.separator)
        else:
            column = self._coded(source.first_of[0])
            for part in source.first_of[1:]:
                nothing = column == 0
                # A number that is no text is a fault wherever it stands, so those are always looked at.
                if nothing.any() or any(each.number for _, each in part.walk()):
                    column = np.where(nothing, self._coded(part), column)
        if source.match is not None:
            column = words.asked(("match", source.match), _matching(words, source.match), column)
        if source.when and not (holds := self._all_hold(source)).all():
            column = np.where(holds, column, np.int32(0))
        if source.default is not None:
            column = np.where(column == 0, np.int32(words.code(source.default)), column)
        return column

    def _valued(self, source: FieldSource, *, number: bool) -> pa.Array:
        inner = number and source.match is None
        if source.path:
            values = self._input(self._reading.leaf(source, number=inner))
        elif source.value is not None:
            values = pa.repeat(_constant(source.value, number=inner), self._rows)
        else:
            parts = [_bare(self._valued(part, number=inner)) for part in source.parts]
            values = pc.coalesce(*_alike(parts)) if source.first_of else _joined(parts, source.separator)
        if source.match is not None:
            values = extracted(_bare(_text(values)), source.match)
        if source.scale is not None or source.offset is not None:
            values = scaled(_bare(values), source.scale or _ONE, source.offset or _NOTHING)
        if source.when and not (holds := self._all_hold(source)).all():
            values = pc.if_else(pa.array(holds), values, pa.scalar(None, values.type))
        if source.default is not None:
            values = pc.coalesce(
                *_alike([_bare(values), pa.repeat(_constant(source.default, number=number), self._rows)])
            )
        return values

    def _all_hold(self, source: FieldSource) -> Mask:
        where = self._holds(source.when[0])
        for condition in source.when[1:]:
            where = where & self._holds(condition)
        return where

    def _holds(self, condition: Condition) -> Mask:
        name = self._reading.tested(condition)
        if self._reading.inputs[name].kind is Kind.NUMBER:
            values = self._input(name)
            if condition.present is not None:
                return valid_rows(values) ^ (not condition.present)
            number = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
            where = np.zeros(self._rows, np.bool_)
            for each in condition.compared:
                where |= number == each
            return where if condition.equal else ~where
        column = self._input_codes(name)
        if condition.present is not None:
            present: Mask = (column != 0) == condition.present
            return present
        return self._words.tested(id(condition), _test(condition), column)

    def _input(self, name: str) -> pa.Array:
        values = self._inputs.get(name)
        return pa.nulls(self._rows, pa.string()) if values is None else values

    def _input_codes(self, name: str) -> CodeColumn:
        column = self._codes.get(name)
        if column is None:
            values = self._input(name)
            if self._reading.inputs[name].kind is Kind.NUMBER:
                values, unwritable = written(values)
                self.unwritable |= unwritable
            column = self._codes[name] = self._words.codes(values)
        return column


def computed(mapping: PlantMapping, parsed: Parsed) -> Parsed:
    """Return parsed records with the computed fields in place of the inputs, and without those to be skipped."""
    if not mapping.reading.inputs and not mapping.reading.computed:
        return parsed
    work = Computation(mapping, Words(), len(parsed.rows), parsed.fields, {})
    skipped = work.skipped()
    if skipped is not None and skipped.any():
        kept = pa.array(~skipped)
        fields = {name: values.filter(kept) for name, values in parsed.fields.items()}
        parsed = replace(parsed, rows=parsed.rows.filter(kept), fields=fields)
        work = Computation(mapping, Words(), len(parsed.rows), fields, {})
    fields = {name: values for name, values in parsed.fields.items() if name not in mapping.reading.inputs}
    for name in mapping.reading.computed:
        fields[name] = work.texts(name) if name in CODED_FIELDS else work.values(name)
    if not work.unwritable.any():
        return replace(parsed, fields=fields)
    good = pa.array(~work.unwritable)
    detail = f"a number that is taken for text is no whole number below {WHOLE_MAX}"
    faults = [RowFault(row.as_py(), FaultCode.WRONG_TYPE, detail) for row in parsed.rows.filter(pc.invert(good))]
    return Parsed(
        parsed.rows.filter(good),
        {name: values.filter(good) for name, values in fields.items()},
        [*parsed.faults, *faults],
        parsed.further,
    )


def written(values: pa.Array) -> tuple[pa.Array, Mask]:
    """Return numbers as the texts of whole ones, null where they are none, and which rows have another number."""
    if not pa.types.is_floating(values.type):
        return values, np.zeros(len(values), np.bool_)
    number = values.fill_null(0).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        whole = (np.floor(number) == number) & (np.abs(number) < WHOLE_MAX)
    valid = whole & values.is_valid().to_numpy(zero_copy_only=False)
    distinct = pa.array(np.where(whole, number, 0).astype(np.int64), mask=~valid).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices, distinct.dictionary.cast(pa.string())), ~whole


def _matching(words: Words, pattern: str) -> Callable[[list[str]], NDArray[Any]]:
    return lambda texts: words.vocabulary.codes(extracted(pa.array(texts, pa.string()), pattern).to_pylist())


def _test(condition: Condition) -> Callable[[list[str]], NDArray[Any]]:
    pattern = condition.matches
    if pattern is not None:

        def matching(texts: list[str]) -> NDArray[np.bool_]:
            where: Mask = found(pa.array(texts, pa.string()), pattern).to_numpy(zero_copy_only=False)
            return where & np.array([bool(text) for text in texts], np.bool_)

        return matching
    compared = {str(each).lower() if isinstance(each, bool) else str(each) for each in condition.compared}
    wanted = condition.equal is not None
    return lambda texts: np.array([(text in compared) == wanted for text in texts], np.bool_)


def _constant(text: str, *, number: bool) -> float | str:
    return float(text) if number else text


def _bare(values: pa.Array) -> pa.Array:
    """Return values of which the empty text is null."""
    if not pa.types.is_string(values.type):
        return values
    empty = pc.equal(values, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), values) if pc.any(empty).as_py() else values


def _text(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _alike(parts: list[pa.Array]) -> list[pa.Array]:
    """Return arrays of one type: what is not of one type is text, or a number."""
    kinds = {part.type for part in parts if part.null_count < len(part)}
    if len(kinds) <= 1:
        kind = next(iter(kinds), parts[0].type)
        return [part if part.type == kind else pa.nulls(len(part), kind) for part in parts]
    if all(pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in kinds):
        return [part.cast(pa.float64(), safe=False) for part in parts]
    return [_text(part) for part in parts]


def _joined(parts: list[pa.Array], separator: str) -> pa.Array:
    return pc.binary_join_element_wise(*map(_text, parts), separator)
