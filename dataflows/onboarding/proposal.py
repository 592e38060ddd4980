"""A proposed mapping: its values, and for each of them why, and whether it is unsure.

Law: what only a person can know is never guessed in silence. A value that may be wrong is marked as unsure; one that
would decide what a record means, without a word that says so, is left open, and its records stay faults until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from canonical.contracts.event import EventType
from dataflows.onboarding import vocabulary
from dataflows.onboarding.assignment import Assignment, Choice, assigned
from dataflows.onboarding.column import Column, columns_of
from dataflows.onboarding.noted import Noted, Section
from dataflows.onboarding.proposed_policies import policies
from dataflows.onboarding.proposed_sections import b2mml_fields, keys, layout, shdr_sections, times, types, units
from dataflows.onboarding.sample import Sample

_ORDER: Final = (
    "source", "session", "seq", "event_id", "type", "occurred", "recorded", "order", "operation", "work_center",
    "material", "lot", "reason", "quality", "unit", "good", "scrap", "rework",
)  # fmt: skip
_NUMBERS: Final = frozenset({"seq", "good", "scrap", "rework", "setup", "machine", "labour", "energy"})
_SCALED: Final[Mapping[str, str]] = {"setup": "seconds", "machine": "seconds", "labour": "seconds", "energy": "Wh"}
_COUNTERS: Final[Mapping[str, str]] = {"good": "good_counter", "scrap": "scrap_counter"}


@dataclass(slots=True)
class Proposal:
    """A mapping: the keys on top of the file, then section by section. ``remarks`` are about the whole of it."""

    top: Section = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def unsure(self) -> int:
        """How many of its values a person has to look at."""
        every = [*self.top.values(), *(noted for section in self.sections.values() for noted in section.values())]
        return sum(noted.is_unsure for noted in every)


def proposed(sample: Sample, plant: str, file_name: str, zone: str = "") -> Proposal:
    """Return a mapping for a plant whose records are like the sample.

    Args:
        sample: what was recognised.
        plant: its canonical key.
        file_name: of the sample; its ending becomes the pattern of the drop folder.
        zone: of its local times; without it what the language of its names suggests.
    """
    columns = columns_of(sample)
    found = assigned(columns) if sample.format not in {"shdr", "b2mml"} else None
    proposal = Proposal(remarks=list(sample.remarks))
    proposal.top = _top(sample, plant, zone, found)
    ending = file_name.rpartition(".")[2] if "." in file_name else ""
    proposal.sections["input"] = {
        "folder": Noted(f"plant-{vocabulary.plain(plant).replace(' ', '-')}", "drop folder, below the landing folder"),
        "pattern": Noted(f"*.{ending}" if ending else "*", "names of the files that are taken"),
    }
    if sample.format == "shdr":
        proposal.sections |= shdr_sections(plant, columns)
    elif found is None:
        proposal.sections["fields"] = b2mml_fields(columns, plant)
    else:
        _map(proposal, sample, plant, found)
    proposal.sections |= policies(sample, found)
    return proposal


def _top(sample: Sample, plant: str, zone: str, found: Assignment | None) -> Section:
    occurred = found.choices.get("occurred") if found else None
    guess = vocabulary.zone(sample.paths)
    if zone:
        zoned = Noted(zone, "of local times, shifts and posting dates")
    else:
        has_zone = occurred is None or occurred.column.time is None or occurred.column.time.has_zone
        why = "shifts and posting dates go by it" if has_zone else "the records tell no offset"
        zoned = Noted(guess or "UTC", f"{why}; {_GUESSED if guess else 'nothing suggests one'}", is_unsure=True)
    top = {"plant": Noted(plant), "title": Noted(f"Plant {plant}"), "time_zone": zoned, "format": Noted(sample.format)}
    named = found.choices.get("unit") if found else None
    measured = bool(found and {"good", "scrap", "rework"} & found.choices.keys())
    all_named = named is not None and len(named.column.texts) == len(sample.rows)
    why = "of quantities that name no unit, by UN/ECE Recommendation 20: H87 is piece, KGM kilogram"
    top["unit"] = Noted("H87", why, is_unsure=measured and not all_named)
    if found is not None and "type" not in found.choices:
        kind = EventType.PARTIAL if measured else EventType.STATE
        top["default_type"] = Noted(kind.value, "no column names what happened", is_unsure=True)
    return top


_GUESSED: Final = "the language of their names suggests it"


def _map(proposal: Proposal, sample: Sample, plant: str, found: Assignment) -> None:
    fields: Section = {}
    if "source" not in found.choices:
        why = "no column names the machine; where there are several, each must be told apart"
        fields["source"] = Noted({"value": plant}, why, is_unsure=True)
    for name in (*_ORDER, *(name for name in found.choices if name not in _ORDER)):
        if name in found.choices:
            key = _COUNTERS[name] if name in found.counters else name
            fields[key] = _field(found.choices[name], found, sample)
    if "occurred" not in found.choices:
        fields["occurred"] = Noted("?", "no column looks like an instant", is_unsure=True, is_open=True)
    proposal.remarks += [f"not mapped: {column.path} ({_like(column)})" for column in found.left]
    proposal.sections |= layout(sample)
    proposal.sections["fields"] = fields
    if "occurred" in found.choices:
        proposal.sections["time"] = times(found)
    if "type" in found.choices:
        proposal.sections["types"] = types(found, len(sample.rows))
    if "unit" in found.choices:
        proposal.sections["units"] = units(found.choices["unit"].column)
    for name in ("work_center", "reason"):
        if name in found.choices:
            proposal.sections[f"keys.{name}"] = keys(found.choices[name].column)


def _field(choice: Choice, found: Assignment, sample: Sample) -> Noted:
    name, column, why, unsure = choice.field, choice.column, choice.why, choice.is_unsure
    value: object = {"path": column.path, "unit": choice.unit} if choice.unit else column.path
    if name in _SCALED and not choice.unit:
        why, unsure = f"{why}; it is taken for {_SCALED[name]}", True
    if name in found.counters:
        goes_on, told = column.goes_on(found.groups), vocabulary.counts_on(column.path)
        said = " and ".join([*(["its name"] if told else []), *(["its values"] if goes_on else [])])
        say = "say" if goes_on else "says"
        why, unsure = f"{why}; {said} {say} it goes on counting, so differences are made", unsure or not goes_on
        unsure |= not told
    if sample.is_typed and name not in {"occurred", "recorded"}:
        is_wanted = name in _NUMBERS
        if sample.format == "json" and not is_wanted and column.holds_numbers and column.is_whole:
            value, why = {"path": column.path, "number": True}, f"{why}; the records hold it as a number"
        elif column.is_mixed or column.holds_numbers != is_wanted:
            held, wanted = ("text", "number") if is_wanted else ("number", "text")
            why, unsure = f"{why}; records hold a {held} here, where a {wanted} is wanted", True
    return Noted(value, why, unsure)


def _like(column: Column) -> str:
    if not column.texts:
        return "always empty"
    if column.time is not None:
        return f"instants, {column.time.format}"
    if len(column.distinct) == 1:
        return f"always {column.distinct[0][:24]!r}"
    kind = "numbers" if column.is_number else "texts"
    shown = ", ".join(repr(text[:24]) for text in column.distinct[:3])
    return f"{len(column.distinct)} different {kind}, as {shown}"
