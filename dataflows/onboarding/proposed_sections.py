"""Sections of a proposed mapping: how records are laid out, and what the plant's words mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from canonical.b2mml.event_lines import FIELDS as B2MML_FIELDS
from canonical.mapping.fields import TEXT_FIELDS
from dataflows.onboarding import vocabulary
from dataflows.onboarding.assignment import MEASURES, Assignment
from dataflows.onboarding.column import Column
from dataflows.onboarding.noted import Noted, Section
from dataflows.onboarding.sample import Sample

_SHOWN_MAX: Final = 20
_MOSTLY: Final = 0.5
_B2MML: Final = {
    "source": "work_center",
    "from_bin": "location",
    "handling_unit": "sub_lot",
    "correlation_id": "response",
}
"""Canonical fields whose names differ from those of a line of B2MML."""


def layout(sample: Sample) -> dict[str, Section]:
    """Return the section of the format, where it has one."""
    if sample.csv is not None:
        csv = sample.csv
        header = Noted(csv.header, "" if csv.header else "columns are numbered; rename them here and in [fields]")
        return {
            "csv": {
                "delimiter": Noted(csv.delimiter),
                "header": header,
                "columns": Noted(list(csv.columns)),
                "encoding": Noted(csv.encoding),
                "decimal": Noted(csv.decimal),
            }
        }
    if sample.fixed is not None:
        fixed = sample.fixed
        columns = [{"name": name, "start": start, "width": width} for name, start, width in fixed.columns]
        return {
            "fixed": {
                "columns": Noted(columns, "found by their blanks", is_unsure=True),
                "encoding": Noted(fixed.encoding),
                "decimal": Noted(fixed.decimal),
            }
        }
    return {"avro": {}} if sample.format == "avro" else {}


def times(found: Assignment) -> Section:
    """Return how instants are written."""
    pattern = found.choices["occurred"].column.time
    assert pattern is not None, "what is chosen for occurred is an instant"
    why = f"{pattern.other} fits all of the sample as well" if pattern.other else ""
    section = {"format": Noted(pattern.format, why, is_unsure=bool(pattern.other))}
    if not pattern.has_zone and "seq" not in found.choices and found.counters:
        section["ambiguous"] = Noted("order", "in the hour that comes twice, counters that went on tell which it is")
    return section


def types(found: Assignment, rows: int) -> Section:
    """Return what the plant's words for what happens mean; those that no dictionary has are left open."""
    column = found.choices["type"].column
    counts = Counter(column.texts)
    section: Section = {}
    for word in column.distinct:
        meaning = vocabulary.event_type(word)
        seen = f"{counts[word]} of {rows} records"
        if meaning is not None:
            section[word] = Noted(meaning.value, seen)
        else:
            guess, why = _guess(found, word)
            section[word] = Noted(guess, f"{seen}; {why}", is_unsure=True, is_open=True)
    return section


def _guess(found: Assignment, word: str) -> tuple[str, str]:
    """Return what records of an unknown kind look like, by what they carry."""
    kind = [value is not None and str(value) == word for value in found.choices["type"].column.values]
    carried = {name: _share(choice.column, kind) for name, choice in found.choices.items()}
    measures = {name: carried[name] for name in MEASURES[:3] if carried.get(name, 0) > _MOSTLY}
    if measures:
        best = max(measures, key=lambda name: measures[name])
        return {"good": "partial"}.get(best, best), f"they carry {' and '.join(measures)}"
    if carried.get("reason", 0) > _MOSTLY:
        return "downtime", "they carry a reason and no quantity"
    return "state", "they carry no quantity"


def _share(column: Column, where: Sequence[bool]) -> float:
    values = [value for value, chosen in zip(column.values, where, strict=True) if chosen]
    return sum(value is not None and value != "" for value in values) / max(len(values), 1)


def units(column: Column) -> Section:
    """Return the codes of the plant's spellings of units; those that nobody knows are left open."""
    section: Section = {}
    for word in column.distinct:
        code = vocabulary.unit_code(word)
        if code is None:
            section[word] = Noted("H87", "no known spelling of a unit", is_unsure=True, is_open=True)
        elif code != word:
            section[word] = Noted(code)
    return section


def keys(column: Column) -> Section:
    """Return local keys to be replaced by canonical ones, where these differ."""
    return {word: Noted(word, is_open=True) for word in column.distinct[:_SHOWN_MAX]}


def shdr_sections(plant: str, columns: Sequence[Column]) -> dict[str, Section]:
    """Return the items of an adapter's lines that are counters, states, and the start of a session."""
    items: Section = {}
    section: Section = {"source": Noted(plant, "the lines do not name their machine", is_unsure=True)}
    for column in columns:
        name = vocabulary.plain(column.path).replace(" ", "")
        if name == "avail":
            section["session_start"] = Noted(column.path, "the adapter says it first whenever it starts anew")
        elif "partcount" in name and "good_counter" not in items:
            items["good_counter"] = Noted(column.path, "a count of parts", is_unsure="good" not in name)
        elif "execution" in name and "type" not in items:
            items["type"] = Noted(column.path, "a line that carries it is a change of state")
    if not items:
        items["good_counter"] = Noted("?", "no item is called a count of parts", is_unsure=True, is_open=True)
    return {"shdr": section, "shdr.items": items, "time": {"format": Noted("iso8601")}}


def b2mml_fields(columns: Sequence[Column], plant: str) -> Section:
    """Return the fields of lines of B2MML that the documents carry, by their own names."""
    carried = {column.path for column in columns}
    section: Section = {}
    names = ("event_id", "type", "occurred", "recorded", *TEXT_FIELDS, *MEASURES, "quantity")
    for name in dict.fromkeys(["source", *names]):
        path = _B2MML.get(name, name)
        if path in carried and path in B2MML_FIELDS and name != "session":
            section[name] = Noted(path)
    section.setdefault("source", Noted({"value": plant}, "the documents name no work centre", is_unsure=True))
    return section
