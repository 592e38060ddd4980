"""The compiled kernel finds what the decoder without it finds, or leaves the record to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canonical.columns import TEXT_COLUMNS, Vocabulary
from canonical.decoders import decode, json_kernel, known_texts
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
        "quantity": "job.used",
        "from_bin": "bin",
    },
    "limits": {"depth_max": 4, "record_bytes_max": 2000, "past_max_s": 315_360_000},
}
FULL = {
    **MAPPING,
    "fields": {
        **MAPPING["fields"],
        "session": "job.shift",
        "type": "what",
        "unit": "unit",
        "operation": {"value": "0010"},
        "reason": "job.lot.x",
        "event_id": "other",
        "good": "job.good",
        "good_counter": "good",
        "energy": {"path": "kwh", "unit": "kWh"},
        "to_bin": "job.bin",
        "handling_unit": {"value": "HU-1"},
    },
    "types": {"m1": "complete", "m2": "scrap", "Grat ü": "start"},
    "units": {"m1": "KGM"},
    "keys": {"order": {"m1": "m2", "m2": "", "": "m1"}, "operation": {"0010": "OP10"}},
}
PATTERN = {"format": "%Y-%m-%dT%H:%M:%S", "ambiguous": "latest"}
BY_ID = {**FULL["fields"], "event_id": "machine", "source": "job.order", "order": "job.lot.id"} | {"lot": "x"}
MAPPINGS = {
    name: PlantMapping.model_validate(mapping)
    for name, mapping in {
        "plain": MAPPING,
        "full": FULL,
        "epoch_s": {**MAPPING, "time": {"format": "epoch_s"}},
        "epoch_ms": {**FULL, "time": {"format": "epoch_ms"}},
        "epoch_us": {**MAPPING, "time": {"format": "epoch_us"}},
        "pattern": {**MAPPING, "time": PATTERN},
        "wrapping": {**FULL, "sequencing": {"modulus": 16, "start": "any"}, "unit": "MGM", "default_type": "hold"},
        "arrival": {**MAPPING, "sequencing": {"mode": "arrival"}},
        "arrival by id": {**FULL, "fields": BY_ID, "sequencing": {"mode": "arrival"}, "time": PATTERN},
        "no default": {name: value for name, value in FULL.items() if name != "default_type"},
    }.items()
}
PLAIN = MAPPINGS["plain"]

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
epochs = st.sampled_from(
    [1_770_000_000, 1_769_999_999.5, 1_769_999_999_999, 1_769_999_999_999.25, 1_769_999_999_999_999]
)
times = st.one_of(instants, epochs)
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
    "machine": texts, "n": st.integers(0, 50), "at": times, "stored": times,
    "job": st.fixed_dictionaries({}, optional={
        "order": texts, "lot": st.fixed_dictionaries({}, optional={"id": texts, "x": texts}), "x": anything,
        "shift": texts, "good": numbers, "used": numbers, "bin": texts,
    }),
    "good": numbers, "scrap": numbers, "ms": numbers, "kwh": numbers, "other": anything, "what": texts, "bin": texts,
    "unit": st.sampled_from(["m1", "KGM", "kg", "", "furlong"]),
}  # fmt: skip
changes = st.sampled_from(sorted(members)).flatmap(lambda name: st.tuples(st.just(name), members[name] | anything))
usual = {"machine": "m1", "n": 1, "at": "2026-01-31T10:00:00Z", "good": 3}
names = st.sampled_from(["m1", "m2", "Grat ü", "m1 ", "a name of many letters"])
amounts = st.one_of(st.integers(0, 9_999), st.sampled_from([0.5, 1.125, 12345.678, 1.0, None]))


def documents(time_format: str) -> st.SearchStrategy[dict]:
    """Documents of which most have no fault, with some changed members."""
    number = {"epoch_s": 1_770_000_000, "epoch_ms": 1_769_999_999_999.5, "epoch_us": 1_769_999_999_999_999}
    texts_of_times = ["2026-01-31T10:00:00Z", "2026-01-31T11:00:00.25+01:00", "2026-01-31T10:00:00"]
    at = st.sampled_from(
        [number[time_format]] if time_format in number else texts_of_times[-1 if "%" in time_format else 0 :]
    )
    job = st.fixed_dictionaries({"order": names}, optional={
        "lot": st.fixed_dictionaries({}, optional={"id": names, "x": names}), "good": amounts, "shift": names,
    })  # fmt: skip
    sound = st.fixed_dictionaries(
        {"machine": names, "n": st.integers(0, 12), "at": at, "other": names},
        optional={"stored": at, "job": job, "good": amounts, "scrap": amounts, "ms": amounts, "kwh": amounts,
                  "what": names, "unit": st.sampled_from(["m1", "kg"]), "more": anything},
    )  # fmt: skip
    changed = st.lists(changes, max_size=2) | st.just([])
    return st.tuples(sound, changed, st.permutations(range(20))).map(
        lambda made: dict(sorted({**made[0], **dict(made[1])}.items(), key=lambda item: made[2][len(item[0])]))
    )


styles = st.sampled_from([(",", ":"), (", ", ": ")] * 4 + [(",\t", ":"), (" ,", " :")])


@st.composite
def lines(draw: st.DrawFn, mapping: PlantMapping) -> bytes:
    document = draw(documents(mapping.time.format))
    line = json.dumps(document, separators=draw(styles), ensure_ascii=draw(st.booleans())).encode(
        "utf-8", "surrogatepass"
    )
    match draw(st.sampled_from(["whole"] * 9 + ["cut", "changed", "twice"])):
        case "cut":
            return line[: draw(st.integers(0, len(line)))]
        case "changed":
            at, byte = draw(st.integers(0, len(line) - 1)), draw(st.sampled_from(list(b'{}[]",:0123e.-\\ \xc3\xff\t')))
            return line[:at] + bytes([byte]) + line[at + 1 :]
        case "twice":
            return line[:-1] + draw(st.sampled_from([b',"machine":"m2","good":1}', b',"good":null,"machine":null}']))
        case _:
            return line


def outcomes(mapping: PlantMapping, batches: list[RawRecords]) -> list[tuple[list[dict], list, int]]:
    """Return what becomes of batches that are decoded one after the other: events, faults, and lines skipped."""
    vocabulary, found = Vocabulary(), []
    for records in batches:
        done = decode(mapping, records, vocabulary, NOW_US)
        columns = {
            name: vocabulary.text(column) if name in TEXT_COLUMNS else column.tolist()
            for name, column in done.events.columns.items()
        }
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        found.append((rows, done.faults, done.skipped))
    return found


def without_kernel(mapping: PlantMapping, batches: list[RawRecords]) -> list[tuple[list[dict], list, int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_kernel, "_READ", None)
        return outcomes(mapping, batches)


def records_of(values: list[bytes]) -> RawRecords:
    return RawRecords.from_values([value.replace(b"\n", b" ") for value in values], np.arange(len(values)))


def read(mapping: PlantMapping, *values: bytes) -> list[int]:
    """Return which rows the kernel reads."""
    return json_kernel.read_json(mapping, records_of([*values]), Vocabulary(), NOW_US).events["row"].tolist()


@pytest.mark.parametrize("name", MAPPINGS)
@settings(max_examples=40)
@given(st.data())
def test_with_and_without_the_kernel_the_same(name: str, data: st.DataObject) -> None:
    mapping = MAPPINGS[name]
    raw = [records_of(values) for values in data.draw(st.lists(st.lists(lines(mapping), max_size=6), max_size=3))]
    assert outcomes(mapping, raw) == without_kernel(mapping, raw)


@given(st.lists(lines(PLAIN), max_size=6), st.binary(max_size=90), st.binary(max_size=90))
def test_what_stands_around_a_record_is_not_looked_at(values: list[bytes], before: bytes, after: bytes) -> None:
    ends = len(before) + np.cumsum([len(value) for value in values], dtype=np.int64)
    starts = ends - [len(value) for value in values]
    records = RawRecords(before + b"".join(values) + after, starts, ends.astype(np.int64), starts)
    together = json_kernel.read_json(PLAIN, records, Vocabulary(), NOW_US).events
    assert together["row"].tolist() == [row for row, value in enumerate(values) if read(PLAIN, value)]
    for at, row in enumerate(together["row"].tolist()):
        alone = json_kernel.read_json(PLAIN, records_of([values[row]]), Vocabulary(), NOW_US).events
        for column in ("seq", "occurred_us", "recorded_us", "good", "scrap", "machine_us"):
            assert together[column][at] == alone[column][0]


numerals = st.from_regex(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?(e-?[0-9]{1,2})?", fullmatch=True)


@settings(max_examples=50)
@given(st.lists(st.tuples(numerals, numerals, numerals, numerals), max_size=4))
@example([("9007199254740991", "9007199254740993", "1770000000000000.5", "0.0005")])
@example([("1000000.000", "2.50", "1000000000.5", "1000000000000000")])
def test_numbers(rows: list[tuple[str, ...]]) -> None:
    line = '{"machine":"m1","n":%s,"at":%s,"good":%s,"job":{"good":%s},"ms":%s,"kwh":%s}'
    records = records_of([(line % (n, at, good, good, ms, ms)).encode() for n, at, good, ms in rows])
    for name in ("epoch_s", "epoch_ms", "epoch_us", "full"):
        assert outcomes(MAPPINGS[name], [records]) == without_kernel(MAPPINGS[name], [records])


@pytest.mark.parametrize(
    "moment", ["2026-02-01T10:00:00", "2026-03-29T02:30:00.5", "2026-10-25T02:30:00", "1971-01-01T00:00:00"]
)
@pytest.mark.parametrize(
    "zone", ["", "Z", "+01:00", "-14:59", ".1234567", ".1234567890Z", ".123456Z", "+15:00", "z", "."]
)
@pytest.mark.parametrize("name", ["plain", "pattern"])
def test_instants(moment: str, zone: str, name: str) -> None:
    line = '{"machine":"m1","n":1,"at":"%s","stored":%s}'
    lines = [line % (moment + zone, "null"), line % ("2026-02-01T10:00:00Z", f'"{moment}{zone}"')]
    records = records_of([line.encode() for line in lines])
    assert outcomes(MAPPINGS[name], [records]) == without_kernel(MAPPINGS[name], [records])


def test_texts_beyond_what_a_table_holds_are_met_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_texts, "TEXTS_MAX", 2_000)
    monkeypatch.setattr(known_texts, "ARENA_BYTES_MAX", 50_000)
    usual = '{"machine":"m%d","n":1,"at":"2026-01-31T10:00:00Z","job":{"order":"%s%d"}}'
    batches = [
        records_of(
            [(usual % (i % 3_000, "a longer order " * (i % 9), i)).encode() for i in range(first, first + 5_000)]
        )
        for first in (0, 2_500, 20_000)
    ]
    assert [len(events) for events, _, _ in outcomes(PLAIN, batches)] == [5_000] * 3
    assert outcomes(PLAIN, batches) == without_kernel(PLAIN, batches)


def test_where_texts_of_large_tables_are_expected_they_need_not_be() -> None:
    alike = '{"machine":"m%05d","n":%d,"at":"2026-01-31T10:00:00Z","job":{"order":"%s"}}'
    other = '{"note":"%s","job":{"order":"%s"},"at":"2026-01-31T10:00:00Z","n":1,"machine":"m"}'
    many = [alike % (i, i % 1_200, str(i)[: i % 5] + "x" * (i % 19)) for i in range(9_000)]
    mixed = [line for i in range(300) for line in (alike % (i, i, "1"), other % ("y" * (i % 70), "z" * (i % 19)), "{}")]
    batches = [records_of([line.encode() for line in batch]) for batch in (many, mixed, many[:3], mixed[:5], many)]
    assert outcomes(PLAIN, batches) == without_kernel(PLAIN, batches)


def test_the_kernel_reads_what_plants_usually_send() -> None:
    document = {**usual, "job": {"order": "1", "lot": {"id": "L"}}, "other": [1, {"a": None}], "note": 'a "b"\n 1e5'}
    line, wide = json.dumps(document, separators=(",", ":")).encode(), json.dumps(document).encode()
    assert read(PLAIN, line, wide, line) == [0, 1, 2]
    assert read(MAPPINGS["epoch_us"], b'{"machine":"m1","n":1,"at":1770000000000000}') == [0]
    assert read(MAPPINGS["pattern"], line.replace(b"00Z", b"00")) == [0]


def test_of_equal_names_the_long_way_decides() -> None:
    line = json.dumps(usual).encode()
    assert read(PLAIN, line[:-1] + b',"good":null}', line[:-1] + b',"good":3}', line) == [2]


def test_names_that_are_more_than_are_remembered_are_read_nevertheless() -> None:
    others = "".join(f'"other {i}":{i},' for i in range(100))
    line = json.dumps(usual)
    assert read(PLAIN, ("{" + others + line[1:]).encode(), line.encode(), ("{" + others + line[1:]).encode()) == [
        0,
        1,
        2,
    ]
