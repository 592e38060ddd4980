"""Policies of a proposed mapping: how its records are put in order, counted, summed up and bounded."""

from __future__ import annotations

import math
from typing import Final

from dataflows.onboarding.assignment import Assignment
from dataflows.onboarding.column import by_group
from dataflows.onboarding.noted import Noted, Section
from dataflows.onboarding.sample import Sample

_RECORD_BYTES_MIN: Final = 4_096
_QUANTITY_MIN: Final = 10_000
_ROOM: Final = 100
"""A quantity so many times the largest of the sample is not believed."""


def policies(sample: Sample, found: Assignment | None) -> dict[str, Section]:
    """Return the sections of policies."""
    sections = {"sequencing": _sequencing(found)}
    if sample.format == "shdr" or (found is not None and found.counters):
        why = "what was counted before the first reading is not ours"
        sections["counters"] = {"first_reading": Noted("baseline", why, is_unsure=True)}
    sections["aggregation"] = {
        "bucket_s": Noted(3_600, "a confirmation holds an hour at most"),
        "idle_s": Noted(900, "and is closed when nothing has come for so long"),
    }
    wide = max(_RECORD_BYTES_MIN, 2 ** math.ceil(math.log2(8 * max(sample.record_bytes_max, 1))))
    measures = [
        found.choices[name].column.largest for name in ("good", "scrap", "rework") if found and name in found.choices
    ]
    largest = max(_QUANTITY_MIN, 10 ** math.ceil(math.log10(_ROOM * max([1.0, *measures]))))
    sections["limits"] = {
        "record_bytes_max": Noted(wide),
        "quantity_max": Noted(largest, "whole units in one record; more is a fault"),
    }
    return sections


def _sequencing(found: Assignment | None) -> Section:
    if found is None or "seq" not in found.choices:
        why = "the source does not number its records"
        if found is not None and "event_id" in found.choices:
            return {"mode": Noted("arrival", f"{why}; the event id tells a repetition")}
        return {"mode": Noted("arrival", f"{why}: a record with the same bytes again is a repetition")}
    mode = Noted("number", "the source numbers its records: repetitions and holes are found")
    firsts = {min(each) for each in by_group(found.choices["seq"].column.numbers, found.groups)}
    if firsts <= {0.0} or firsts <= {1.0}:
        return {"mode": mode, "start": Noted(int(firsts.pop()), "the first number of every source in the sample")}
    why = "the sample begins in the middle; name the first number of a session, if it is always the same"
    return {"mode": mode, "start": Noted("any", why, is_unsure=True)}
