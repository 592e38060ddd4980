"""Events as columns: the form in which events move through the dataflows.

An ``EventBatch`` holds numpy columns for the fields its plant maps and no others; an absent
column stands for its default. Text is held as int32 codes into the shard's ``Vocabulary``,
so that equality and grouping work on integers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.contracts.event import EventType
from canonical.gather import Codes, gather
from canonical.grown import grown
from canonical.text_bytes import TextBytes

IntColumn = NDArray[np.int64]
CodeColumn = NDArray[np.int32]
Column = NDArray[Any]

TEXT_COLUMNS: Final = (
    "plant", "source", "session", "order", "operation", "work_center",
    "material", "lot", "reason", "unit", "correlation_id", "quality", "from_bin", "to_bin", "handling_unit",
)  # fmt: skip
"""int32 codes into the shard's vocabulary; 0 is the empty text and the default."""

QUANTITY_COLUMNS: Final = ("good", "scrap", "rework", "setup_us", "machine_us", "labour_us", "energy_mwh")
"""int64, summed by aggregation; default 0. Thousandths of the unit, microseconds, thousandths of a watt hour."""

MOVED_COLUMNS: Final = ("quantity",)
"""int64 thousandths of the unit that are consumed or moved, which is no output; default 0."""

COUNTER_COLUMNS: Final = ("good_counter", "scrap_counter")
"""int64 absolute readings in thousandths; -1 where the event carries no reading."""

DEFAULTS: Final[Mapping[str, tuple[type[np.generic], int]]] = {
    **dict.fromkeys(TEXT_COLUMNS, (np.int32, 0)),
    **dict.fromkeys(QUANTITY_COLUMNS, (np.int64, 0)),
    **dict.fromkeys(MOVED_COLUMNS, (np.int64, 0)),
    **dict.fromkeys(COUNTER_COLUMNS, (np.int64, -1)),
    "seq": (np.int64, -1),  # -1: the source does not number
    "type": (np.int8, 0),  # index into EVENT_TYPES
    "occurred_us": (np.int64, 0),
    "recorded_us": (np.int64, -1),
    "offset": (np.int64, -1),  # position of the record in its shard
    "row": (np.int32, -1),  # row in the raw batch it was decoded from; -1 when that batch is gone
    "identity": (np.uint64, 0),  # content or event-id hash, for sources that do not number
    "session_start": (np.bool_, 0),  # the record opens a new session of its source
    "sid": (np.int32, -1),  # session row of the shard (Sessions), set by sequence
    "gaps": (np.int32, 0),  # gaps declared in the session before this row, set by sequence
}
"""Every column an event batch may carry, with its dtype and what an absent column means."""

EVENT_TYPES: Final = tuple(EventType)
TYPE_CODE: Final[Mapping[EventType, int]] = {t: i for i, t in enumerate(EVENT_TYPES)}


_MANY_TEXTS: Final = 256


class Vocabulary:
    """Texts of one shard and their codes; code 0 is the empty text. Grows only.

    State that outlives the process never stores a code: it stores the text. ``readers`` are what decoders keep beside
    the codes, by mapping, and lose with them.
    """

    __slots__ = ("_bytes", "_codes", "_crc", "_crc_count", "readers", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self.readers: dict[int, Any] = {}
        self._codes: dict[str, int] = {"": 0}
        self._crc: NDArray[np.uint64] = np.zeros(1, np.uint64)
        self._crc_count = 1
        self._bytes = TextBytes()

    def __len__(self) -> int:
        return len(self.texts)

    def code(self, text: str) -> int:
        """Return the code of ``text``, giving it one if it has none."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return code

    def codes(self, texts: Iterable[str | None]) -> CodeColumn:
        """Return the codes of many texts as int32; None counts as the empty text."""
        texts = list(texts)
        known: list[int | None] = list(map(self._codes.get, texts))  # type: ignore[arg-type]
        if None in known:
            known = [
                (self.code(text) if text else 0) if code is None else code
                for text, code in zip(texts, known, strict=True)
            ]
        return np.array(known, np.int32)

    def text(self, codes: CodeColumn) -> list[str]:
        """Return the texts of ``codes``."""
        texts = self.texts
        return [texts[c] for c in codes.tolist()]

    def arrow(self, codes: CodeColumn) -> pa.StringArray:
        """Return the texts of ``codes``; many at once are copied, not made from one object each."""
        if len(codes) < _MANY_TEXTS:
            return pa.array(self.text(codes), pa.string())
        return self.all_texts().take(pa.array(codes))

    def all_texts(self) -> pa.StringArray:
        """Return the text of every code so far; only new ones cost anything."""
        known = len(self._bytes)
        if known < len(self.texts):
            self._bytes.extend(self.texts[known:])
        return self._bytes.arrow()

    def crc(self) -> NDArray[np.uint64]:
        """Return one 32-bit content hash per code, equal in every process; index it with codes."""
        known, count = self._crc_count, len(self.texts)
        if known < count:
            self._crc = grown(self._crc, known, count)
            new = map(zlib.crc32, map(str.encode, self.texts[known:]))
            self._crc[known:count] = np.fromiter(new, np.uint64, count - known)
            self._crc_count = count
        return self._crc[:count]


class Sessions:
    """Sessions of the sources of one shard: (plant, source, session) and its row, ``sid``. Grows only."""

    __slots__ = ("_codes", "_rows", "plant", "session", "source", "vocabulary")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._rows: dict[tuple[int, int, int], int] = {}
        self._codes: CodeColumn = np.empty((3, 0), np.int32)
        self.plant: list[int] = []
        self.source: list[int] = []
        self.session: list[int] = []

    def __len__(self) -> int:
        return len(self.source)

    def row(self, plant: int, source: int, session: int) -> int:
        """Return the row of these three codes, adding it if it is new."""
        key = (plant, source, session)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self.source)
            self.plant.append(plant)
            self.source.append(source)
            self.session.append(session)
        return row

    def rows(self, codes: Iterable[tuple[int, int, int]], limit: int) -> list[int]:
        """Return the rows of codes that differ, adding new ones in their order; -1 for those beyond ``limit`` rows."""
        codes = list(codes)
        known = list(map(self._rows.get, codes))
        if None in known:
            new = [each for each, row in zip(codes, known, strict=True) if row is None][: max(limit - len(self), 0)]
            self._rows.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
            for place, column in enumerate((self.plant, self.source, self.session)):
                column.extend([each[place] for each in new])
        return [self._rows.get(each, -1) for each in codes]

    def codes(self) -> CodeColumn:
        """Return int32[3, s]: the codes of plant, source and session of each row."""
        known = self._codes.shape[1]
        if known < len(self):
            new = np.array([codes[known:] for codes in (self.plant, self.source, self.session)], np.int32)
            self._codes = np.concatenate((self._codes, new), axis=1)
        return self._codes


class EventBatch:
    """EVENT[n] as columns. Columns are never written to after construction.

    What ``take``, ``select`` and ``concat`` return makes a column when it is first asked for, so that columns
    nobody downstream reads cost nothing.
    """

    __slots__ = ("_columns", "_from", "_make", "_places", "_unmade", "n")

    def __init__(self, n: int, columns: Mapping[str, Column]) -> None:
        self.n = n
        self._columns = dict(columns)
        self._unmade: frozenset[str] = frozenset()
        self._make: Make = _nothing
        self._from: tuple[Mapping[int, EventBatch], Codes] | None = None
        self._places: dict[str, tuple[int, Column]] = {}
        for name, column in self._columns.items():
            assert len(column) == n, f"column {name} has {len(column)} rows, the batch {n}"
            assert column.dtype == DEFAULTS[name][0], f"column {name} is {column.dtype}"

    def __len__(self) -> int:
        return self.n

    def __contains__(self, name: str) -> bool:
        return name in self._columns or name in self._unmade

    def __getitem__(self, name: str) -> Column:
        """Return the column, filled with its default where the batch does not carry it."""
        column = self._columns.get(name)
        if column is None:
            if name in self._unmade:
                column = self._columns[name] = self._make(name, None)
            else:
                dtype, default = DEFAULTS[name]
                column = np.full(self.n, default, dtype)
        return column

    def at(self, name: str, rows: NDArray[np.integer]) -> Column:
        """Return the column at these rows; the rest of it is not made for that."""
        if name in self._unmade and name not in self._columns:
            return self._make(name, rows)
        return self[name].take(rows)

    @property
    def origin(self) -> tuple[Mapping[int, EventBatch], Codes] | None:
        """Which rows of which batches these are (``select``), None where they are of no others."""
        return self._from

    def is_made(self, name: str) -> bool:
        """Return whether the column is the batch's own, and not still in the batches of its ``origin``."""
        return self._from is None or name in self._columns or name not in self._unmade

    def address(self, name: str) -> int:
        """Return where the first item of the column is, side by side with the others, while this batch lives."""
        place = self._places.get(name)
        if place is None:
            column = np.ascontiguousarray(self[name])
            place = self._places[name] = column.__array_interface__["data"][0], column
        return place[0]

    @property
    def names(self) -> list[str]:
        """The columns that the batch carries, in no particular order."""
        return [*self._columns, *(self._unmade - self._columns.keys())]

    @property
    def columns(self) -> dict[str, Column]:
        """The columns that the batch carries, all of them made."""
        return {name: self[name] for name in self.names}

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> EventBatch:
        """Return the rows at these indices, in that order, or where the mask is true."""
        own: NDArray[np.integer] = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows  # type: ignore[assignment]
        if self._from is not None:
            batches, codes = self._from
            return EventBatch.select(batches, codes[own]).with_columns(
                {name: column[own] for name, column in self._columns.items()}
            )
        return EventBatch._later(
            len(own), self.names, lambda name, rows: self.at(name, own if rows is None else own[rows])
        )

    def with_columns(self, columns: Mapping[str, Column]) -> EventBatch:
        """Return a batch with these columns added or replaced."""
        out = EventBatch(self.n, {**self._columns, **columns})
        if self._unmade:
            out._unmade, out._make, out._from = self._unmade, self._made_at, self._from
        return out

    def without(self, name: str) -> EventBatch:
        """Return a batch that does not carry this column."""
        return EventBatch._later(self.n, [other for other in self.names if other != name], self._made_at)

    def made(self) -> EventBatch:
        """Return the same batch with every column made, so that it keeps no other batch in memory."""
        return EventBatch(self.n, self.columns)

    @staticmethod
    def empty() -> EventBatch:
        """Return a batch of no rows."""
        return EventBatch(0, {})

    @staticmethod
    def concat(batches: Sequence[EventBatch]) -> EventBatch:
        """Return the rows of all batches, in order; a column absent in one is filled there."""
        filled = [b for b in batches if b.n]
        if len(filled) == 1:
            return filled[0]
        names = [name for b in filled for name in b.names]

        def make(name: str, rows: NDArray[np.integer] | None) -> Column:
            column = np.concatenate([b[name] for b in filled])
            return column if rows is None else column.take(rows)

        return EventBatch._later(sum(b.n for b in filled), names, make)

    @staticmethod
    def select(batches: Mapping[int, EventBatch], codes: Codes) -> EventBatch:
        """Return rows of many batches, by number, in the order of these codes (``canonical.gather``)."""
        names = {name for batch in batches.values() for name in batch.names} if len(codes) else ()

        def make(name: str, rows: NDArray[np.integer] | None) -> Column:
            columns = {number: batch[name] for number, batch in batches.items()}
            return gather(columns, codes if rows is None else codes[rows], DEFAULTS[name][0])

        return EventBatch._later(len(codes), names, make, (batches, codes))

    def _made_at(self, name: str, rows: NDArray[np.integer] | None) -> Column:
        return self[name] if rows is None else self.at(name, rows)

    @staticmethod
    def _later(
        n: int, names: Iterable[str], make: Make, origin: tuple[Mapping[int, EventBatch], Codes] | None = None
    ) -> EventBatch:
        """Return a batch whose columns ``make`` makes, each when it is first asked for."""
        out = EventBatch(n, {})
        out._unmade, out._make, out._from = frozenset(names), make, origin
        return out


Make = Callable[[str, NDArray[np.integer] | None], Column]
"""Makes a column, or what it is at these rows."""


def _nothing(name: str, rows: NDArray[np.integer] | None) -> Column:
    raise AssertionError(f"nothing makes {name} at {rows}")
