"""The compiled kernel finds what the decoder without it finds, or leaves the record to it; fastavro is the twin."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canonical.columns import DEFAULTS, TEXT_COLUMNS, EventBatch, Vocabulary
from canonical.decoders import avro_kernel, decode
from canonical.decoders.avro import read_avro
from canonical.decoders.avro_container import Container, read_container
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from canonical.writer_schema import single_prefix

pytestmark = pytest.mark.skipif(not avro_kernel.is_compiled(), reason="the kernel is not compiled: no C compiler here")

NOW_US = 1_770_000_000_000_000
FRAMES = (b"\0\0\0\0\1", b"\0\0\0\0\2")


def record(name: str, *fields: tuple[str, object]) -> dict[str, object]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


def time(name: str) -> dict[str, str]:
    return {"type": "long", "logicalType": name}


INNER = record(
    "Inner", ("lot", ["null", "string"]), ("more", ["null", "Event"]), ("note", {"type": "map", "values": "boolean"})
)
V1 = record(
    "Event",
    ("skipped", {"type": "array", "items": ["null", "bytes", "int"]}),
    ("machine", "string"),
    ("n", "long"),
    ("at", time("timestamp-millis")),
    ("kind", {"type": "enum", "name": "Kind", "symbols": ["CYCLE", "SCRAP", "HUH"]}),
    ("stored", ["null", time("timestamp-nanos")]),
    ("job", ["null", INNER]),
    ("good", ["double", "null"]),
    ("scrap", "int"),
    ("ms", ["null", "float"]),
    ("wh", ["null", "long"]),
    ("order", ["null", "long"]),
    ("used", ["null", "double"]),
    ("bin", ["null", "string"]),
    ("odd", record("Odd", ("key", {"type": "fixed", "name": "Key", "size": 3}), ("nothing", "null"))),
)
V2 = record("Event", ("n", "int"), ("machine", ["null", "string"]), ("at", time("timestamp-micros")), ("good", "float"))
PLANT = {
    "plant": "K", "format": "avro", "time_zone": "Europe/Berlin", "input": {"topics": ["k"]},
    "default_type": "partial", "types": {"CYCLE": "partial", "SCRAP": "scrap"}, "keys": {"order": {"7": "0007"}},
    "fields": {
        "source": "machine", "seq": "n", "occurred": "at", "recorded": "stored", "type": "kind", "lot": "job.lot",
        "good": "good", "scrap": "scrap", "machine": {"path": "ms", "unit": "ms"}, "energy": "wh", "order": "order",
        "reason": "odd.key", "quantity": "used", "from_bin": "bin", "to_bin": {"value": "B-2"},
    },
    "limits": {"depth_max": 4, "record_bytes_max": 2000, "past_max_s": 315_360_000, "quantity_max": 1000},
    "avro": {"ids": {"1": "1.avsc", "2": "2.avsc"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> PlantMapping:
    folder = tmp_path_factory.mktemp("schemas")
    for number, schema in ((1, V1), (2, V2)):
        (folder / f"{number}.avsc").write_text(json.dumps(schema), "utf-8")
    return PlantMapping.model_validate(PLANT, context={"folder": folder})


def body(schema: object, event: object) -> bytes:
    target = io.BytesIO()
    fastavro.schemaless_writer(target, schema, event)
    return target.getvalue()


short = st.one_of(st.sampled_from(["m1", "m2", "", "ü" * 9, "x" * 17, "y" * 300, "\0", "a\0"]), st.text(max_size=9))
numbers = st.one_of(
    st.integers(-3, 1000), st.sampled_from([-(2**63), 2**63 - 1, 2**53, 2**53 - 1, 2**31, 1001, 127, 64, 63, 8191])
)
ints = st.one_of(st.integers(-2, 1000), st.sampled_from([2**31 - 1, -(2**31), 1001]))
floats = st.one_of(st.integers(0, 1000).map(float), st.floats(), st.sampled_from([0.5, 0.001, 1000.5, 1000.501, -0.0]))
singles = st.one_of(st.floats(width=32), st.integers(0, 9000).map(lambda n: n / 8))
millis = st.sampled_from([1_769_999_999_999, 1_760_000_000_000, 1, -1, 2**62, -(2**63), 1_770_000_300_001])
BARE = json.loads(
    json.dumps(V1), object_hook=lambda node: {key: value for key, value in node.items() if key != "logicalType"}
)
"""V1 with instants as the numbers they are."""
INNERMOST = {"lot": "L", "more": None, "note": {}}
USUAL = {
    "skipped": [], "machine": "m1", "n": 5, "at": 1_769_999_999_999, "kind": "CYCLE", "stored": None, "job": None,
    "good": 1.5, "scrap": 0, "ms": 12.5, "wh": 3, "order": 7, "used": None, "bin": None,
    "odd": {"key": b"abc", "nothing": None},
}  # fmt: skip
inner = st.fixed_dictionaries({
    "lot": st.none() | short,
    "more": st.none() | st.just({**USUAL, "job": INNERMOST}) | st.just({**USUAL, "job": {**INNERMOST, "more": USUAL}}),
    "note": st.dictionaries(st.text(max_size=3), st.booleans(), max_size=2),
})  # fmt: skip
CHANGES = {
    "skipped": st.lists(st.none() | st.binary(max_size=4) | ints, max_size=3), "machine": short, "n": numbers,
    "at": millis, "kind": st.sampled_from(["CYCLE", "SCRAP", "HUH"]),
    "stored": st.none() | millis.map(lambda ms: max(min(ms * 1_000_000, 2**63 - 1), -(2**63))),
    "job": st.none() | inner,
    "good": st.none() | floats, "scrap": ints, "ms": st.none() | singles, "wh": st.none() | numbers,
    "order": st.none() | numbers, "used": st.none() | floats, "bin": st.none() | short,
    "odd": st.binary(min_size=3, max_size=3).map(lambda key: {"key": key, "nothing": None}),
}  # fmt: skip
changes = st.lists(st.sampled_from(sorted(CHANGES)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: CHANGES[name] for name in names})
)
events = changes.map(lambda change: {**USUAL, **change})
JUNK = (b"", b"\0", b"\1", b"\x7f", b"\xff", b"\xff" * 10, b"\x80" * 9 + b"\1", b"\x80" * 9 + b"\2", b"\x80\0")


@st.composite
def values(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 3)) == 0:
        event = {"n": draw(ints), "machine": draw(st.none() | short), "at": NOW_US - 5, "good": draw(singles)}
        bare = {**V2, "fields": [*V2["fields"][:2], {"name": "at", "type": "long"}, V2["fields"][3]]}
        value = FRAMES[1] + body(bare, event)
    else:
        value = FRAMES[0] + body(BARE, draw(events))
    if draw(st.integers(0, 2)):
        return value
    at = draw(st.integers(0, len(value)))
    return value[:at] + draw(st.sampled_from(JUNK)) + value[at + draw(st.integers(0, 2)) :]


def raw(values: list[bytes]) -> RawRecords:
    return RawRecords.from_values(values, np.arange(len(values), dtype=np.int64) * 3)


def told(events: EventBatch, vocabulary: Vocabulary) -> dict[int, dict[str, object]]:
    """Return what each row's event is, in texts and numbers."""
    columns = {
        name: vocabulary.text(events[name]) if name in TEXT_COLUMNS else events[name].tolist() for name in DEFAULTS
    }
    return {
        row: {name: column[at] for name, column in columns.items()} for at, row in enumerate(events["row"].tolist())
    }


def outcome(mapping: PlantMapping, records: RawRecords) -> tuple[object, ...]:
    vocabulary = Vocabulary()
    done = decode(mapping, records, vocabulary, NOW_US)
    return told(done.events, vocabulary), done.faults, done.skipped


@contextmanager
def without_kernel() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(avro_kernel, "_READ", None)
        avro_kernel.passing.cache_clear()
        yield
    avro_kernel.passing.cache_clear()


@settings(deadline=None)
@given(st.lists(values(), max_size=8))
@example([FRAMES[0] + body(BARE, USUAL)])
@example([FRAMES[0] + body(BARE, {**USUAL, "machine": "x" * 1025})])
@example([FRAMES[0] + body(BARE, {**USUAL, "skipped": [None] * 10_000})])
@example([FRAMES[0] + body(BARE, {**USUAL, "skipped": [None] * 9_999})])
@example([FRAMES[0] + body(BARE, {**USUAL, "scrap": 1000})])
@example([FRAMES[0] + body(BARE, {**USUAL, "scrap": 1001})])
@example([FRAMES[0] + body(BARE, {**USUAL, "n": 2**53})])
@example([FRAMES[0] + body(BARE, {**USUAL, "at": 1_770_000_300_001})])
@example([FRAMES[0] + b"\1\2\0\0" + body(BARE, USUAL)[1:]])  # a block that states its size
@example([FRAMES[0] + b"\1\4\0\0" + body(BARE, USUAL)[1:]])  # and one that is of another
@example([FRAMES[0] + b"\2\4\x80\x80\x80\x80\x20\0" + body(BARE, USUAL)[1:]])  # an int of 34 bits
@example([FRAMES[0] + body(BARE, USUAL).replace(b"\0\0\x48\x41", b"\1\0\x80\x7f")])  # a NaN that signals
def test_with_and_without_the_kernel_the_same(mapping: PlantMapping, values: list[bytes]) -> None:
    found = outcome(mapping, raw(values))
    with without_kernel():
        assert outcome(mapping, raw(values)) == found


@settings(deadline=None)
@given(st.lists(events, min_size=1, max_size=8))
def test_what_the_kernel_reads_is_what_fastavro_reads(mapping: PlantMapping, events: list[dict[str, Any]]) -> None:
    values = [body(BARE, event) for event in events]
    vocabulary = Vocabulary()
    read = told(read_avro(mapping, raw([FRAMES[0] + value for value in values]), vocabulary, NOW_US), vocabulary)
    for row, found in read.items():
        event = fastavro.schemaless_reader(io.BytesIO(values[row]), BARE)
        assert found["source"] == event["machine"] != ""
        assert (found["seq"], found["occurred_us"]) == (event["n"], event["at"] * 1000)
        assert found["lot"] == ((event["job"] or {}).get("lot") or "")
        assert found["good"] / 1000 == (event["good"] or 0.0)
        assert found["scrap"] == event["scrap"] * 1000
        assert found["machine_us"] == round((event["ms"] or 0) * 1000)
        assert found["energy_mwh"] == (event["wh"] or 0) * 1000
        assert found["order"] == {None: "", 7: "0007"}.get(event["order"], str(event["order"]))
        assert found["recorded_us"] == (-1 if event["stored"] is None else event["stored"] // 1000)
        assert found["reason"] == event["odd"]["key"].decode()


@settings(deadline=None)
@given(st.lists(values(), min_size=1, max_size=6), st.binary(max_size=80), st.binary(max_size=80))
def test_what_stands_around_a_record_is_not_looked_at(
    mapping: PlantMapping, values: list[bytes], before: bytes, after: bytes
) -> None:
    data = before + b"".join(values) + after
    ends = len(before) + np.cumsum([len(value) for value in values], dtype=np.int64)
    starts = ends - [len(value) for value in values]
    vocabulary = Vocabulary()
    together = told(read_avro(mapping, RawRecords(data, starts, ends, starts), vocabulary, NOW_US), vocabulary)
    for row, value in enumerate(values):
        vocabulary = Vocabulary()
        alone = told(read_avro(mapping, raw([value]), vocabulary, NOW_US), vocabulary)
        assert (row in together) == (0 in alone)
        if alone:
            assert together[row] == {**alone[0], "row": row, "offset": starts[row]}


def test_the_kernel_reads_what_plants_usually_send(mapping: PlantMapping) -> None:
    event = {**USUAL, "job": {**INNERMOST, "more": USUAL, "note": {"a": True}}, "skipped": [1, None, b"x"]}
    records = raw([FRAMES[0] + body(BARE, event), FRAMES[1] + body(V2, {**USUAL, "at": NOW_US})] * 3)
    assert read_avro(mapping, records, Vocabulary(), NOW_US)["row"].tolist() == list(range(6))


def test_texts_outgrow_their_table(mapping: PlantMapping) -> None:
    sources = [f"machine {n} of a very long name" if n % 2 else f"m{n}" for n in range(4_000)]
    vocabulary = Vocabulary()
    for _ in range(2):  # the second time they are known
        records = raw([FRAMES[0] + body(BARE, {**USUAL, "machine": source}) for source in sources])
        events = read_avro(mapping, records, vocabulary, NOW_US)
        assert vocabulary.text(events["source"]) == sources
        sources.reverse()


def test_two_mappings_of_one_shard_keep_their_texts_apart(mapping: PlantMapping) -> None:
    other = mapping.model_copy(update={"keys": {"order": {"7": "other"}}})
    vocabulary, records = Vocabulary(), raw([FRAMES[0] + body(BARE, USUAL)])
    orders = [vocabulary.text(read_avro(each, records, vocabulary, NOW_US)["order"]) for each in (mapping, other) * 2]
    assert orders == [["0007"], ["other"]] * 2


@settings(deadline=None)
@given(
    st.lists(events, max_size=30),
    st.sampled_from(["null", "deflate"]),
    st.sampled_from([1, 100, 16_000]),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(JUNK), st.integers(0, 3)), max_size=2),
    st.data(),
)
def test_containers_are_taken_apart_alike(
    events: list[dict[str, Any]],
    codec: str,
    interval: int,
    damages: list[tuple[float, bytes, int]],
    data: st.DataObject,
) -> None:
    target = io.BytesIO()
    fastavro.writer(target, BARE, events, codec=codec, sync_interval=interval, sync_marker=b"s" * 16)
    file = target.getvalue()
    for place, junk, dropped in damages:
        at = int(place * len(file))
        file = file[:at] + junk + file[at + dropped :]
    whole = read_container(file)
    kept = [whole.value(row) for row in range(len(whole))]
    if not damages:
        assert [value[10:] for value in kept] == [body(BARE, event) for event in events]
    pieces: list[bytes] = []
    container = Container(io.BytesIO(file))
    container.skip(skipped := data.draw(st.integers(0, len(kept))))
    while len(part := container.read(data.draw(st.integers(1, 20)), data.draw(st.sampled_from([1, 300, 5_000])))):
        assert part.offsets.tolist() == list(range(skipped + len(pieces), skipped + len(pieces) + len(part)))
        pieces += [part.value(row) for row in range(len(part))]
    assert pieces == kept[skipped:]
    with without_kernel():
        slow = read_container(file)
    assert [slow.value(row) for row in range(len(slow))] == kept
    assert (slow.headers, slow.offsets.tolist()) == (whole.headers, whole.offsets.tolist())


def test_blocks_reach_the_kernel_as_they_are() -> None:
    target = io.BytesIO()
    fastavro.writer(target, BARE, [USUAL] * 500, sync_interval=1_000)
    records = Container(io.BytesIO(target.getvalue())).read(400, 1 << 20)
    assert records.prefix == single_prefix(json.dumps(BARE))
    assert records.data in target.getvalue()
    assert len(records) > 300


@pytest.mark.parametrize(
    ("stated", "values"),
    [(2, ["datum", "datum"]), (1, ["datum", "rest"]), (3, ["datum", "datum", "nothing"])],
)
def test_a_block_that_states_another_count_is_not_taken_as_it_is(stated: int, values: list[str]) -> None:
    target = io.BytesIO()
    fastavro.writer(target, BARE, [], sync_marker=b"s" * 16)
    datum, prefix = body(BARE, USUAL), single_prefix(json.dumps(BARE))
    size = 2 * len(datum)
    block = bytes([2 * stated, 2 * size & 0x7F | 0x80, 2 * size >> 7]) + datum * 2 + b"s" * 16
    records = read_container(target.getvalue() + block)
    kinds = {"datum": prefix + datum, "rest": b"Obj\x01" + datum, "nothing": prefix}
    assert [records.value(row) for row in range(len(records))] == [kinds[value] for value in values]
