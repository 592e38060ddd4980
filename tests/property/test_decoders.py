"""Laws of the decoders: company and cuts do not matter, and a naive twin agrees (DESIGN law 4)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.columns import EVENT_TYPES, TEXT_COLUMNS, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
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
        "2026-01-05T07:00:00Z", "2026-01-05 07:00:00.123456Z", "2026-01-05T07:00:00.1234567+01:00",
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
        "extra": nested,
    },
)
GOOD = {
    "machine": {"id": "M-01"}, "boot": "b", "n": 5, "kind": "CYCLE", "ts": "2026-01-05T07:00:00Z",
    "order": {"no": "4711", "op": "10"}, "lot": "L", "uom": "Stk", "good": 1.5, "cycle": {"ms": 12.5},
}  # fmt: skip
mostly_good = st.builds(lambda more, drop: {k: v for k, v in {**GOOD, **more}.items() if k not in drop},
                        st.one_of(st.just({}), documents), st.sets(st.sampled_from(sorted(GOOD)), max_size=1))  # fmt: skip
layouts = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])
written = st.builds(lambda d, layout: json.dumps(d, **layout).encode("utf-8", "surrogatepass"), mostly_good, layouts)


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


records = st.one_of(written, written, mutated(), mutated(), st.binary(max_size=12), st.sampled_from([b"", b" ", b"{}", b"null", b'{"a":"}', b'{"}{}{":1}', b'{":1}']))  # fmt: skip


FORM_CODES = {FaultCode.MALFORMED, FaultCode.TRUNCATED}


def raw(values):
    return RawRecords.from_values(values, np.arange(len(values), dtype=np.int64))


def outcome(mapping, values, first_row=0):
    """Return what becomes of each record, by row: an event as texts and numbers, or a fault."""
    vocabulary = Vocabulary()
    decoded = decode(mapping, raw(values), vocabulary, NOW_US)
    assert len(decoded.events) + len(decoded.faults) + decoded.skipped == len(values)
    rows = {}
    columns = decoded.events.columns
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
    """On strict JSON the twin and the decoder agree on every value and code; what only arrow-rs takes is listed there."""
    for row, found in outcome(mapping, values).items():
        try:
            expected = twin.decode_one(mapping, values[row], NOW_US)
        except twin.Refused as refused:
            accepted = isinstance(found, dict) or found[0] not in FORM_CODES
            if accepted and refused.code in FORM_CODES:
                assert lenient(values[row]), (values[row], refused.code)
            else:
                assert found[0] == refused.code, (values[row], found)
        else:
            assert isinstance(found, dict), (values[row], found)
            assert expected is not None
            for name, value in expected.items():
                assert found.get(name, -1 if name.endswith("counter") else 0) == value, (name, values[row])


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
    [b'{"a":[', b'{}]}'],
]  # fmt: skip


@pytest.mark.parametrize("values", ADVERSARIAL)
def test_records_that_add_up_are_still_told_apart(mapping, values):
    good = json.dumps(GOOD).encode()
    rows = outcome(mapping, [good, *values, good])
    alone = [outcome(mapping, [value]).get(0) for value in values]
    assert [rows.get(row + 1) for row in range(len(values))] == alone
    assert isinstance(rows[0], dict)
    assert rows[0] == rows[len(values) + 1]
