"""Messages that a kernel packs are those that are made one by one, to the byte, and are stored as those (M25)."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical import written as module
from canonical.coded import Coded
from canonical.columns import Vocabulary
from canonical.contracts import Confirmation
from canonical.contracts.event import INT64_MAX
from canonical.envelope import instant
from canonical.messages import Messages
from canonical.packed_confirmations import pack_confirmations
from canonical.wire import encode_confirmations
from canonical.written import Field, Form, written
from sinks.commit_log import Record
from sinks.memory import MemoryLog
from sinks.records import Packed, Records, weighed
from sinks.sqlite_file import to_row, to_rows
from tests.property.test_wire import as_columns, rows_of

pytestmark = pytest.mark.skipif(not module.is_compiled(), reason="the kernel is not compiled: no C compiler here")

TEXTS = ("kind", "plant", "source", "session", "order", "operation", "work_center", "material", "lot", "reason", "unit")
CODED = (*TEXTS, "shift", "posting_date", "close_reason")
YEAR_10000_US = 253_402_300_800_000_000
ESCAPED = {*map(chr, range(32)), '"', "\\"}


@st.composite
def confirmations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows as they are, with names from anywhere; a few have what JSON escapes, or instants beyond RFC 3339."""
    drawn = draw(st.lists(rows_of(Confirmation), min_size=1, max_size=3))
    plain = draw(st.sampled_from([True, True, True, False]))
    for row in drawn:
        for name in CODED:
            row[name] = "".join(c for c in str(row[name]) if not plain or c not in ESCAPED)
        for name in ("first_occurred_us", "last_occurred_us"):
            if plain:
                row[name] %= YEAR_10000_US
    return list(islice(cycle(drawn), draw(st.sampled_from([1, 3, 40]))))


def packable(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Columns in the forms that the flow has: coded texts, numbers at a stride."""
    vocabulary = Vocabulary()
    columns: dict[str, Any] = {}
    for name, column in rows.items():
        if name in CODED:
            columns[name] = Coded(np.repeat(vocabulary.codes(column), 3)[::3], vocabulary.all_texts())
        elif name == "posting_id":
            columns[name] = pa.array(column, pa.string())
        elif name == "final":
            columns[name] = np.array(column, np.bool_)
        else:
            columns[name] = np.repeat(np.array(column, np.int64), 2)[::2]
    return columns


@settings(max_examples=100, deadline=None)
@given(drawn=confirmations(), recorded_us=st.integers(0, 2**61))
def test_packed_and_one_by_one_the_same(drawn: list[dict[str, Any]], recorded_us: int) -> None:
    rows = as_columns(drawn)
    packed = pack_confirmations(packable(rows), recorded_us)
    escaped = any(not ESCAPED.isdisjoint(text) for name in CODED for text in rows[name])
    if packed is None:
        assert escaped or "" in rows["source"] or max(rows["last_occurred_us"]) >= YEAR_10000_US
        return
    wanted = encode_confirmations(rows, recorded_us)
    assert list(packed) == wanted
    assert len(packed) == len(wanted)
    assert packed.value_bytes() == sum(len(value) for _, value, _ in wanted)
    for most in (1, 2, 64):
        some = [(record.key, record.value, record.headers) for record in Packed("confirmations", packed).some(most)]
        assert some == wanted[:: -(-len(wanted) // most)]
    assert packed.longest_value() == max(len(value) for _, value, _ in wanted)
    stored = [to_row(value, headers) for _, value, headers in wanted]
    made = to_rows(Packed("confirmations", packed))
    if made is None:
        assert escaped
        return
    keys, values, headers = made
    assert keys == [key for key, _, _ in wanted]
    assert list(zip(values, headers, strict=True)) == stored


NAMES = st.lists(st.text(max_size=5), max_size=4)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(NAMES, max_size=5))
def test_records_are_a_list_of_them(parts: list[list[str]]) -> None:
    """Parts of names, the odd ones packed."""
    records, wanted = Records(), []
    for number, names in enumerate(parts):
        made = [
            (name.encode(), name.encode() * 2, (("same", b"s"), *([("h", name.encode())] if name else [])))
            for name in names
        ]
        stream = "even" if number % 2 == 0 else "odd"
        wanted += [Record(stream, *message) for message in made]
        if number % 2 and names:
            column = pa.array(names, pa.string())
            values = pa.array([name * 2 for name in names], pa.string())
            records.pack(stream, Messages(column, values, (("same", b"s"), ("h", column))))
        else:
            records.extend(Record(stream, *message) for message in made)
    assert list(records) == wanted
    assert len(records) == len(wanted)
    assert list(Records(records)) == wanted
    assert all(record in records for record in wanted)
    assert weighed(records) == weighed(wanted)
    log = MemoryLog()
    log.restore("a")
    log.commit("a", "1", {}, records)
    other = MemoryLog()
    other.restore("a")
    other.commit("a", "1", {}, wanted)
    assert log.store.records == other.store.records


def alone(column: Any, form: Form) -> list[str] | None:
    made = written((Field(b"", column, form),), b"", len(column))
    return None if made is None else made.to_pylist()


@given(number=st.integers(0, INT64_MAX))
def test_padded_numbers_have_twenty_digits(number: int) -> None:
    assert alone(np.array([number, 0]), Form.PADDED) == [f"{number:020d}", "0" * 20]
    assert alone(np.array([number, -1]), Form.PADDED) is None


FIRST_US, DAY_US = round(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000, 86_400_000_000


@settings(max_examples=300)
@given(us=st.integers(FIRST_US, YEAR_10000_US - 1) | st.integers(0, 3_652_058).map(lambda n: FIRST_US + n * DAY_US))
def test_instants_of_every_day_that_there_is(us: int) -> None:
    text = instant(us)
    assert text is not None
    assert alone(np.array([us]), Form.INSTANT) == [text.decode()]
    for outside in (FIRST_US - 1, YEAR_10000_US):
        assert instant(outside) is None
        assert alone(np.array([us, outside]), Form.INSTANT) is None


def test_what_grows_does_not_change_what_was_given_out() -> None:
    vocabulary = Vocabulary()
    given_out: list[tuple[list[str], pa.StringArray]] = []
    for n in range(60):
        vocabulary.codes(f"Text {n} é{'x' * (n % 7)}" for n in range(n * n // 9))
        given_out.append((list(vocabulary.texts), vocabulary.all_texts()))
    assert all(texts.to_pylist() == wanted for wanted, texts in given_out)
