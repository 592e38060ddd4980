"""The examples of a mapping file, tried: each record is decoded as any other, and compared with what the file says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np

from canonical.columns import DEFAULTS, EVENT_TYPES, EventBatch, Vocabulary
from canonical.decoders import decode
from canonical.decoders.b2mml import read_landed
from canonical.mapping import PlantMapping, Problem, load
from canonical.mapping.examples import Example
from canonical.mapping.fields import DURATION_FIELDS, QUANTITY_FIELDS
from canonical.mapping.problems import Finding, located
from canonical.records import RawRecords

_ANY_S: Final = 1e11
"""Longer than any time that a record may name is away."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = {
    **{name: (name, 1_000) for name in QUANTITY_FIELDS},
    **{name: (f"{name}_us", 1_000_000) for name in DURATION_FIELDS},
    "energy": ("energy_mwh", 1_000),
    "seq": ("seq", 1),
}
"""By field that is a number, its column and how many of what that counts make one."""


def tried(path: Path) -> list[Problem]:
    """Return where the examples of a mapping file, which is in order, do not become what it says.

    Raises: MappingError, OSError.
    """
    text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    return located(str(path), text, example_problems(load(path)))


def example_problems(mapping: PlantMapping) -> Iterator[Finding]:
    """Yield what is different, by the key of the example."""
    if mapping.examples and mapping.format == "avro":
        yield ("examples",), "a record of Avro cannot be written here", "try a sample: plantsync lint --sample"
        return
    for i, example in enumerate(mapping.examples):
        for key, message, hint in _tried(mapping, example):
            yield ("examples", i, *key), message, hint


def _tried(mapping: PlantMapping, example: Example) -> Iterator[Finding]:
    records = _records(mapping, example)
    if len(records) != 1:
        yield ("record",), f"{len(records)} records", "an example is one"
        return
    now_us = 0
    if example.now:
        now_us = (datetime.fromisoformat(example.now) - _EPOCH) // timedelta(microseconds=1)
    else:
        unlimited = mapping.limits.model_copy(update={"past_max_s": _ANY_S, "future_max_s": _ANY_S})
        mapping = mapping.model_copy(update={"limits": unlimited})
    vocabulary = Vocabulary()
    done = decode(mapping, records, vocabulary, now_us)
    if done.faults:
        fault = done.faults[0]
        if fault.code is not example.fault:
            yield ("record",), f"becomes the fault {fault.code.value}: {fault.detail}", ""
    elif not len(done.events):
        if not example.skipped:
            yield ("record",), "is skipped", ""
    elif not example.event:
        yield ("record",), f"becomes an event of type {_told(done.events, vocabulary, 'type')}", ""
    else:
        for name, wanted in example.event.items():
            found = _told(done.events, vocabulary, name)
            if not _same(name, wanted, found):
                yield ("event", name), f"is {found or 'nothing'!r}, and not {wanted!r}", ""


def _records(mapping: PlantMapping, example: Example) -> RawRecords:
    section = mapping.csv or mapping.fixed
    value = example.record.strip("\n").encode("utf-8" if section is None else section.encoding)
    if mapping.format == "b2mml":
        return read_landed(value)
    return RawRecords.from_values([value], np.zeros(1, np.int64))


def _told(events: EventBatch, vocabulary: Vocabulary, name: str) -> str:
    """Return a field of the only event as an example writes it; the empty text for nothing."""
    if name == "type":
        return EVENT_TYPES[int(events["type"][0])].value
    if name in ("occurred", "recorded"):
        us = int(events[f"{name}_us"][0])
        return "" if us == DEFAULTS[f"{name}_us"][1] else (_EPOCH + timedelta(microseconds=us)).isoformat()
    if name in _COLUMNS:
        column, count = _COLUMNS[name]
        value = int(events[column][0])
        return "" if value < 0 else f"{Decimal(value) / count:f}"
    return "" if name == "event_id" else vocabulary.text(events[name])[0]


def _same(name: str, wanted: str, found: str) -> bool:
    if name in _COLUMNS:
        try:
            return wanted == found or (bool(found) and Decimal(wanted) == Decimal(found))
        except InvalidOperation:
            return False
    if name in ("occurred", "recorded") and found:
        try:
            at = datetime.fromisoformat(wanted)
        except ValueError:
            return False
        return at.replace(tzinfo=at.tzinfo or UTC) == datetime.fromisoformat(found)
    return wanted == found
