"""Laws of the decoders: company and cuts do not matter, and a naive twin agrees (DESIGN law 4)."""

from __future__ import annotations

import importlib.util
import io
import json
import math
from pathlib import Path

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.columns import DEFAULTS, EVENT_TYPES, TEXT_COLUMNS, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
from canonical.decoders.avro import parse_avro
from canonical.mapping import load
from canonical.records import RawRecords

NOW_US = 1_767_600_000_000_000  # 2026-01-05T08:00:00Z

MAPPING = """
plant = "A"
format = "json"
time_zone = "Europe/Berlin"

[input]
folder = "a"

[fields]
source = "machine.id"
session = "boot"
seq = "n"
type = "kind"
occurred = "ts"
recorded = "stored"
order = "order.no"
operation = "order.op"
lot = "lot"
unit = "uom"
good = "good"
scrap = "scrap"
machine = { path = "cycle.ms", unit = "ms" }
energy = { path = "wh", unit = "kWh" }
good_counter = "total"
quantity = "used"
from_bin = "bin.from"
to_bin = "bin.to"
handling_unit = "lpn"

[types]
CYCLE = "partial"
SCRAP = "scrap"

[units]
Stk = "H87"

[keys.order]
"4711" = "000000004711"

[limits]
record_bytes_max = 2000
depth_max = 4
"""


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    path = tmp_path_factory.mktemp("mapping") / "a.toml"
    path.write_text(MAPPING, "utf-8")
    return load(path)


@pytest.fixture(scope="module")
def twin():
    path = Path(__file__).with_name("twin_decode.py")
    spec = importlib.util.spec_from_file_location("twin_decode", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


texts = st.one_of(
    st.sampled_from(
        ["4711", "M-01", "Stk", "{", "}{", "}\n{", '"}{"', "[", "\\", "\t", "ä", "😀", "", "x" * 257, "\0"]
    ),
    st.text(max_size=6),
)
decimals = st.one_of(
    st.integers(-2, 10**7),
    st.integers(0, 10**7).map(lambda n: n / 1000),
    st.sampled_from(["1.5", "x", "", 0.1, 1.2345, 1e300, -0.0, True, [], {}, 1.0005]),
)
times = st.sampled_from(
    [
        "2026-01-05T07:00:00Z",
        "2026-01-05 07:00:00.123456Z", "2026-01-05T07:00:00.1234567+01:00",
        "2026-01-05T07:00", "2025-10-26T02:30:00", "2025-03-30T02:30:00", "2026-02-30T00:00:00Z", "2026-01-05",
        "2036-01-05T07:00:00Z", "1999-01-05T07:00:00Z", "", "soon", "2026-01-05T07:00:00.Z", "2026-01-05T07:00:00+0100",
    ]
)  # fmt: skip
nested = st.recursive(
    st.none() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=6,
)

documents = st.fixed_dictionaries(
    {},
    optional={
        "machine": st.one_of(st.fixed_dictionaries({"id": texts}), st.just({"id": "M-01"}), st.none(), texts),
        "boot": texts,
        "n": st.one_of(st.integers(0, 10**6), st.sampled_from([2**53, 2**53 - 1, 1.5, -1, "7", None])),
        "kind": st.sampled_from(["CYCLE", "SCRAP", "HUH", "", None]),
        "ts": times,
        "stored": times,
        "order": st.one_of(st.fixed_dictionaries({"no": texts}, optional={"op": texts, "x": nested}), st.none()),
        "lot": texts,
        "uom": st.sampled_from(["Stk", "KGM", "kg", "furlong", "", None]),
        "good": decimals,
        "scrap": decimals,
        "cycle": st.one_of(st.fixed_dictionaries({"ms": decimals}), st.none(), st.just([])),
        "wh": decimals,
        "total": decimals,
        "used": decimals,
        "bin": st.one_of(st.fixed_dictionaries({"from": texts}, optional={"to": texts}), st.none(), texts),
        "lpn": texts,
        "extra": nested,
    },
)
GOOD = {
    "machine": {"id": "M-01"}, "boot": "b", "n": 5, "kind": "CYCLE", "ts": "2026-01-05T07:00:00Z",
    "order": {"no": "4711", "op": "10"}, "lot": "L", "uom": "Stk", "good": 1.5, "cycle": {"ms": 12.5},
}  # fmt: skip
mostly_good = st.builds(
    lambda more, drop: {key: value for key, value in {**GOOD, **more}.items() if key not in drop},
    st.one_of(st.just({}), documents),
    st.sets(st.sampled_from(sorted(GOOD)), max_size=1),
)
layouts = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])
written = st.builds(lambda d, layout: json.dumps(d, **layout).encode("utf-8", "surrogatepass"), mostly_good, layouts)


JUNK = [
    b"",
    b'"',
    b"{",
    b"}",
    b"}{",
    b"{}",
    b"\\",
    b"\\u0000",
    b"\0",
    b"\xff",
    b"\n",
    b" ",
    b"\t",
    b"[",
    b"]",
    b":",
    b",",
]
FRAGMENTS = [
    b"",
    b" ",
    b"{}",
    b"null",
    b'{"a":"}',
    b'{"}{}{":1}',
    b'{":1}',
    b'{"lot":"x","lot":7}',
    b'{"lot":7,"lot":"x"}',
]


@st.composite
def mutated(draw):
    """A record cut, stretched, joined with another or with bytes replaced."""
    value = draw(written)
    for _ in range(draw(st.integers(0, 2))):
        at, to = sorted((draw(st.integers(0, len(value))), draw(st.integers(0, len(value)))))
        junk = draw(
            st.sampled_from(
                [
                    b"",
                    b'"',
                    b"{",
                    b"}",
                    b"}{",
                    b"{}",
                    b"\\",
                    b"\\u0000",
                    b"\x00",
                    b"\xff",
                    b"\n",
                    b" ",
                    b"\t",
                    b"[",
                    b"]",
                    b":",
                ]
            )
        )
        value = value[:at] + junk + draw(st.sampled_from([value[at:], value[to:]]))
    return value


records = st.one_of(written, written, mutated(), mutated(), st.binary(max_size=12), st.sampled_from(FRAGMENTS))

FORM_CODES = {FaultCode.MALFORMED, FaultCode.TRUNCATED}


def raw(values):
    return RawRecords.from_values(values, np.arange(len(values), dtype=np.int64))


def outcome(mapping, values, first_row=0):
    """Return what becomes of each record, by row: an event as texts and numbers, or a fault."""
    vocabulary = Vocabulary()
    decoded = decode(mapping, raw(values), vocabulary, NOW_US)
    assert len(decoded.events) + len(decoded.faults) + decoded.skipped == len(values)
    rows = {}
    columns = {name: decoded.events[name] for name in DEFAULTS}
    assert decoded.events["row"].tolist() == sorted(set(decoded.events["row"].tolist()))
    for i, row in enumerate(decoded.events["row"].tolist()):
        event = {name: column[i].item() for name, column in columns.items() if name not in {"row", "offset"}}
        event |= {name: vocabulary.texts[event[name]] for name in TEXT_COLUMNS if name in event}
        rows[first_row + row] = event | {"type": EVENT_TYPES[event["type"]]}
    for fault in decoded.faults:
        assert first_row + fault.row not in rows
        rows[first_row + fault.row] = fault.code, fault.detail, fault.source, fault.session, fault.seq
        assert len(fault.detail) <= 120
    return rows


@settings(max_examples=150, deadline=None)
@given(values=st.lists(records, max_size=12), data=st.data())
def test_company_and_cuts_do_not_matter(mapping, values, data):
    whole = outcome(mapping, values)
    assert whole == {k: v for row, value in enumerate(values) for k, v in outcome(mapping, [value], row).items()}
    cut = data.draw(st.integers(0, len(values)))
    assert whole == outcome(mapping, values[:cut]) | outcome(mapping, values[cut:], cut)


@settings(max_examples=300, deadline=None)
@given(values=st.lists(st.one_of(written, records), min_size=1, max_size=8))
def test_twin_agrees(mapping, twin, values):
    """They agree on every value and code, but for records that are no strict JSON and yet tolerated."""
    for row, found in outcome(mapping, values).items():
        try:
            expected = twin.decode_one(mapping, values[row], NOW_US)
        except twin.Refused as refused:
            expected = refused.code
        if isinstance(expected, FaultCode):
            accepted = isinstance(found, dict) or found[0] not in FORM_CODES
            if accepted and expected in FORM_CODES:
                assert lenient(values[row]), (values[row], expected)
            else:
                assert found[0] == expected, (values[row], found)
        else:
            assert isinstance(found, dict), (values[row], found)
            for name, value in expected.items():
                assert found[name] == value, (name, values[row])


def lenient(value):
    """Whether the record is no strict JSON, in the ways arrow-rs is documented to tolerate."""
    try:
        json.loads(value)
    except ValueError:
        return True
    return False


ADVERSARIAL = [
    # A swallows half of B, whose other half begins what C ends: three records, three documents, none its own.
    [b'{"a":"}', b'{"}{}{":1}', b'{":1}'],
    [b'{"a":', b'{"b":1}}'],
    [b'{"a":1}{"b":2}', b'{"c":'],
    [b'{"a":1} {"b":2}', b'{"c":1', b"}"],
    [b'{"a":[', b"{}]}"],
]  # fmt: skip


@pytest.mark.parametrize("values", ADVERSARIAL)
def test_records_that_add_up_are_still_told_apart(mapping, values):
    good = json.dumps(GOOD).encode()
    rows = outcome(mapping, [good, *values, good])
    alone = [outcome(mapping, [value]).get(0) for value in values]
    assert [rows.get(row + 1) for row in range(len(values))] == alone
    assert isinstance(rows[0], dict)
    assert rows[0] == rows[len(values) + 1]


AVRO_MAPPING = """
plant = "A"
default_type = "partial"
format = "avro"
[input]
topics = ["a"]
[fields]
source = "s"
seq = "n"
occurred = "at"
lot = "inner.lot"
good = "inner.good"
[avro.ids]
1 = "e.avsc"
"""
INNER = {
    "type": "record",
    "name": "Inner",
    "fields": [
        {"name": "lot", "type": ["string", "null", "long"]},
        {"name": "good", "type": ["null", "double", "int"]},
        {"name": "list", "type": {"type": "array", "items": ["null", "bytes", "boolean"]}},
    ],
}
EVENT = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "skipped", "type": {"type": "map", "values": "float"}},
        {"name": "s", "type": "string"},
        {"name": "n", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "inner", "type": ["null", INNER]},
        {"name": "any", "type": "long"},
        {"name": "key", "type": {"type": "fixed", "name": "Key", "size": 3}},
    ],
}
short = st.text(alphabet="ab{ä😀", max_size=4)
inner = st.fixed_dictionaries(
    {
        "lot": st.one_of(short, st.none(), st.integers(-(2**63), 2**63 - 1)),
        "good": st.one_of(st.none(), st.floats(width=64), st.integers(-5, 10**9)),
        "list": st.lists(st.none() | st.binary(max_size=3) | st.booleans(), max_size=3),
    }
)
# Text nobody maps is passed over unread, and a time may lie outside Python's calendar.
BARE_EVENT = json.loads(
    json.dumps(EVENT).replace('"string"', '"bytes"'),
    object_hook=lambda node: {key: value for key, value in node.items() if key != "logicalType"},
)
avro_events = st.fixed_dictionaries(
    {
        "skipped": st.dictionaries(short, st.floats(width=32), max_size=2),
        "s": short,
        "n": st.integers(-3, 10**9),
        "at": st.sampled_from([NOW_US, NOW_US - 1, 0, -(2**63), 2**63 - 1]),
        "inner": st.none() | inner,
        "any": st.integers(-(2**63), 2**63 - 1),
        "key": st.binary(min_size=3, max_size=3),
    }
)


@pytest.fixture(scope="module")
def avro_mapping(tmp_path_factory):
    folder = tmp_path_factory.mktemp("avro")
    (folder / "e.avsc").write_text(json.dumps(EVENT), "utf-8")
    (folder / "a.toml").write_text(AVRO_MAPPING, "utf-8")
    return load(folder / "a.toml")


def framed(event):
    target = io.BytesIO(b"\0\0\0\0\1")
    target.seek(5)
    fastavro.schemaless_writer(target, EVENT, event)
    return target.getvalue()


@settings(max_examples=150, deadline=None)
@given(events=st.lists(avro_events, max_size=8), data=st.data())
def test_avro_reads_what_fastavro_wrote(avro_mapping, events, data):
    values = [framed(event) for event in events]
    parsed = parse_avro(avro_mapping, raw(values))
    assert not parsed.faults
    read = {}
    for part in (parsed, *parsed.further):
        for i, row in enumerate(part.rows.to_pylist()):
            read[row] = {name: column[i].as_py() for name, column in part.fields.items() if name != "occurred"}
    assert sorted(read) == list(range(len(events)))
    for row, event in enumerate(events):
        within = event["inner"] or {"lot": None, "good": None}
        expected = {"source": event["s"], "seq": event["n"], "lot": within["lot"], "good": within["good"]}
        for name, value in expected.items():
            found = read[row].get(name)
            if value is None or found is None:
                assert found is None
                assert value is None
            elif isinstance(value, float):
                assert float(found) == value or (math.isnan(float(found)) and math.isnan(value))
            else:
                assert type(value)(found) == value
    broken = []
    for value in values:
        at = data.draw(st.integers(0, len(value)))
        junk = data.draw(st.sampled_from([b"", b"\0", b"\1", b"\xff", b"\xff" * 10, b"\x80" * 9]))
        broken.append(value[:at] + junk + value[at + data.draw(st.integers(0, 2)) :])
    whole = outcome(avro_mapping, broken)
    assert whole == {k: v for row, value in enumerate(broken) for k, v in outcome(avro_mapping, [value], row).items()}
    for row, value in enumerate(broken):
        # What is accepted is what the reference reads, to its last byte.
        if not isinstance(whole[row], tuple):
            source = io.BytesIO(value[5:])
            again = fastavro.schemaless_reader(source, BARE_EVENT, handle_unicode_errors="replace")
            assert source.tell() == len(value) - 5
            assert again["s"].decode() == whole[row]["source"]
            assert again["n"] == whole[row]["seq"]
