"""Instants as plants write them, as int64 UTC microseconds.

Law: an instant depends on its own text and the mapping only. Digits finer than a microsecond are
cut off. A local time that the clock change skips is no instant; one that occurs twice is the
earlier or the later, as the mapping says; where it says ``order``, it is the earlier here, and the counters of the
source may make it the later (``dataflows.processors.counter``).

ISO 8601 means ``YYYY-MM-DD``, T or a space, ``hh[:mm[:ss[.f]]]`` and ``Z``, ``±hh``, ``±hhmm``, ``±hh:mm`` or
nothing, which is plant-local time. Source: ISO 8601-1:2019; Python's strptime for other patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.decoders.quantities import numbers, valid_rows
from canonical.mapping import PlantMapping
from canonical.mapping.fields import EPOCH_US

Mask = NDArray[np.bool_]

_UTC: Final = pa.timestamp("us", "UTC")
_LOCAL: Final = pa.timestamp("us")
_ISO: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?"
_ISO_ZONED: Final = _ISO + r"(Z|[+-]\d\d(:?\d\d)?)$"
_ISO_LOCAL: Final = _ISO + "$"
_FINER: Final = r"(\.\d{6})\d+"
_DATE_CHARACTERS: Final = 10
_MINUTE_US: Final = 60_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_US_MAX: Final = 2.0**62


def instants(mapping: PlantMapping, values: pa.Array) -> tuple[IntColumn, Mask]:
    """Return the instants and which rows are one; a null is none.

    Args: values: TEXT[n] or float64[n], as ``mapping.time.format`` says; or Arrow timestamps.
    """
    zone, latest = ZoneInfo(mapping.time_zone), mapping.time.ambiguous == "latest"
    if pa.types.is_timestamp(values.type):
        us, valid = _logical(values)
        return (us, valid) if values.type.tz is not None else _localised(us, valid, zone, latest=latest)
    how = mapping.time.format
    if how in EPOCH_US:
        return _epoch(values, EPOCH_US[how])
    text = values if pa.types.is_string(values.type) else values.cast(pa.string())
    if how == "iso8601":
        return _iso(text, zone, latest=latest)
    return _patterned(text, how, zone, latest=latest)


def time_bounds(mapping: PlantMapping, now_us: int) -> tuple[int, int]:
    """Return the earliest and the latest instant that records read at ``now_us`` may name, in microseconds."""
    limits = mapping.limits
    return now_us - round(limits.past_max_s * 1e6), now_us + round(limits.future_max_s * 1e6)


def localised(mapping: PlantMapping, local_us: IntColumn, where: Mask) -> tuple[IntColumn, Mask]:
    """Return the instants, those that are plant-local times turned into UTC, and which of these are an instant."""
    return _localised(local_us, where, ZoneInfo(mapping.time_zone), latest=mapping.time.ambiguous == "latest")


def _logical(values: pa.Array) -> tuple[IntColumn, Mask]:
    """Return Arrow timestamps in microseconds; what does not fit is no instant."""
    count, valid = _filled(values), valid_rows(values)
    if values.type.unit == "ns":
        return count // 1_000, valid
    scale_us = {"s": 1_000_000, "ms": 1_000, "us": 1}[values.type.unit]
    valid = valid & (np.abs(count // 2) < int(_EPOCH_US_MAX) // (2 * scale_us))
    return np.where(valid, count, 0) * scale_us, valid


def _epoch(values: pa.Array, scale_us: int) -> tuple[IntColumn, Mask]:
    number, valid = numbers(values)
    with np.errstate(over="ignore", invalid="ignore"):
        us = np.rint(number * scale_us) if scale_us > 1 else np.floor(number)
        valid = valid & (np.abs(us) < _EPOCH_US_MAX)
    return np.where(valid, us, 0).astype(np.int64), valid


def _iso(text: pa.Array, zone: ZoneInfo, *, latest: bool) -> tuple[IntColumn, Mask]:
    # Nearly always all rows are written alike, and one cast decides.
    try:
        return _filled(text.cast(_UTC)), valid_rows(text)
    except pa.ArrowInvalid:
        pass
    short = pc.min(pc.binary_length(text)).as_py()
    if short is not None and short > _DATE_CHARACTERS:
        try:
            local = text.cast(_LOCAL)
        except pa.ArrowInvalid:
            pass
        else:
            return _localised(_filled(local), valid_rows(text), zone, latest=latest)
    cut = pc.replace_substring_regex(text, _FINER, r"\1")
    none = pa.scalar(None, pa.string())
    us, valid = _cast_each(pc.if_else(pc.match_substring_regex(text, _ISO_ZONED), cut, none), _UTC)
    local_us, is_local = _cast_each(pc.if_else(pc.match_substring_regex(text, _ISO_LOCAL), cut, none), _LOCAL)
    local_us, is_local = _localised(local_us, is_local, zone, latest=latest)
    return np.where(is_local, local_us, us), valid | is_local


def _cast_each(text: pa.Array, kind: pa.DataType) -> tuple[IntColumn, Mask]:
    """Cast every row that can be; halve what fails until the rows that cannot stand alone."""
    try:
        return _filled(text.cast(kind)), valid_rows(text)
    except pa.ArrowInvalid:
        if len(text) == 1:
            return np.zeros(1, np.int64), np.zeros(1, np.bool_)
        half = len(text) // 2
        parts = [_cast_each(text[:half], kind), _cast_each(text[half:], kind)]
        return np.concatenate([us for us, _ in parts]), np.concatenate([valid for _, valid in parts])


def _filled(timestamps: pa.Array) -> IntColumn:
    us = timestamps.view(pa.int64())
    filled: IntColumn = (us.fill_null(0) if us.null_count else us).to_numpy()
    return filled


def _localised(local_us: IntColumn, valid: Mask, zone: ZoneInfo, *, latest: bool) -> tuple[IntColumn, Mask]:
    """Turn plant-local times into UTC; zones change their offset at whole minutes only."""
    minutes, where = np.unique(local_us[valid] // _MINUTE_US, return_inverse=True)
    offset_us, exists = np.zeros(len(minutes), np.int64), np.zeros(len(minutes), np.bool_)
    for i, minute in enumerate(minutes.tolist()):
        try:
            early = (_EPOCH + timedelta(minutes=minute)).replace(tzinfo=zone)
            first, second = _offset_us(early), _offset_us(early.replace(fold=1))
        except OverflowError:  # the year 1 or 9999, where the zone's offset leads out of the calendar
            continue
        # Where the clock goes forward, fold 0 has the offset before the change, which is the smaller.
        exists[i] = first >= second
        offset_us[i] = second if latest else first
    us = local_us.copy()
    us[valid] -= offset_us[where]
    instant = valid.copy()
    instant[valid] = exists[where]
    return us, instant


def _offset_us(time: datetime) -> int:
    offset = time.utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


_FULL_WIDTH: Final = {
    "Y": r"(\d{4})", "m": r"(\d\d)", "d": r"(\d\d)", "H": r"(\d\d)", "M": r"(\d\d)", "S": r"(\d\d)",
    "f": r"(\d{1,6})\d*",
}  # fmt: skip


def _patterned(text: pa.Array, pattern: str, zone: ZoneInfo, *, latest: bool) -> tuple[IntColumn, Mask]:
    """Rewrite full-width times as ISO 8601 and cast them; ask Python for every other text, once each."""
    rewriting = _as_iso(pattern)
    us, is_local = np.zeros(len(text), np.int64), np.zeros(len(text), np.bool_)
    if rewriting is not None:
        full, iso = rewriting
        rewritten = pc.if_else(
            pc.match_substring_regex(text, full),
            pc.replace_substring_regex(text, full, iso),
            pa.scalar(None, pa.string()),
        )
        us, is_local = _cast_each(rewritten, _LOCAL)
    # Arrow's own strptime is no help: it takes 31.02. for 03.03.
    rest = valid_rows(text) & ~is_local
    zoned = np.zeros(len(text), np.bool_)
    if rest.any():
        coded = text.filter(pa.array(rest)).dictionary_encode()
        times = [_parsed(value, pattern) for value in coded.dictionary.to_pylist()]
        where = coded.indices.to_numpy()
        us, is_local = us.copy(), is_local.copy()  # Arrow's own memory cannot be written to.
        us[rest] = _each(times, lambda t: (t.replace(tzinfo=t.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1))[
            where
        ]
        zoned[rest] = _each(times, lambda t: t.tzinfo is not None)[where] != 0
        is_local[rest] = _each(times, lambda t: t.tzinfo is None)[where] != 0
    utc_us, exists = _localised(us, is_local, zone, latest=latest)
    return np.where(zoned, us, utc_us), zoned | exists


def _each(times: list[datetime | None], of: Callable[[datetime], int]) -> IntColumn:
    return np.fromiter((0 if t is None else of(t) for t in times), np.int64, len(times))


def _parsed(value: str, pattern: str) -> datetime | None:
    try:
        # The zone is the pattern's own or, added later, the plant's.
        return datetime.strptime(value, pattern)  # noqa: DTZ007
    except ValueError:
        return None


def _as_iso(pattern: str) -> tuple[str, str] | None:
    """Return an RE2 pattern for full-width times and its ISO 8601 rewriting; None where Python must read them."""
    parts = re.split(r"%(.)", pattern)
    directives = parts[1::2]
    if len(set(directives)) != len(directives) or not {"Y", "m", "d", "H"} <= set(directives) <= set(_FULL_WIDTH):
        return None
    full = "".join(_FULL_WIDTH[p] if i % 2 else re.escape(p) for i, p in enumerate(parts))
    group = {directive: f"\\{i + 1}" for i, directive in enumerate(directives)}
    iso = "{Y}-{m}-{d}T{H}".format(**group)
    for directive, mark in (("M", ":"), ("S", ":"), ("f", ".")):
        if directive in group:
            iso += mark + group[directive]
        elif directive == "M" or "f" in group:
            iso += mark + "00"
    return f"^{full}$", iso
