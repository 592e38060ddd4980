"""Dead letters under fuzz: records whose own headers are hostile, and letters that others have spoilt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import numpy as np

from canonical.contracts.fault import FaultCode
from canonical.records import RawRecords, RowFault
from sinks.commit_log import Record
from sinks.dead_letters import FAULT_HEADERS_BYTES_MAX, DeadLetterUnreadable, dead_letter_records, parse
from tests.fuzz.damage_bytes import CRUMBS, spoil
from tests.fuzz.outcome import NOW_US, Tally
from tests.fuzz.targets import Target
from tests.fuzz.violation import require

SEPARATOR = b"\x1d"
"""Between the header's name and its value, and between headers, in the bytes of a message."""

_NAMES = (
    b"__connect.errors.topic", b"plantsync.code", b"plantsync.attempts", b"plantsync.first-failed-us",
    b"plantsync.failed-us", b"plantsync.seq", b"plantsync.original", b"__connect.errors.offset",
    b"__connect.errors.partition", b"__connect.errors.stage", b"__connect.errors.exception.message",
    b"ce_correlationid", b"ce_id", b"avro.schema", b"", b"h\xc3\xa4", b"x" * 300,
)  # fmt: skip
_VALUES = (
    b"",
    b"7",
    b"-1",
    b"9" * 30,
    b"MALFORMED",
    b"NO_SUCH",
    b"false",
    b"\xff",
    b"\xd9\xa3",
    "x" * 5000,
    "😀" * 3000,
    "1_000",
    " 5 ",
    "1e3",
)


class LetterTarget:
    """A message is the headers a record came with, as bytes; its value is the same bytes."""

    weight = 0.5
    batch_messages = 300

    def batch(self, rng: Random, count: int) -> list[bytes]:
        whole = _headers(rng, 24)
        return [spoil(rng, _headers(rng, 24), (whole,), _changed) for _ in range(count)]

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        headers = [_parted(value) for value in values]
        raw = RawRecords.from_values(
            values, np.arange(len(values), dtype=np.int64), "t\ud800" * 400, 1, list(values), headers
        )
        codes = list(FaultCode)
        faults = [
            (
                "decode",
                RowFault(
                    row, rng.choice(codes), "d\ud800é😀" * rng.choice((1, 400)), "s" * rng.choice((1, 400)), "\0", row
                ),
            )
            for row in range(len(values))
        ]
        tally: Tally = Counter()
        for row, record in enumerate(
            dead_letter_records(raw, faults, NOW_US, flow="f" * 500, shard="s" * 500, plant="p" * 500)
        ):
            letter = parse(record)
            require(
                (letter.value, letter.key) == (values[row], values[row]),
                "a dead letter keeps value and key",
                values[row],
            )
            own = tuple((header.name, header.value) for header in letter.headers)
            require(headers[row][: len(own)] == own, "a dead letter keeps the record's own headers", headers[row], own)
            size = sum(len(name.encode()) + len(value) for name, value in record.headers[len(own) :])
            require(size <= FAULT_HEADERS_BYTES_MAX, "the headers of a fault are bounded", size)
            tally["events"] += 1
            _spoilt(record, rng, tally)
        return tally


def _spoilt(record: Record, rng: Random, tally: Tally) -> None:
    """A letter with headers of any kind reads or is refused, and what reads can be written again."""
    spoilt = list(record.headers)
    at = rng.randrange(len(spoilt))
    match rng.randrange(4):
        case 0:
            del spoilt[at]
        case 1:
            spoilt[at] = (spoilt[at][0], _encoded(rng.choice(_VALUES)))
        case 2:
            spoilt[at:at] = [spoilt[rng.randrange(len(spoilt))]]
        case _:
            rng.shuffle(spoilt)
    try:
        parse(Record(record.stream, record.key, record.value, tuple(spoilt)))
    except DeadLetterUnreadable:
        tally["unreadable"] += 1


def _headers(rng: Random, most: int) -> bytes:
    pairs = (rng.choice(_NAMES) + SEPARATOR + _encoded(rng.choice(_VALUES)) for _ in range(rng.randint(0, most)))
    return SEPARATOR.join(pairs)


def _changed(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    parts = value.split(SEPARATOR)
    parts[rng.randrange(len(parts))] = rng.choice((*_NAMES, *map(_encoded, _VALUES), *CRUMBS))
    return SEPARATOR.join(parts)


def _parted(value: bytes) -> tuple[tuple[str, bytes], ...]:
    parts = value.split(SEPARATOR)
    return tuple((name.decode("utf-8", "replace"), body) for name, body in zip(parts[::2], parts[1::2], strict=False))


def _encoded(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def targets() -> Mapping[str, Target]:
    return {"dead-letters": LetterTarget()}
