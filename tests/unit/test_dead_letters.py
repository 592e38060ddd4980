"""Dead letters keep the record byte for byte and say everything known about its fault (M28)."""

from __future__ import annotations

import time

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.contracts import DeadLetter, Fault, FaultCode, Header
from canonical.records import NO_RECORDS, RawRecords, RowFault
from sinks.commit_log import Stored
from sinks.dead_letters import (
    FAULT_HEADERS_BYTES_MAX,
    LETTER_BYTES_MAX,
    DeadLetterUnreadable,
    dead_letter_record,
    dead_letter_records,
    parse,
)

NOW_US = 1_790_000_000_000_000

# Header names that collide with the fault's own must survive as well.
NAMES = st.one_of(st.text(max_size=20), st.sampled_from(["__connect.errors.topic", "plantsync.code", "plantsync.seq"]))
HEADERS = st.lists(st.builds(Header, name=NAMES, value=st.binary(max_size=20)), max_size=4).map(tuple)
TEXTS = st.text(max_size=256)
LETTERS = st.builds(
    DeadLetter,
    topic=st.text(max_size=249),
    partition=st.integers(0, 2**31 - 1),
    key=st.none() | st.binary(max_size=20),
    value=st.binary(max_size=200),
    headers=HEADERS,
    fault=st.builds(
        Fault,
        code=st.sampled_from(FaultCode),
        detail=st.text(max_size=1024),
        plant=TEXTS,
        source=TEXTS,
        session=TEXTS,
        seq=st.integers(-1, 2**53),
        offset=st.integers(-1, 2**63 - 1),
    ),
    stage=st.sampled_from(["decode", "sequence", "counter", "aggregate"]),
    failed_us=st.integers(0, 2**62),
    first_failed_us=st.integers(0, 2**62),
    attempts=st.integers(1, 2**31 - 1),
    correlation_id=TEXTS,
    original=st.booleans(),
)


def raw_records(*values: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> RawRecords:
    offsets = np.arange(100, 100 + len(values), dtype=np.int64)
    keys = [b"key-%d" % i for i in range(len(values))]
    return RawRecords.from_values(values, offsets, "plant-a", 3, keys, [headers] * len(values))


@given(LETTERS)
def test_parse_restores_the_letter(letter: DeadLetter) -> None:
    record = dead_letter_record(letter, "confirmations", "plant-a-3")
    assert (record.key, record.value) == (letter.key, letter.value)
    own = tuple((h.name, h.value) for h in letter.headers)
    assert record.headers[: len(own)] == own
    assert parse(Stored(7, record.key, record.value, record.headers)) == letter


def test_headers_are_those_of_kafka_connect_and_our_own() -> None:
    raw = raw_records(b"good", b'{"seq": -1}', headers=(("trace", b"\xff"), ("ce_correlationid", b"c-1")))
    fault = RowFault(1, FaultCode.BAD_SEQUENCE, "seq is -1", "press-1", "s1", 5)
    (record,) = dead_letter_records(raw, [("decode", fault)], NOW_US, flow="confirmations", shard="a", plant="A")
    assert (record.stream, record.key, record.value) == ("dead-letters", b"key-1", b'{"seq": -1}')
    assert record.headers == (
        ("trace", b"\xff"),
        ("ce_correlationid", b"c-1"),
        ("__connect.errors.topic", b"plant-a"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"101"),
        ("__connect.errors.connector.name", b"confirmations"),
        ("__connect.errors.task.id", b"a"),
        ("__connect.errors.stage", b"decode"),
        ("__connect.errors.class.name", b"plantsync.decode"),
        ("__connect.errors.exception.class.name", b"plantsync.BAD_SEQUENCE"),
        ("__connect.errors.exception.message", b"seq is -1"),
        ("__connect.errors.exception.stacktrace", b""),
        ("plantsync.code", b"BAD_SEQUENCE"),
        ("plantsync.first-failed-us", b"1790000000000000"),
        ("plantsync.failed-us", b"1790000000000000"),
        ("plantsync.attempts", b"1"),
        ("plantsync.plant", b"A"),
        ("plantsync.source", b"press-1"),
        ("plantsync.session", b"s1"),
        ("plantsync.correlation-id", b"c-1"),
        ("plantsync.seq", b"5"),
    )


def test_a_record_that_fails_again_counts_its_attempts() -> None:
    own = (("trace", b"1"), ("__connect.errors.topic", b"from another connector"))
    headers = own
    for attempt in (1, 2, 3):
        fault = RowFault(0, FaultCode.MALFORMED, f"attempt {attempt}")
        raw = raw_records(b"{", headers=headers)
        (record,) = dead_letter_records(raw, [("decode", fault)], NOW_US + attempt, flow="f", shard="s")
        headers = record.headers
        letter = parse(record)
        assert [(h.name, h.value) for h in letter.headers] == list(own)
        assert (letter.attempts, letter.first_failed_us, letter.failed_us) == (attempt, NOW_US + 1, NOW_US + attempt)
        assert letter.fault.detail == f"attempt {attempt}"


@pytest.mark.parametrize("spoilt", [b"", b"-1", b"many", b"9" * 19, "٣".encode(), b"\xff"])
def test_spoilt_headers_of_an_earlier_failure_do_not_stop_the_next(spoilt: bytes) -> None:
    headers = (("__connect.errors.topic", b"t"), ("plantsync.code", b"?"), ("plantsync.attempts", spoilt))
    raw = raw_records(b"{", headers=headers)
    fault = RowFault(0, FaultCode.MALFORMED, "")
    (record,) = dead_letter_records(raw, [("decode", fault)], NOW_US, flow="f", shard="s")
    assert parse(record).attempts == 1


def test_a_fault_whose_bytes_are_gone_keeps_what_is_known() -> None:
    fault = RowFault(-1, FaultCode.TOO_LATE, "gap 4-6 is forgotten", "press-1", "s1", 5)
    (record,) = dead_letter_records(NO_RECORDS, [("sequence", fault)], NOW_US, flow="f", shard="s", plant="A")
    letter = parse(record)
    assert not letter.original
    assert letter.key is None
    assert letter.fault.offset == -1
    assert orjson.loads(letter.value) == {
        "code": "TOO_LATE",
        "detail": "gap 4-6 is forgotten",
        "plant": "A",
        "source": "press-1",
        "session": "s1",
        "seq": 5,
    }


@pytest.mark.parametrize("character", ["x", "\N{PILE OF POO}", "\ud800"])
def test_fault_headers_are_bounded(character: str) -> None:
    huge = character * 100_000
    raw = RawRecords.from_values([b"{"], np.array([2**63 - 1]), huge, 2**31 - 1)
    fault = RowFault(0, FaultCode.CONFLICTING_DUPLICATE, huge, huge, huge, 2**53)
    (record,) = dead_letter_records(
        raw, [(huge, fault)], 2**62, flow=huge.replace("\ud800", "?"), shard="s", plant=huge
    )
    assert sum(len(name) + len(value) for name, value in record.headers) <= FAULT_HEADERS_BYTES_MAX
    assert parse(record).value == b"{"


def test_many_faults_of_one_batch_take_linear_time() -> None:
    def seconds(n: int) -> float:
        raw = raw_records(*[b"{"] * n)
        faults = [("decode", RowFault(i, FaultCode.TRUNCATED, "ends early")) for i in range(n)]
        start = time.perf_counter()
        assert len(dead_letter_records(raw, faults, NOW_US, flow="f", shard="s")) == n
        return time.perf_counter() - start

    seconds(100)
    # A quadratic loop would take about 100 times as long for 10 times the faults.
    assert seconds(30_000) < 40 * seconds(3_000)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ((), "record 7 of dead-letters carries no plantsync.code header"),
        ((("__connect.errors.topic", b"t"), ("__connect.errors.stage", b"x")), "carries no plantsync.code header"),
        ((("__connect.errors.topic", b"t"), ("plantsync.code", b"MALFORMED")), "do not read"),
        ((("__connect.errors.topic", b"t"), ("plantsync.code", b"NEW_CODE")), "newer plantsync"),
    ],
)
def test_what_is_no_dead_letter_is_refused(headers: tuple[tuple[str, bytes], ...], message: str) -> None:
    with pytest.raises(DeadLetterUnreadable, match=message):
        parse(Stored(7, None, b"{", headers))


@pytest.mark.parametrize(("more", "original"), [(0, True), (1, False)])
def test_of_a_huge_record_the_beginning_is_kept(more: int, original: bool) -> None:
    """A line of a landed file may have 64 MiB; a log that takes less must not be stuck on its dead letter (law 6)."""
    value = b"x" * LETTER_BYTES_MAX + b"y" * more
    fault = RowFault(1, FaultCode.OVERSIZE, "too long")
    (record,) = dead_letter_records(raw_records(b"a", value), [("decode", fault)], NOW_US, flow="f", shard="s")
    letter = parse(record)
    assert (letter.value, letter.original) == (value[:LETTER_BYTES_MAX], original)
    assert letter.fault.offset == 101
    assert letter.key == b"key-1"
