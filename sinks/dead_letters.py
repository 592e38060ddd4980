"""Dead letters: faulty records kept byte for byte, so that they can be sent again (M28).

Law: ``parse(dead_letter_record(letter)) == letter``; value, key and headers are the record's own,
unchanged, and the fault follows in headers of its own, so that any Kafka tool can return the
record to its topic. A record that fails again after such a return keeps one set of fault headers:
the new one, with the first failure's time and the number of attempts carried over.

The header set is Kafka Connect's (``__connect.errors.*``, KIP-298) followed by ``plantsync.*``,
which say what Connect has no word for. All of it is text. Connect's stack trace is present and
empty: a fault is a value here, not an exception. The set is at most ``FAULT_HEADERS_BYTES_MAX``
long; a topic for dead letters must accept the largest input record plus that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from canonical.contracts import DeadLetter, Fault, FaultCode, Header
from canonical.records import Headers, RawRecords, RowFault
from sinks.commit_log import PlantsyncError, Record, Stored
from sinks.streams import DEAD_LETTERS

LONG_CHARS_MAX: Final = 1024
"""Topic and message; what is longer is cut."""
TEXT_CHARS_MAX: Final = 256
"""Every other text; what is longer is cut."""
LETTER_BYTES_MAX: Final = 1 << 20
"""Bytes of a record that are kept: less than any log takes (``kafka.record_bytes_max``), so that none is stuck."""
FAULT_HEADERS_BYTES_MAX: Final = 20_480
"""Upper bound of the fault headers of one record, names included (a character takes at most 4 bytes)."""

REFUSE: Final = "refuse"
"""Stage of what was refused before it was a record: its letter holds what is known of it, and nothing can be sent."""

_CONNECT: Final = "__connect.errors."
_OWN: Final = "plantsync."
_FIRST: Final = f"{_CONNECT}topic"
"""Starts the set; the last header of this name separates the record's own headers from the fault's."""
_CODE: Final = f"{_OWN}code"
"""Tells this set from one that Kafka Connect wrote, which counts as the record's own headers."""
_ATTEMPTS: Final = f"{_OWN}attempts"
_CORRELATION: Final = "ce_correlationid"
"""Where a CloudEvents record on Kafka (binary mode) carries its correlation id."""
_ATTEMPTS_MAX: Final = 2**31 - 1
_DIGITS_MAX: Final = 18


class DeadLetterUnreadable(PlantsyncError):
    """A record of the dead-letters stream that no plantsync flow wrote."""


def dead_letter_record(letter: DeadLetter, flow: str, shard: str) -> Record:
    """Return the record of the stream ``dead-letters`` that keeps this letter.

    Args:    flow, shard: who set it aside; Connect's connector name and task id.
    Source:  Kafka Connect, KIP-298, error headers.
    """
    fault = letter.fault
    own = [
        (_CODE, fault.code.value),
        (f"{_OWN}first-failed-us", str(letter.first_failed_us)),
        (f"{_OWN}failed-us", str(letter.failed_us)),
        (_ATTEMPTS, str(letter.attempts)),
    ]
    known = {
        "plant": fault.plant,
        "source": fault.source,
        "session": fault.session,
        "correlation-id": letter.correlation_id,
    }
    own += [(f"{_OWN}{name}", text) for name, text in known.items() if text]
    if fault.seq >= 0:
        own.append((f"{_OWN}seq", str(fault.seq)))
    if not letter.original:
        own.append((f"{_OWN}original", "false"))
    connect = [
        (_FIRST, letter.topic),
        (f"{_CONNECT}partition", str(letter.partition)),
        (f"{_CONNECT}offset", str(fault.offset)),
        (f"{_CONNECT}connector.name", flow[:TEXT_CHARS_MAX]),
        (f"{_CONNECT}task.id", shard[:TEXT_CHARS_MAX]),
        (f"{_CONNECT}stage", letter.stage),
        (f"{_CONNECT}class.name", f"plantsync.{letter.stage}"),
        (f"{_CONNECT}exception.class.name", f"plantsync.{fault.code.value}"),
        (f"{_CONNECT}exception.message", fault.detail),
        (f"{_CONNECT}exception.stacktrace", ""),
    ]
    headers = tuple((name, text.encode()) for name, text in connect + own)
    return Record(DEAD_LETTERS, letter.key, letter.value, (*((h.name, h.value) for h in letter.headers), *headers))


def dead_letter_records(
    raw: RawRecords,
    faults: Sequence[tuple[str, RowFault]],
    now_us: int,
    *,
    flow: str,
    shard: str,
    plant: str = "",
) -> list[Record]:
    """Return a dead letter for each fault of a batch, in order.

    A fault whose bytes are gone (row -1: the row was held back from an earlier batch) keeps what
    is known of it as JSON, is marked as not original, has no key or headers, and names its offset. Of a record
    of more than ``LETTER_BYTES_MAX`` the beginning is kept, marked as not original as well; so is what was refused.

    Args:    faults: (stage, FAULT) of rows of ``raw``; now_us: when they failed.
    """
    return [dead_letter_record(_letter(raw, stage, fault, now_us, plant), flow, shard) for stage, fault in faults]


def code_and_attempts(letter: Record) -> tuple[str, int]:
    """Return the fault code of a record that ``dead_letter_record`` made, and how often it has failed."""
    attempts = 1
    for name, value in reversed(letter.headers):
        if name == _ATTEMPTS:
            attempts = int(value)
        elif name == _CODE:
            return value.decode(), attempts
    raise AssertionError(f"{letter} is no dead letter")


def parse(stored: Record | Stored) -> DeadLetter:
    """Return the letter that ``dead_letter_record`` kept.

    Raises: DeadLetterUnreadable where the fault headers are missing or do not read.
    """
    headers, fault = _split(stored.headers)
    if fault is None:
        raise DeadLetterUnreadable(
            f"{_place(stored)} carries no {_CODE} header after {_FIRST}, so what failed is unknown; "
            "only plantsync may write to this stream"
        )
    try:
        return DeadLetter(
            topic=fault[_FIRST],
            partition=int(fault[f"{_CONNECT}partition"]),
            key=stored.key,
            value=stored.value,
            headers=tuple(Header(name=name, value=value) for name, value in headers),
            fault=Fault(
                code=FaultCode(fault[_CODE]),
                detail=fault[f"{_CONNECT}exception.message"],
                plant=fault.get(f"{_OWN}plant", ""),
                source=fault.get(f"{_OWN}source", ""),
                session=fault.get(f"{_OWN}session", ""),
                seq=int(fault.get(f"{_OWN}seq", -1)),
                offset=int(fault[f"{_CONNECT}offset"]),
            ),
            stage=fault[f"{_CONNECT}stage"],
            failed_us=int(fault[f"{_OWN}failed-us"]),
            first_failed_us=int(fault[f"{_OWN}first-failed-us"]),
            attempts=int(fault[_ATTEMPTS]),
            correlation_id=fault.get(f"{_OWN}correlation-id", ""),
            original=fault.get(f"{_OWN}original") != "false",
        )
    except (KeyError, ValueError, ValidationError) as error:
        raise DeadLetterUnreadable(
            f"{_place(stored)} has fault headers that do not read ({error}); was it written by a newer plantsync?"
        ) from error


def _letter(raw: RawRecords, stage: str, fault: RowFault, now_us: int, plant: str) -> DeadLetter:
    row = fault.row
    own: Headers = ()
    earlier: Mapping[str, str] | None = None
    if row >= 0 and raw.headers is not None:
        own, earlier = _split(raw.headers[row])
    described = Fault(
        code=fault.code,
        detail=_text(fault.detail, LONG_CHARS_MAX),
        plant=_text(fault.plant or plant),
        source=_text(fault.source),
        session=_text(fault.session),
        seq=fault.seq,
        offset=int(raw.offsets[row]) if row >= 0 else fault.offset,
    )
    whole = row >= 0 and raw.refusals is None and int(raw.ends[row] - raw.starts[row]) <= LETTER_BYTES_MAX
    value = described.model_dump_json(exclude={"offset"}).encode() if row < 0 else raw.value(row)[:LETTER_BYTES_MAX]
    return DeadLetter(
        topic=_text(raw.topic, LONG_CHARS_MAX),
        partition=raw.partition,
        key=raw.keys[row] if row >= 0 and raw.keys is not None else None,
        value=value,
        headers=tuple(Header(name=name, value=value) for name, value in own),
        fault=described,
        stage=_text(stage),
        failed_us=now_us,
        first_failed_us=min(_number(earlier, "first-failed-us", now_us), now_us),
        attempts=min(_number(earlier, "attempts", 0), _ATTEMPTS_MAX - 1) + 1,
        correlation_id=_text(next((v.decode("utf-8", "replace") for k, v in own if k == _CORRELATION), "")),
        original=whole,
    )


def _split(headers: Headers) -> tuple[Headers, Mapping[str, str] | None]:
    """Separate a record's own headers from the fault headers after them; None where there are none."""
    start = next((i for i in range(len(headers) - 1, -1, -1) if headers[i][0] == _FIRST), None)
    if start is None:
        return headers, None
    fault = {name: value.decode("utf-8", "replace") for name, value in headers[start:]}
    if _CODE not in fault or not all(name.startswith((_CONNECT, _OWN)) for name in fault):
        return headers, None
    return headers[:start], fault


def _number(earlier: Mapping[str, str] | None, name: str, default: int) -> int:
    """Return a number of an earlier failure; whoever sent the record back may have spoilt it."""
    text = (earlier or {}).get(f"{_OWN}{name}", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else default


def _text(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Cut the text, and replace lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text[:chars_max].encode("utf-8", "replace").decode()


def _place(stored: Record | Stored) -> str:
    return f"record {stored.offset} of {DEAD_LETTERS}" if isinstance(stored, Stored) else f"a record for {DEAD_LETTERS}"
