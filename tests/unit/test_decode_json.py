from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from canonical.columns import EVENT_TYPES, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
from canonical.identity import content_identity
from canonical.mapping import load
from canonical.records import NO_RECORDS, RawRecords

NOW_US = 1_767_600_000_000_000  # 2026-01-05T08:00:00Z
SECOND_US = 1_000_000

MAPPING = """
plant = "A"
format = "json"
time_zone = "Europe/Berlin"
unit = "H87"
[input]
folder = "a"
[fields]
source = "machine.id"
session = "boot"
seq = "n"
type = "kind"
occurred = "ts"
recorded = "stored"
lot = "lot"
unit = "uom"
good = "good"
setup = { path = "setup", unit = "min" }
machine = { path = "cycle_ms", unit = "ms" }
energy = { path = "wh", unit = "kWh" }
scrap_counter = "bad_total"
[types]
CYCLE = "partial"
[units]
Stk = "H87"
[limits]
record_bytes_max = 1000
depth_max = 3
"""
GOOD = {
    "machine": {"id": "M-01"}, "boot": "b7", "n": 5, "kind": "CYCLE", "ts": "2026-01-05T07:00:00.5Z", "lot": "L1",
    "uom": "Stk", "good": "1.25", "setup": 1.5, "cycle_ms": 12.3456, "wh": 0.0015, "bad_total": 3,
}  # fmt: skip


@pytest.fixture
def mapped(tmp_path):
    def read(text=MAPPING):
        path = tmp_path / "a.toml"
        path.write_text(text, "utf-8")
        return load(path)

    return read


def run(mapping, *values, vocabulary=None):
    records = RawRecords.from_values(values, np.arange(100, 100 + len(values), dtype=np.int64))
    return decode(mapping, records, vocabulary or Vocabulary(), NOW_US)


def text(changes=(), **more):
    document = {k: v for k, v in {**GOOD, **dict(changes), **more}.items() if v is not ...}
    return json.dumps(document).encode()


def test_a_record_becomes_canonical_columns(mapped):
    vocabulary = Vocabulary()
    decoded = run(
        mapped(), text(), b" \n", text(n=6, bad_total=None, stored="2026-01-05T08:01:00"), vocabulary=vocabulary
    )
    events = decoded.events
    assert (len(events), decoded.faults, decoded.skipped) == (2, [], 1)
    for name, expected in {"plant": "A", "source": "M-01", "session": "b7", "lot": "L1", "unit": "H87"}.items():
        assert vocabulary.text(events[name]) == [expected] * 2
    assert events["seq"].tolist() == [5, 6]
    assert [EVENT_TYPES[t] for t in events["type"]] == ["partial"] * 2
    assert events["occurred_us"].tolist() == [1_767_596_400_500_000] * 2
    assert events["recorded_us"].tolist() == [-1, NOW_US - 3540 * SECOND_US]
    assert events["good"].tolist() == [1250] * 2
    assert events["setup_us"].tolist() == [90 * SECOND_US] * 2
    assert events["machine_us"].tolist() == [12_346] * 2
    assert events["energy_mwh"].tolist() == [1500] * 2
    assert events["scrap_counter"].tolist() == [3000, -1]
    assert events["offset"].tolist() == [100, 102]
    assert events["row"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("value", "code", "detail"),
    [
        (b"\xff" + text(), FaultCode.NOT_UTF8, "byte 0 is 0xff"),
        (text().replace(b"L1", b"L\xe4"), FaultCode.NOT_UTF8, "is 0xe4"),
        (text()[:-1], FaultCode.TRUNCATED, "ends inside"),
        (text()[:40], FaultCode.TRUNCATED, "ends inside"),
        (b'{"lot": "x}', FaultCode.TRUNCATED, "ends inside"),
        (b'{"lot": "x\\', FaultCode.TRUNCATED, "ends inside"),
        (b"ERROR 17", FaultCode.MALFORMED, "no JSON"),
        (text() + text(), FaultCode.MALFORMED, "no JSON"),
        (text() + b" " + text(), FaultCode.MALFORMED, "no JSON"),
        (text() + b"}", FaultCode.MALFORMED, "no JSON"),
        (text().replace(b'"n"', b"n"), FaultCode.MALFORMED, "no JSON"),
        (text().replace(b"L1", b"L\n1"), FaultCode.MALFORMED, "control character"),
        (text().replace(b": 5,", b": NaN,"), FaultCode.MALFORMED, "no JSON"),
        (text(lot="a\0"), FaultCode.MALFORMED, "U+0000"),
        (text(lot="\ud800"), FaultCode.MALFORMED, "no JSON"),
        (b"[" + text() + b"]", FaultCode.WRONG_TYPE, "an array, no object"),
        (b"null", FaultCode.WRONG_TYPE, "null, no object"),
        (text(machine="M-01"), FaultCode.WRONG_TYPE, "machine is text, no object"),
        (text(lot=7), FaultCode.WRONG_TYPE, "lot (lot) is a number, no text: 7"),
        (text(good=True), FaultCode.WRONG_TYPE, "good (good) is a truth value, no number"),
        (text(good="many"), FaultCode.WRONG_TYPE, "good (good) is text, no number: 'many'"),
        (text(good={}), FaultCode.WRONG_TYPE, "good (good) is an object"),
        (text(machine=...), FaultCode.MISSING_FIELD, "source (machine.id)"),
        (text(machine={"id": ""}), FaultCode.MISSING_FIELD, "source (machine.id)"),
        (text(n=None), FaultCode.MISSING_FIELD, "seq (n)"),
        (text(ts=...), FaultCode.MISSING_FIELD, "occurred (ts)"),
        (text(kind=...), FaultCode.MISSING_FIELD, "type (kind)"),
        (text(n=1.5), FaultCode.BAD_SEQUENCE, "seq (n)"),
        (text(n=-1), FaultCode.BAD_SEQUENCE, "-1.0"),
        (text(n=2**53), FaultCode.BAD_SEQUENCE, "9007199254740991"),
        (text(kind="CYCEL"), FaultCode.UNKNOWN_TYPE, "type (kind): not in [types] of the mapping: 'CYCEL'"),
        (text(uom="furlong"), FaultCode.UNKNOWN_UNIT, "'furlong'"),
        (text(good=-1), FaultCode.NEGATIVE_QUANTITY, "good: negative: -1.0"),
        (text(cycle_ms=-1), FaultCode.NEGATIVE_QUANTITY, "machine (cycle_ms)"),
        (text(good=1.2345), FaultCode.ABSURD_QUANTITY, "finer than a thousandth"),
        (text(good=1_000_000.001), FaultCode.ABSURD_QUANTITY, "above 1e+06"),
        (text(good="inf"), FaultCode.ABSURD_QUANTITY, "not finite"),
        (text(good="NaN"), FaultCode.ABSURD_QUANTITY, "not finite"),
        (text(wh=1e300), FaultCode.ABSURD_QUANTITY, "energy (wh)"),
        (text(bad_total=10**13), FaultCode.ABSURD_QUANTITY, "scrap_counter"),
        (text(ts="yesterday"), FaultCode.BAD_TIMESTAMP, "'yesterday'"),
        (text(ts="2026-01-05"), FaultCode.BAD_TIMESTAMP, "occurred (ts)"),
        (text(ts="2026-02-30T00:00:00Z"), FaultCode.BAD_TIMESTAMP, "occurred (ts)"),
        (text(ts="2025-03-30T02:30:00"), FaultCode.BAD_TIMESTAMP, "occurred (ts)"),
        (text(stored="soon"), FaultCode.BAD_TIMESTAMP, "recorded (stored)"),
        (text(ts="2026-01-05T09:00:00.000001Z"), FaultCode.TIMESTAMP_FUTURE, "occurred (ts)"),
        (text(ts="1999-01-01T00:00:00Z"), FaultCode.TIMESTAMP_PAST, "occurred (ts)"),
        (text(note="x" * 1000), FaultCode.OVERSIZE, "at most 1000"),
        (text(note=[[[]]]), FaultCode.DEEP_NESTING, "4 levels, at most 3"),
        (text(lot="x" * 257), FaultCode.TEXT_TOO_LONG, "longer than 256 characters"),
        # Two faults in one record: the first in the documented order.
        (text(lot="x" * 257, n=-1), FaultCode.TEXT_TOO_LONG, "lot"),
        (text(n=-1, ts="soon", good=-1), FaultCode.BAD_SEQUENCE, "seq"),
    ],
)  # fmt: skip
def test_a_bad_record_is_a_fault_of_its_own(mapped, value, code, detail):
    decoded = run(mapped(), text(n=4), value, text(n=6))
    [fault] = decoded.faults
    assert (fault.row, fault.code) == (1, code), fault
    assert detail in fault.detail
    assert decoded.events["seq"].tolist() == [4, 6]
    assert decoded.events["row"].tolist() == [0, 2]


@pytest.mark.parametrize(
    "value",
    [
        text(lot="{ } [ ] } {"),
        text(note="}\\ {\\"),
        text(note={"a": {}}),
        text(note=[{}, {}]),
        text(lot="x" * 256),
        text(good="100"),
        text(good="+1e2"),
        text(good=100.000),
        text(lot="\U00020000"),  # arrow-rs would read its escaped surrogates as U+10000
        json.dumps(GOOD, indent=2).encode(),
        b"  " + text() + b"\r",
        b"\xef\xbb\xbf" + text(),
        text(ts="2026-01-05 07:00Z"),
        text(ts="2026-01-05T08:00:00+0100"),
        text(ts="2026-01-05T08:00:00,5"[:19]),
        text(ts="2026-01-05T07:00:00.123456789Z"),
        text(n=2**53 - 1),
        text(uom="kg"),
        text(uom=...),
        text(good=0.001, bad_total=999_999_999_999),
        text().replace(b'"n": 5', b'"n": 4, "n": 5'),
        text().replace(b'"n": 5', b'"n": 5,'),  # superfluous comma: tolerated, see canonical.decoders.json
    ],
)
def test_an_unusual_record_is_an_event(mapped, value):
    decoded = run(mapped(), text(), value, text())
    assert decoded.faults == []
    assert len(decoded.events) == 3


def test_an_escaped_pair_of_surrogates_is_its_character(mapped):
    vocabulary = Vocabulary()
    events = run(mapped(), text(lot="\U00020000\U0001f600"), vocabulary=vocabulary).events
    assert vocabulary.text(events["lot"]) == ["\U00020000\U0001f600"]


@pytest.mark.parametrize("value", ['{"good": "\\u0000"}', '{"machine": "\\u0000"}', '{"a":1}\0', '{"good":"\0"}'])
def test_no_record_ends_the_process(value, tmp_path):
    """arro3 aborts where an error message quotes U+0000; this would take the test run with it."""
    (tmp_path / "a.toml").write_text(MAPPING, "utf-8")
    script = (
        "import sys, pathlib, numpy as np\n"
        "from canonical.columns import Vocabulary\n"
        "from canonical.decoders import decode\n"
        "from canonical.mapping import load\n"
        "from canonical.records import RawRecords\n"
        "records = RawRecords.from_values([sys.stdin.buffer.read()], np.zeros(1, np.int64))\n"
        "decoded = decode(load(pathlib.Path(sys.argv[1])), records, Vocabulary(), 0)\n"
        "print(decoded.faults[0].code)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.toml")], input=value.encode(), capture_output=True, check=True
    )
    assert found.stdout.strip() == b"MALFORMED"


def test_faults_name_the_source_where_it_is_known(mapped):
    faults = run(mapped(), text(good=-1), text(lot=7), text(n=-3), b"{}").faults
    assert [(f.source, f.session, f.seq) for f in faults] == [
        ("M-01", "b7", 5), ("M-01", "b7", -1), ("M-01", "b7", -1), ("", "", -1)
    ]  # fmt: skip
    assert all(len(f.detail) <= 120 for f in faults)


def test_half_the_records_may_be_bad(mapped):
    values = [text(n=i) if i % 2 else text(n=i, lot=i) for i in range(2000)]
    decoded = run(mapped(), *values)
    assert decoded.events["seq"].tolist() == list(range(1, 2000, 2))
    assert [f.row for f in decoded.faults] == list(range(0, 2000, 2))


ARRIVAL = MAPPING.replace('seq = "n"', 'event_id = "n"') + '[sequencing]\nmode = "arrival"\n'


def test_without_numbers_the_event_id_is_the_identity(mapped):
    mapping = mapped(ARRIVAL)
    events = run(mapping, text(n="7"), text(n="7", lot="L2"), text(n="7", machine={"id": "M-02"})).events
    first, second, third = events["identity"].tolist()
    assert first == second == content_identity(b"M-01\x007")
    assert third != first
    [fault] = run(mapping, text(n=...)).faults
    assert fault.code is FaultCode.MISSING_FIELD


def test_without_numbers_and_ids_the_bytes_are_the_identity(mapped):
    mapping = mapped(ARRIVAL.replace('event_id = "n"', ""))
    events = run(mapping, text(), text(), text(lot="L2")).events
    assert events["identity"].tolist() == [content_identity(v) for v in (text(), text(), text(lot="L2"))]
    assert "seq" not in events


def test_numbers_beyond_the_modulus_are_bad(mapped):
    mapping = mapped(MAPPING + "[sequencing]\nmodulus = 256\n")
    decoded = run(mapping, text(n=255), text(n=256))
    assert decoded.events["seq"].tolist() == [255]
    assert [f.code for f in decoded.faults] == [FaultCode.BAD_SEQUENCE]


def test_keys_are_cross_referenced(mapped):
    vocabulary = Vocabulary()
    mapping = mapped(MAPPING + '[keys.lot]\nL1 = "0001"\n[keys.plant]\nA = "1000"\n')
    events = run(mapping, text(), text(lot="L2"), vocabulary=vocabulary).events
    assert vocabulary.text(events["lot"]) == ["0001", "L2"]
    assert vocabulary.text(events["plant"]) == ["1000", "1000"]


@pytest.mark.parametrize(
    ("time", "value", "us"),
    [
        ('format = "iso8601"', "2025-07-01T12:00:00", 1_751_364_000_000_000),
        ('format = "iso8601"', "2025-10-26T02:30:00", 1_761_438_600_000_000),
        ('format = "iso8601"\nambiguous = "latest"', "2025-10-26T02:30:00", 1_761_442_200_000_000),
        ('format = "iso8601"', "2025-10-26T02:30:00+01:00", 1_761_442_200_000_000),
        ('format = "%d.%m.%Y %H:%M:%S"', "26.10.2025 02:30:00", 1_761_438_600_000_000),
        ('format = "%d.%m.%Y %H:%M:%S"', "1.7.2025 9:05:00", 1_751_353_500_000_000),
        ('format = "%d.%m.%Y %H:%M:%S"', "30.03.2025 02:30:00", None),
        ('format = "%d.%m.%Y %H:%M:%S"', "31.11.2025 02:30:00", None),
        ('format = "%Y%m%d%H%M%S.%f"', "20250701120000.1234567", 1_751_364_000_123_456),
        ('format = "%Y-%m-%d %H:%M %z"', "2025-07-01 12:00 +0000", 1_751_371_200_000_000),
        ('format = "%m/%d/%Y %I:%M %p"', "07/01/2025 12:00 PM", 1_751_364_000_000_000),
        ('format = "epoch_s"', 1_751_364_000.25, 1_751_364_000_250_000),
        ('format = "epoch_ms"', 1_751_364_000_001, 1_751_364_000_001_000),
        ('format = "epoch_us"', "1751364000000001", 1_751_364_000_000_001),
        ('format = "epoch_ms"', 1e300, None),
        ('format = "epoch_ms"', "nan", None),
    ],
)
def test_instants(mapped, time, value, us):
    decoded = run(mapped(MAPPING + f"[time]\n{time}\n"), text(ts=value), text(ts=value))
    if us is None:
        assert [f.code for f in decoded.faults] == [FaultCode.BAD_TIMESTAMP] * 2
    else:
        assert decoded.faults == []
        assert decoded.events["occurred_us"].tolist() == [us] * 2


def test_local_zoned_and_bad_times_mix(mapped):
    times = ["2025-07-01T12:00:00", "2025-07-01T12:00:00Z", "no", "2025-07-01T12:00:00.1234567", "2025-07-01 12:00+02"]
    decoded = run(mapped(), *(text(ts=time) for time in times))
    noon_us = 1_751_364_000_000_000
    assert decoded.events["occurred_us"].tolist() == [noon_us, noon_us + 7200 * SECOND_US, noon_us + 123_456, noon_us]
    assert [f.row for f in decoded.faults] == [2]


def test_a_file_with_crlf_and_blank_lines(mapped):
    data = b"\r\n".join([text(), b"", text(n=6), b"   ", b""])
    decoded = decode(mapped(), RawRecords.from_lines(data), Vocabulary(), NOW_US)
    assert (len(decoded.events), len(decoded.faults), decoded.skipped) == (2, 0, 2)


def test_no_records_are_no_events(mapped):
    decoded = decode(mapped(), NO_RECORDS, Vocabulary(), NOW_US)
    assert (len(decoded.events), decoded.faults, decoded.skipped) == (0, [], 0)
