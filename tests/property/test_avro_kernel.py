"""The compiled kernel finds what the decoder without it finds, or leaves the record to it; fastavro is the twin."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
FRAMES = (b"\0\0\0\0\1", b"\0\0\0\0\2", b"\0\0\0\0\3")


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
NOISE = record(
    "Noise", ("x", "double"), ("y", "float"), ("tag", {"type": "fixed", "name": "Tag", "size": 5}), ("text", "string"),
    ("count", "long"), ("small", "int"), ("kind", {"type": "enum", "name": "Sort", "symbols": ["A", "B"]}),
    ("flag", "boolean"), ("wide", {"type": "fixed", "name": "Wide", "size": 65}),
)  # fmt: skip
"""What nobody asks for, of every kind."""
V2 = record(
    "Event", ("n", "int"), ("noise", NOISE), ("machine", ["null", "string"]), ("at", time("timestamp-micros")),
    ("good", "float"), ("scrap", "long"), ("order", "string"),
)  # fmt: skip
V3 = record(
    "Event", ("n", "long"), ("machine", "string"), ("at", time("timestamp-micros")), ("text", "string"),
    ("count", "long"), ("scrap", "long"), ("order", "string"),
)  # fmt: skip
PLANT = {
    "plant": "K", "format": "avro", "time_zone": "Europe/Berlin", "input": {"topics": ["k"]},
    "default_type": "partial", "types": {"CYCLE": "partial", "SCRAP": "scrap"}, "keys": {"order": {"7": "0007"}},
    "fields": {
        "source": "machine", "seq": "n", "occurred": "at", "recorded": "stored", "type": "kind", "lot": "job.lot",
        "good": "good", "scrap": "scrap", "machine": {"path": "ms", "unit": "ms"}, "energy": "wh", "order": "order",
        "reason": "odd.key", "quantity": "used", "from_bin": "bin", "to_bin": {"value": "B-2"},
    },
    "limits": {"depth_max": 4, "record_bytes_max": 2000, "past_max_s": 315_360_000, "quantity_max": 1000},
    "avro": {"ids": {"1": "1.avsc", "2": "2.avsc", "3": "3.avsc"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> PlantMapping:
    folder = tmp_path_factory.mktemp("schemas")
    for number, schema in ((1, V1), (2, V2), (3, V3)):
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
BARE, BARE_2, BARE_3 = (
    json.loads(json.dumps(v), object_hook=lambda node: {key: node[key] for key in node if key != "logicalType"})
    for v in (V1, V2, V3)
)
"""V1, V2 and V3 with instants as the numbers they are."""
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
QUIET = {
    "x": 0.5, "y": 1.0, "tag": b"12345", "text": "t", "count": 1, "small": -1, "kind": "B", "flag": True,
    "wide": b"w" * 65,
}  # fmt: skip
PLAIN = {"n": 5, "noise": QUIET, "machine": "m1", "at": NOW_US - 5, "good": 1.5, "scrap": 2, "order": "o"}
noises = st.fixed_dictionaries({"text": short, "count": numbers, "small": ints}).map(lambda change: {**QUIET, **change})
PLAIN_CHANGES = {
    "n": ints,
    "noise": noises,
    "machine": st.none() | short,
    "good": singles,
    "scrap": numbers,
    "order": short,
}
plain_events = st.sampled_from(sorted(PLAIN_CHANGES)).flatmap(
    lambda name: PLAIN_CHANGES[name].map(lambda value: {**PLAIN, name: value})
)
JUNK = (b"", b"\0", b"\1", b"\x7f", b"\xff", b"\xff" * 10, b"\x80" * 9 + b"\1", b"\x80" * 9 + b"\2", b"\x80\0")


@st.composite
def values(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        value = FRAMES[1] + body(BARE_2, draw(plain_events))
    else:
        value = FRAMES[0] + body(BARE, draw(events))
    if draw(st.integers(0, 2)):
        return value
    at = draw(st.integers(0, len(value)))
    return value[:at] + draw(st.sampled_from(JUNK)) + value[at + draw(st.integers(0, 2)) :]


def raw(values: list[bytes], behind: bytes = b"") -> RawRecords:
    """Return records, and bytes behind the last of them: where many follow, records are read side by side."""
    records = RawRecords.from_values(values, np.arange(len(values), dtype=np.int64) * 3)
    return replace(records, data=records.data + behind)


FAR = [b"", bytes(9_000), b"\xff" * 9_000, b"\1" * 9_000]


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
@given(st.lists(values(), max_size=8), st.sampled_from(FAR), st.sampled_from([1, 1, 17]))
@example([FRAMES[0] + body(BARE, USUAL)], FAR[1], 1)
@example([FRAMES[1] + body(BARE_2, PLAIN)], FAR[1], 1)
@example([FRAMES[1] + body(BARE_2, {**PLAIN, "order": "a" * 63, "noise": {**QUIET, "text": "a" * 64}})], FAR[1], 1)
@example(
    [FRAMES[1] + body(BARE_2, {**PLAIN, "order": "\0"}), FRAMES[1] + body(BARE_2, {**PLAIN, "order": "\0\0"})],
    FAR[1],
    1,
)
@example([FRAMES[1] + body(BARE_2, {**PLAIN, "scrap": -1})], FAR[1], 1)
@example([FRAMES[1] + body(BARE_2, {**PLAIN, "noise": {**QUIET, "count": 2**62}})], FAR[1], 1)
@example([FRAMES[1] + body(BARE_2, PLAIN).replace(b"o", b"\xff")] * 2, FAR[1], 17)
@example([FRAMES[0] + body(BARE, {**USUAL, "machine": "x" * 1025})], b"", 1)
@example([FRAMES[0] + body(BARE, {**USUAL, "skipped": [None] * 10_000})], b"", 1)
@example([FRAMES[0] + body(BARE, {**USUAL, "skipped": [None] * 9_999})], b"", 1)
@example([FRAMES[0] + body(BARE, {**USUAL, "scrap": 1000})], b"", 1)
@example([FRAMES[0] + body(BARE, {**USUAL, "scrap": 1001})], b"", 1)
@example([FRAMES[0] + body(BARE, {**USUAL, "n": 2**53})], b"", 1)
@example([FRAMES[0] + body(BARE, {**USUAL, "at": 1_770_000_300_001})], b"", 1)
@example([FRAMES[0] + b"\1\2\0\0" + body(BARE, USUAL)[1:]], b"", 1)  # a block that states its size
@example([FRAMES[0] + b"\1\4\0\0" + body(BARE, USUAL)[1:]], b"", 1)  # and one that is of another
@example([FRAMES[0] + b"\2\4\x80\x80\x80\x80\x20\0" + body(BARE, USUAL)[1:]], b"", 1)  # an int of 34 bits
@example([FRAMES[0] + body(BARE, USUAL).replace(b"\0\0\x48\x41", b"\1\0\x80\x7f")], b"", 1)  # a NaN that signals
def test_with_and_without_the_kernel_the_same(
    mapping: PlantMapping, values: list[bytes], behind: bytes, times: int
) -> None:
    found = outcome(mapping, raw(values * times, behind))
    with without_kernel():
        assert outcome(mapping, raw(values * times, behind)) == found


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
@given(
    st.lists(values(), min_size=1, max_size=6),
    st.binary(max_size=80),
    st.builds(lambda near, far: near + far, st.binary(max_size=80), st.sampled_from(FAR)),
)
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
    records = raw([FRAMES[0] + body(BARE, event), FRAMES[1] + body(BARE_2, {**PLAIN, "at": NOW_US})] * 3)
    assert read_avro(mapping, records, Vocabulary(), NOW_US)["row"].tolist() == list(range(6))


def test_texts_outgrow_their_table(mapping: PlantMapping) -> None:
    sources = [f"machine {n} of a very long name" if n % 2 else f"m{n}" for n in range(4_000)]
    vocabulary = Vocabulary()
    for _ in range(2):  # the second time they are known
        records = raw([FRAMES[0] + body(BARE, {**USUAL, "machine": source}) for source in sources])
        events = read_avro(mapping, records, vocabulary, NOW_US)
        assert vocabulary.text(events["source"]) == sources
        sources.reverse()


def test_a_record_in_which_a_table_is_full_may_turn_out_to_have_a_fault(mapping: PlantMapping) -> None:
    filling = [{**USUAL, "job": {**INNERMOST, "lot": f"l{n % 60}"}, "bin": f"b{n}"} for n in range(128)]
    # Its source and its lot are new, its bin has no room left. Read again, its source is known to be too long.
    long = {**USUAL, "machine": "y" * 300, "job": {**INNERMOST, "lot": "l60"}, "bin": "b128"}
    following = [{**USUAL, "job": {**INNERMOST, "lot": "l61"}, "bin": "b129"}]
    found = outcome(mapping, raw([FRAMES[0] + body(BARE, event) for event in (*filling, long, *following)]))
    assert len(found[0]) == 129
    assert [fault.row for fault in found[1]] == [128]


def test_two_mappings_of_one_shard_keep_their_texts_apart(mapping: PlantMapping) -> None:
    other = mapping.model_copy(update={"keys": {"order": {"7": "other"}}})
    vocabulary, records = Vocabulary(), raw([FRAMES[0] + body(BARE, USUAL)])
    orders = [vocabulary.text(read_avro(each, records, vocabulary, NOW_US)["order"]) for each in (mapping, other) * 2]
    assert orders == [["0007"], ["other"]] * 2


@settings(deadline=None)
@given(
    st.one_of(st.tuples(st.just(BARE), st.lists(events)), st.tuples(st.just(BARE_2), st.lists(plain_events))),
    st.sampled_from(["null", "deflate"]),
    st.sampled_from([1, 100, 1_000, 16_000]),
    st.sampled_from([1, 1, 5]),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(JUNK), st.integers(0, 3)), max_size=2),
    st.data(),
)
def test_containers_are_taken_apart_alike(
    written: tuple[Any, list[dict[str, Any]]],
    codec: str,
    interval: int,
    times: int,
    damages: list[tuple[float, bytes, int]],
    data: st.DataObject,
) -> None:
    schema, events = written[0], written[1] * times
    target = io.BytesIO()
    fastavro.writer(target, schema, events, codec=codec, sync_interval=interval, sync_marker=b"s" * 16)
    file = target.getvalue()
    for place, junk, dropped in damages:
        at = int(place * len(file))
        file = file[:at] + junk + file[at + dropped :]
    whole = read_container(file)
    kept = [whole.value(row) for row in range(len(whole))]
    if not damages:
        assert [value[10:] for value in kept] == [body(schema, event) for event in events]
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


SOUND = body(BARE_3, {"n": 5, "machine": "m1", "at": NOW_US - 5, "text": "t", "count": 1, "scrap": 0, "order": ""})
EIGHT = b"\x80" * 8  # of a number, of which more follows
BROKEN = {
    "a text that is asked for is shorter than nothing": SOUND.replace(b"\4m1", b"\5m1"),
    "a text is shorter than nothing": SOUND.replace(b"\2t", b"\3t"),
    "a number takes the next one's byte": SOUND.replace(b"\2t\2\0\0", b"\2t" + EIGHT + b"\1\0"),
    "a number that is asked for does": SOUND.replace(b"\2t\2\0\0", b"\2t\2" + EIGHT + b"\0"),
    "a text's length breaks off": SOUND.replace(b"\2t\2\0\0", b"\2t\2\0\x80"),
    "it breaks off": SOUND[:-1],
    "it goes on": SOUND + b"\0",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_not_read_beside_sound_records(mapping: PlantMapping, broken: bytes) -> None:
    assert broken != SOUND
    records = raw([FRAMES[2] + each for each in (SOUND, SOUND, broken, SOUND)], bytes(9_000))
    decode(mapping, records, vocabulary := Vocabulary(), NOW_US)  # so that all texts are known
    done = decode(mapping, records, vocabulary, NOW_US)
    assert [fault.row for fault in done.faults] == [2]
    assert done.events["row"].tolist() == [0, 1, 3]
    target = io.BytesIO()
    fastavro.writer(target, BARE_3, [], sync_marker=b"s" * 16)
    blocks = [(SOUND * 2, 2)] * 3 + [(SOUND + broken, 2)] + [(SOUND * 20, 20)] * 8  # and far from the end
    file = target.getvalue() + b"".join(block(data, count) for data, count in blocks)
    whole = read_container(file)
    with without_kernel():
        slow = read_container(file)
    assert [whole.value(row) for row in range(len(whole))] == [slow.value(row) for row in range(len(slow))]


def block(data: bytes, count: int) -> bytes:
    """Return a block of a container that states so many data."""
    target = io.BytesIO()
    fastavro.schemaless_writer(target, "long", count)
    fastavro.schemaless_writer(target, "bytes", data)
    return target.getvalue() + b"s" * 16


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
