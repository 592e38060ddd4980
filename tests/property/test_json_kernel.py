"""The compiled kernel finds what the decoder without it finds, or leaves the record to it."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canonical.columns import TEXT_COLUMNS, Vocabulary
from canonical.decoders import decode, json_kernel
from canonical.mapping import PlantMapping
from canonical.records import RawRecords

pytestmark = pytest.mark.skipif(json_kernel._READ is None, reason="the kernel is not compiled: no C compiler here")

NOW_US = 1_770_000_000_000_000
MAPPING = {
    "plant": "K",
    "format": "json",
    "time_zone": "Europe/Berlin",
    "input": {"folder": "k"},
    "default_type": "partial",
    "fields": {
        "source": "machine",
        "seq": "n",
        "occurred": "at",
        "recorded": "stored",
        "order": "job.order",
        "lot": "job.lot.id",
        "good": "good",
        "scrap": "scrap",
        "machine": {"path": "ms", "unit": "ms"},
    },
    "limits": {"depth_max": 4, "record_bytes_max": 2000, "past_max_s": 315_360_000},
}
PLAIN = PlantMapping.model_validate(MAPPING)
EPOCH = PlantMapping.model_validate({**MAPPING, "time": {"format": "epoch_ms"}})

texts = st.one_of(
    st.sampled_from(["m1", "m2", "", "Grat ü", "a\\b", 'q"', "\u0000", "𠀀", "x" * 300]),
    st.text(max_size=12),
)
instants = st.one_of(
    st.sampled_from([
        "2026-01-31T10:00:00Z", "2026-02-30T10:00:00Z", "2026-02-01T10:00:00.123456789Z", "2026-02-01 10:00:00",
        "2026-02-01T10:00:00+01:00", "2026-02-01T10:00:00-0130", "2026-02-01T10:00Z", "2024-02-29T23:59:59.5Z",
        "2026-03-29T02:30:00", "2099-01-01T00:00:00Z", "1971-01-01T00:00:00Z", "2026-02-01T10:00:60Z",
        "2026-02-01T24:00:00Z", "2026-02-01T10:00:00z", "yesterday", "2026-02-01T10:00:00.Z", "2026-02-01",
    ]),
    st.datetimes().map(lambda t: t.isoformat() + "Z"),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-5, 10**7),
    st.sampled_from([10**15, 10**16, 2**53 + 1, 0.1, 1.005, 1e-7, 1e300, -0.0, 0.123456789012345678]),
    st.floats(allow_nan=False, allow_infinity=False),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["lot", "id", "x"]), inner, max_size=3),
    max_leaves=6,
)
members = {
    "machine": texts, "n": st.integers(0, 50), "at": instants, "stored": instants,
    "job": st.fixed_dictionaries({}, optional={
        "order": texts, "lot": st.fixed_dictionaries({}, optional={"id": texts, "x": anything}), "x": anything,
    }),
    "good": numbers, "scrap": numbers, "ms": numbers, "other": anything,
}  # fmt: skip
wrong = st.sampled_from(sorted(members)).flatmap(lambda name: st.tuples(st.just(name), anything))
usual = {"machine": "m1", "n": 1, "at": "2026-01-31T10:00:00Z", "good": 3}
documents = st.tuples(st.fixed_dictionaries({}, optional=members), st.lists(wrong, max_size=1), st.booleans()).map(
    lambda made: {**(usual if made[2] else {}), **made[0], **dict(made[1])}
)
styles = st.sampled_from([(",", ":"), (", ", ": "), (",\t", ":"), (" ,", " :")])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    document = draw(documents)
    line = json.dumps(document, separators=draw(styles), ensure_ascii=draw(st.booleans())).encode(
        "utf-8", "surrogatepass"
    )
    match draw(st.sampled_from(["whole", "whole", "whole", "cut", "changed", "twice"])):
        case "cut":
            return line[: draw(st.integers(0, len(line)))]
        case "changed":
            at, byte = draw(st.integers(0, len(line) - 1)), draw(st.sampled_from(list(b'{}[]",:0123e.-\\ \xc3\xff\t')))
            return line[:at] + bytes([byte]) + line[at + 1 :]
        case "twice":
            return line[:-1] + b',"machine":"m2","good":1}'
        case _:
            return line


def outcome(mapping: PlantMapping, records: RawRecords) -> tuple[list[dict], list]:
    vocabulary = Vocabulary()
    done = decode(mapping, records, vocabulary, NOW_US)
    columns = {
        name: vocabulary.text(column) if name in TEXT_COLUMNS else column.tolist()
        for name, column in done.events.columns.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)], done.faults


@given(st.lists(lines(), max_size=8), st.sampled_from([PLAIN, EPOCH]))
@example([b'{"machine":"m1","n":1,"at":"2026-01-31T10:00:00Z","good":1.5}'], PLAIN)
def test_with_and_without_the_kernel_the_same(values: list[bytes], mapping: PlantMapping) -> None:
    values = [value.replace(b"\n", b" ") for value in values]
    records = RawRecords.from_values(values, np.arange(len(values)))
    found = outcome(mapping, records)
    with mock.patch.object(json_kernel, "_READ", None):
        assert outcome(mapping, records) == found


@given(st.lists(lines(), max_size=6), st.binary(max_size=12), st.binary(max_size=12))
def test_what_stands_around_a_record_is_not_looked_at(values: list[bytes], before: bytes, after: bytes) -> None:
    alone = [json_kernel.parse_plain(PLAIN, RawRecords.from_values([value], np.zeros(1, np.int64))) for value in values]
    data = before + b"".join(values) + after
    ends = len(before) + np.cumsum([len(value) for value in values], dtype=np.int64)
    starts = ends - [len(value) for value in values]
    together = json_kernel.parse_plain(PLAIN, RawRecords(data, starts, ends.astype(np.int64), starts))
    if together is not None:
        one_by_one = [i for i, parsed in enumerate(alone) if parsed is not None and len(parsed.rows)]
        # Instants of the two kinds do not go together in a batch; the minority is left to the other decoder.
        assert set(together.rows.to_pylist()) <= set(one_by_one)
        for at, row in enumerate(together.rows.to_pylist()):
            for name, column in together.fields.items():
                assert column[at].as_py() == alone[row].fields[name][0].as_py()


def test_the_kernel_reads_what_plants_usually_send() -> None:
    line = json.dumps({**usual, "job": {"order": "1", "lot": {"id": "L"}}, "other": [1, {"a": None}]}).encode()
    parsed = json_kernel.parse_plain(PLAIN, RawRecords.from_values([line] * 3, np.arange(3)))
    assert parsed is not None
    assert parsed.rows.to_pylist() == [0, 1, 2]
    assert parsed.fields["lot"].to_pylist() == ["L"] * 3
