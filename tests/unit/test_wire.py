"""What is not of its contract is refused by name; what older versions lack has its default."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest

from canonical import wire
from canonical.contracts import Gap, LedgerEntry
from canonical.json_tables import WireError
from canonical.schemas import arrow_schema
from canonical.wire import decode_events, decode_gaps, decode_ledger, encode_confirmations, encode_gaps, encode_ledger
from dataflows.cli.exit_codes import ERROR, exit_code, operating_error

GAP: dict[str, Any] = {"plant": "A", "source": "s", "first_seq": 1, "last_seq": 2, "declared_us": 0}
GOOD = orjson.dumps(GAP)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{", "value 1 of 3"),
        (b"\xff", "value 1 of 3"),
        (b'{"plant":"\xff"}', "value 1 of 3"),
        (b"[]", "value 1 of 3"),
        (orjson.dumps({**GAP, "plant": 5}), "value 1 of 3"),
        (orjson.dumps({**GAP, "first_seq": 2**63}), "value 1 of 3"),
        (GOOD + GOOD, "value 1 of 3.* hold 4 objects"),
        (orjson.dumps({**GAP, "source": None}), "1 of 3 rows lack source"),
        (orjson.dumps({k: v for k, v in GAP.items() if k != "declared_us"}), "1 of 3 rows lack declared_us"),
    ],
)
def test_a_value_of_another_form_is_named(value: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        decode_gaps([GOOD, value, GOOD])


def test_no_values_are_no_rows() -> None:
    assert decode_gaps([]).schema == arrow_schema(Gap)
    assert decode_ledger([b"", b""]).num_rows == 0


def test_fields_nobody_knows_are_passed_over() -> None:
    (row,) = decode_gaps([orjson.dumps({"x": {"y": [1]}, **GAP, "session": "b"})]).to_pylist()
    assert row == {**GAP, "session": "b"}


def test_an_absent_field_has_its_default_and_an_optional_one_none() -> None:
    value = orjson.dumps({"plant": "A", "source": "s", "type": "complete", "occurred_us": 7})
    (row,) = decode_events([value]).to_pylist()
    assert (row["unit"], row["good"], row["energy_mwh"], row["seq"], row["good_counter"]) == ("H87", 0, 0, None, None)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, b"1970-01-01T00:00:00.000000Z"),
        (-1, b"1969-12-31T23:59:59.999999Z"),
        (1_760_000_000_000_001, b"2025-10-09T08:53:20.000001Z"),
        (253_402_300_799_999_999, b"9999-12-31T23:59:59.999999Z"),
        (253_402_300_800_000_000, None),
        (-62_135_596_800_000_000, b"0001-01-01T00:00:00.000000Z"),
        (-62_135_596_800_000_001, None),
    ],
)
def test_times_are_rfc_3339(us: int, text: bytes | None) -> None:
    ((_, _, headers),) = encode_gaps({name: [value] for name, value in {**GAP, "declared_us": us}.items()})
    assert dict(headers).get("ce_time") == text


def test_a_source_of_any_text_is_a_uri_reference() -> None:
    ((_, _, headers),) = encode_gaps({name: [value] for name, value in {**GAP, "source": "a/b ü"}.items()})
    assert dict(headers)["ce_source"] == b"/plantsync/A/a%2Fb%20%C3%BC"


def test_columns_of_another_contract_are_a_programmer_error() -> None:
    with pytest.raises(AssertionError, match=r"no \['colour'\]"):
        encode_gaps({**{name: [value] for name, value in GAP.items()}, "colour": ["red"]})
    with pytest.raises(AssertionError, match=r"needs \['close_reason', 'events'"):
        encode_confirmations({"plant": ["A"], "source": ["s"]}, 0)
    with pytest.raises(AssertionError, match="differ in length"):
        encode_gaps({**{name: [value] for name, value in GAP.items()}, "session": ["a", "b"]})


@pytest.mark.parametrize("count", [1, 255, 256, 700])
def test_ledger_lines_are_the_same_written_singly_and_in_bulk(count: int) -> None:
    texts = ["", 'é€ \x00\x01\x1f\x7f\b\f\n\r\t"\\/ \u2028', "m1"]
    columns: dict = {}
    for i, (name, field) in enumerate(LedgerEntry.model_fields.items()):
        text = field.annotation is str
        columns[name] = [texts[(row + i) % 3] if text else (row - 2) * 5**i for row in range(count)]
    columns["committed_us"] = list(range(count))
    shard = columns.pop("shard")[0]
    ((key, value, _),) = encode_ledger(shard, columns)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert key == shard.encode()
    assert value.split(b"\n") == [
        orjson.dumps({name: {**row, "shard": shard}[name] for name in LedgerEntry.model_fields}) for row in rows
    ]
    as_numpy = {name: column if isinstance(column[0], str) else np.array(column) for name, column in columns.items()}
    assert encode_ledger(shard, as_numpy)[0][1] == value


@pytest.mark.parametrize("size", [1, 400, 1_000, 1_000_000])
def test_the_lines_of_many_sources_become_messages_that_kafka_takes(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(wire, "LINES_BYTES_MAX", size)
    rows = {"source": ["m" * (length % 13) for length in range(100)], "read": list(range(100))}
    lines = wire._lines(LedgerEntry, "s", rows).split(b"\n")
    messages = encode_ledger("s", rows)
    assert [line for _, value, _ in messages for line in value.split(b"\n")] == lines
    assert {(key, headers) for key, _, headers in messages} == {(b"s", (wire._LINES,))}
    values = [value for _, value, _ in messages]
    assert all(len(value) <= size or b"\n" not in value for value in values)
    assert all(len(one) + 1 + len(other.split(b"\n")[0]) > size for one, other in pairwise(values)), "as few as can be"


def test_a_value_takes_no_more_memory_than_it_is_long() -> None:
    """Values wait for their commit: some ten thousand of them a second (DESIGN law 7)."""
    gaps: dict[str, Any] = {name: [value] * 1_000 for name, value in {**GAP, "source": "s" * 2_000}.items()}
    tracemalloc.start()
    values = [value for _, value, _ in encode_gaps(gaps)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1.2 * sum(map(len, values))


def test_a_value_that_is_not_of_its_contract_is_told_without_a_stack():
    with pytest.raises(WireError) as raised:
        decode_gaps([b"no JSON"])
    assert operating_error(raised.value) is raised.value
    assert exit_code(raised.value) == ERROR
