"""What a mapping reads of a record: each place once, as text, number or truth value.

A field that is a path and no more is read under its own name. What an expression needs is read as an *input*, under
the name of its kind and path, and its field is computed of inputs (``canonical.decoders.expressions``). In JSON a
place is read once and as one kind: where an expression needs it, a plain field that wants it too is computed as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from canonical.mapping.fields import TEXT_FIELDS, Condition, FieldSource, numeric_fields

CODED_FIELDS: Final = frozenset({*TEXT_FIELDS, "type"})
"""Fields whose texts repeat: they are computed text by text, not row by row."""


class Kind(StrEnum):
    """As what a place of a record is read."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class Read:
    """A place of a record, and as what it is read; ``repeats``: as text that occurs again and again."""

    path: str
    kind: Kind
    repeats: bool = False

    @property
    def name(self) -> str:
        """The name of an input; no field has such a one."""
        return f"{self.kind}:{self.path}"


class Reading:
    """What is read of each record.

    ``reads`` are places by the name of their field or input; ``inputs`` only the latter; ``computed`` the fields that
    are made of inputs.
    """

    def __init__(
        self, sources: Mapping[str, FieldSource], skip: Iterable[Condition], *, is_json: bool, time_format: str
    ) -> None:
        self._is_json = is_json
        self._numeric = numeric_fields(time_format)
        self.computed = {name: source for name, source in sources.items() if not is_direct(name, source)}
        conditions = list(skip)
        for source in self.computed.values():
            conditions += [condition for _, each in source.walk() for condition in each.when]
        wanted = [read for name, source in self.computed.items() for read in self._leaves(source, name)]
        wanted += [read for condition in conditions if (read := self._tested(condition)) is not None]
        paths = {read.path for read in wanted} | {condition.path for condition in conditions}
        if is_json:
            for name, source in sources.items():
                if source.path in paths and name not in self.computed:
                    self.computed[name] = source
                    wanted += self._leaves(source, name)
        known = {read.path for read in wanted}
        wanted += [Read(c.path, Kind.TEXT, repeats=True) for c in conditions if c.path not in known]
        self.inputs: dict[str, Read] = {}
        for read in wanted:
            former = self.inputs.get(read.name, read)
            self.inputs[read.name] = Read(read.path, read.kind, repeats=read.repeats and former.repeats)
        self._by_path = {read.path: read.name for read in self.inputs.values()}
        self.reads = {
            name: Read(source.path, Kind.NUMBER if name in self._numeric else Kind.TEXT)
            for name, source in sources.items()
            if source.path and name not in self.computed
        } | self.inputs

    def is_number(self, name: str) -> bool:
        """Return whether a computed field is made of numbers."""
        return name in self._numeric

    def leaf(self, source: FieldSource, *, number: bool) -> str:
        """Return the input that an expression which is a path needs where a number, or text, is wanted."""
        return Read(source.path, self._kind(source, number=number)).name

    def tested(self, condition: Condition) -> str:
        """Return the input that a condition looks at; for presence, any at its path."""
        read = self._tested(condition)
        return self._by_path[condition.path] if read is None else read.name

    def used(self, name: str, source: FieldSource) -> list[str]:
        """Return the fields and inputs that a field is made of."""
        if name not in self.computed:
            return [name]
        conditions = [condition for _, each in source.walk() for condition in each.when]
        return [read.name for read in self._leaves(source, name)] + [self.tested(each) for each in conditions]

    def _kind(self, source: FieldSource, *, number: bool) -> Kind:
        return Kind.NUMBER if number or (source.number and self._is_json) else Kind.TEXT

    def _leaves(self, source: FieldSource, name: str) -> Iterator[Read]:
        yield from self._places(source, number=name in self._numeric, repeats=name in CODED_FIELDS)

    def _places(self, source: FieldSource, *, number: bool, repeats: bool) -> Iterator[Read]:
        number = number and source.match is None  # a pattern is looked for in text
        if source.path:
            yield Read(source.path, self._kind(source, number=number), repeats=repeats)
        for part in source.parts:
            yield from self._places(part, number=number, repeats=repeats)

    def _tested(self, condition: Condition) -> Read | None:
        if condition.present is not None:
            return None
        first = condition.compared[0] if condition.compared else ""
        kind = Kind.TRUTH if isinstance(first, bool) else Kind.NUMBER if isinstance(first, int) else Kind.TEXT
        return Read(condition.path, kind if self._is_json else Kind.TEXT, repeats=True)


def is_direct(name: str, source: FieldSource) -> bool:
    """Return whether a field is a path, or a constant text, and no more."""
    return source.is_plain and (bool(source.path) or name in CODED_FIELDS or name == "event_id")
