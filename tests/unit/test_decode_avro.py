from __future__ import annotations

import io
import json
import struct
from datetime import UTC, datetime
from decimal import Decimal

import fastavro
import numpy as np
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from canonical.columns import EVENT_TYPES, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
from canonical.decoders.avro import read_container
from canonical.decoders.avro_lockstep import ITEMS_MAX
from canonical.mapping import load
from canonical.records import RawRecords

NOW_US = 1_767_600_000_000_000

V1 = {
    "type": "record",
    "name": "plant.Event",
    "fields": [
        {"name": "machine", "type": "string"},
        {"name": "n", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["CYCLE", "SCRAP"]}},
        {"name": "good", "type": ["null", "double"]},
        {"name": "notes", "type": {"type": "array", "items": "string"}},
    ],
}
V2 = {
    **V1,
    "fields": [
        *V1["fields"],
        {
            "name": "order",
            "type": [
                "null",
                {"type": "record", "name": "Order", "fields": [{"name": "no", "type": ["long", "string"]}]},
            ],
        },
        {"name": "previous", "type": ["null", "Kind"]},
        {"name": "wh", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}},
        {"name": "tags", "type": {"type": "map", "values": ["null", "long"]}},
        {"name": "next", "type": ["null", "Event"]},
    ],
}
MAPPING = """
plant = "A"
format = "avro"
[input]
topics = ["a"]
[fields]
source = "machine"
seq = "n"
occurred = "at"
type = "kind"
good = "good"
order = "order.no"
energy = "wh"
[types]
CYCLE = "partial"
SCRAP = "scrap"
[limits]
record_bytes_max = 60000
depth_max = 6
[avro.ids]
1 = "v1.avsc"
70000 = "v2.avsc"
"""
EVENT_1 = {
    "machine": "M-1", "n": 7, "at": datetime(2026, 1, 5, 7, 0, 0, 5000, UTC), "kind": "SCRAP", "good": 1.5,
    "notes": ["x"],
}  # fmt: skip
EVENT_2 = {
    **EVENT_1, "n": 8, "good": None, "order": {"no": "4711"}, "previous": "CYCLE", "wh": Decimal("1.250"),
    "tags": {"a": 1, "b": None}, "next": None,
}  # fmt: skip


@pytest.fixture
def mapping(tmp_path):
    for name, schema in (("v1", V1), ("v2", V2)):
        (tmp_path / f"{name}.avsc").write_text(json.dumps(schema), "utf-8")
    path = tmp_path / "a.toml"
    path.write_text(MAPPING, "utf-8")
    return load(path)


def body(event, schema):
    target = io.BytesIO()
    fastavro.schemaless_writer(target, schema, event)
    return target.getvalue()


def confluent(event, schema, number):
    return b"\0" + struct.pack(">I", number) + body(event, schema)


def v1(**changes):
    return confluent({**EVENT_1, **changes}, V1, 1)


def v2(**changes):
    return confluent({**EVENT_2, **changes}, V2, 70_000)


def run(mapping, values, vocabulary=None):
    records = RawRecords.from_values(values, np.arange(len(values), dtype=np.int64))
    return decode(mapping, records, vocabulary or Vocabulary(), NOW_US)


def test_two_versions_live_in_one_batch(mapping):
    vocabulary = Vocabulary()
    events = run(mapping, [v1(), v2(), v2(order={"no": 17}), v1(kind="CYCLE")], vocabulary).events
    assert vocabulary.text(events["source"]) == ["M-1"] * 4
    assert events["seq"].tolist() == [7, 8, 8, 7]
    assert events["occurred_us"].tolist() == [1_767_596_400_005_000] * 4
    assert [EVENT_TYPES[t] for t in events["type"]] == ["scrap", "scrap", "scrap", "partial"]
    assert events["good"].tolist() == [1500, 0, 0, 1500]
    assert vocabulary.text(events["order"]) == ["", "4711", "17", ""]
    assert events["energy_mwh"].tolist() == [0, 1250, 1250, 0]


def test_single_object_frames_are_read(mapping):
    crc = bytes.fromhex(fingerprint(to_parsing_canonical_form(fastavro.parse_schema(V2)), "CRC-64-AVRO"))
    decoded = run(mapping, [b"\xc3\x01" + crc + body(EVENT_2, V2), v1()])
    assert decoded.events["seq"].tolist() == [8, 7]


def test_the_fingerprint_is_the_one_of_the_specification():
    # Of the schema "int": 0x7275d51a3f395c8f, little-endian in the frame.
    assert fingerprint(to_parsing_canonical_form("int"), "CRC-64-AVRO") == "8f5c393f1ad57572"


def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


HEAD = b"\0\0\0\0\1"
UPTO_NOTES = HEAD + body({**EVENT_1, "notes": []}, V1)[:-1]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"\0\0\0", FaultCode.TRUNCATED),
        (b"\xc3\x01\x00", FaultCode.TRUNCATED),
        (b"", FaultCode.TRUNCATED),
        (b"{}", FaultCode.MALFORMED),
        (b"\0\0\0\0\2" + v1()[5:], FaultCode.UNKNOWN_SCHEMA),
        (b"\xc3\x01" + b"12345678" + v1()[5:], FaultCode.UNKNOWN_SCHEMA),
        (v1() + b"\0", FaultCode.MALFORMED),
        (HEAD, FaultCode.TRUNCATED),
        (HEAD + zigzag(-1) + b"xxx", FaultCode.MALFORMED),
        (HEAD + zigzag(2**62) + b"xxx", FaultCode.TRUNCATED),
        (HEAD + b"\xff" * 9 + b"\x02" + b"x", FaultCode.MALFORMED),
        (HEAD + b"\xff" * 9, FaultCode.TRUNCATED),
        (HEAD + b"\x04M\xff" + v1()[9:], FaultCode.NOT_UTF8),
        (UPTO_NOTES[:-10] + b"\x04" + UPTO_NOTES[-9:] + b"\0", FaultCode.MALFORMED),  # no such symbol
        (UPTO_NOTES[:-9] + b"\x04" + UPTO_NOTES[-8:] + b"\0", FaultCode.MALFORMED),  # no such branch
        (UPTO_NOTES + zigzag(2**40), FaultCode.OVERSIZE),
        (UPTO_NOTES + zigzag(-(2**63)) + zigzag(0), FaultCode.OVERSIZE),
        (UPTO_NOTES + (zigzag(-1) + zigzag(1) + b"\0") * (ITEMS_MAX + 1) + b"\0", FaultCode.OVERSIZE),
        (UPTO_NOTES + (zigzag(1) + b"\0") * (ITEMS_MAX + 1) + b"\0", FaultCode.OVERSIZE),
        (UPTO_NOTES + zigzag(-1) + zigzag(0) + b"\x02x\0", FaultCode.MALFORMED),
        (UPTO_NOTES + zigzag(-1) + zigzag(3) + b"\x02x\0", FaultCode.MALFORMED),
        (UPTO_NOTES + zigzag(-1) + zigzag(-5) + b"\0", FaultCode.MALFORMED),
        (UPTO_NOTES + zigzag(-1) + zigzag(2) + b"\x02x\0", None),  # a block with its size
        (UPTO_NOTES + zigzag(3) + b"\x02x", FaultCode.TRUNCATED),
        (v1(notes=["x" * 60_000]), FaultCode.OVERSIZE),
        (v1(at=2**62), FaultCode.BAD_TIMESTAMP),
        (v1(at=-(2**63)), FaultCode.BAD_TIMESTAMP),
        (v1(at=2**44), FaultCode.TIMESTAMP_FUTURE),
        (v1(n=-1), FaultCode.BAD_SEQUENCE),
        (v1(good=-0.5), FaultCode.NEGATIVE_QUANTITY),
        (v1(good=float("nan")), FaultCode.ABSURD_QUANTITY),
        (v1(machine=""), FaultCode.MISSING_FIELD),
    ],
)
def test_a_bad_record_is_a_fault_of_its_own(mapping, value, code):
    decoded = run(mapping, [v1(), value, v2()])
    assert decoded.events["seq"].tolist() == ([7, 8] if code else [7, 7, 8])
    assert [(f.row, f.code) for f in decoded.faults] == ([(1, code)] if code else []), decoded.faults


def test_nesting_is_bounded(mapping):
    event = dict(EVENT_2)
    for _ in range(5):
        event = {**EVENT_2, "next": event}
    decoded = run(mapping, [v2(next=EVENT_2), confluent(event, V2, 70_000)])
    assert [f.code for f in decoded.faults] == [FaultCode.DEEP_NESTING]
    assert len(decoded.events) == 1


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_file_is_read_datum_by_datum(mapping, codec):
    source = io.BytesIO()
    fastavro.writer(source, V2, [{**EVENT_2, "n": n} for n in range(500)], codec=codec, sync_interval=2000)
    data = source.getvalue()
    records = read_container(data, "a")
    assert records.offsets.tolist() == list(range(500))
    decoded = decode(mapping, records, Vocabulary(), NOW_US)
    assert decoded.events["seq"].tolist() == list(range(500))
    assert records.headers is not None
    assert json.loads(dict(records.headers[0])["avro.schema"])["name"] == "plant.Event"
    for cut in (0, 3, 200, len(data) // 2, len(data) - 1):
        decoded = decode(mapping, read_container(data[:cut]), Vocabulary(), NOW_US)
        assert decoded.events["seq"].tolist() == list(range(len(decoded.events)))
        assert [f.code for f in decoded.faults] == [FaultCode.TRUNCATED]


def test_a_container_brings_its_own_schema(mapping):
    other = {**V1, "name": "other.Event", "fields": [*V1["fields"], {"name": "more", "type": "float"}]}
    source = io.BytesIO()
    fastavro.writer(source, other, [{**EVENT_1, "more": 1.0}])
    assert len(decode(mapping, read_container(source.getvalue()), Vocabulary(), NOW_US).events) == 1
