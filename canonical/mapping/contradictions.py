"""What no single key of a mapping gets wrong: keys that need, or exclude, each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final
from zoneinfo import ZoneInfo

from canonical.b2mml.event_lines import FIELDS
from canonical.mapping.expression_problems import condition_problems, expression_problems, paths, unit_problem
from canonical.mapping.fields import FieldSource
from canonical.mapping.plant import AvroSection, PlantMapping
from canonical.mapping.problems import Finding
from canonical.mapping.reads import Read
from canonical.mapping.toml_lines import Key
from canonical.policy import ShiftPolicy
from canonical.units import ALIASES, known
from canonical.wall_clock import minutes, span_minutes
from canonical.writer_schema import writer_schema

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES


def contradictions(mapping: PlantMapping) -> Iterator[Finding]:
    """Yield every contradiction of a mapping whose sections are each in order."""
    yield from _zone(mapping)
    yield from _sections(mapping)
    yield from _required(mapping)
    yield from _fields(mapping)
    yield from _units(mapping)
    yield from _shifts(mapping)
    yield from _stops(mapping)


def _zone(mapping: PlantMapping) -> Iterator[Finding]:
    try:
        ZoneInfo(mapping.time_zone)
    except (KeyError, ValueError, OSError):  # not found; not a name at all; the name of a folder
        yield (
            ("time_zone",),
            f"unknown time zone {mapping.time_zone!r}",
            "a name of the IANA database, as Europe/Berlin",
        )


def _sections(mapping: PlantMapping) -> Iterator[Finding]:
    for name in ("csv", "fixed", "shdr", "avro"):
        present = getattr(mapping, name) is not None
        if present and mapping.format != name:
            yield (name,), f"the format is {mapping.format}, so this section has no effect", "remove it"
        if not present and mapping.format == name:
            yield (name,), f"the format {name} needs this section", f"add [{name}]"


def _required(mapping: PlantMapping) -> Iterator[Finding]:
    sources = mapping.sources
    for name, hint in (
        ("plant", "set plant, or map fields.plant"),
        ("source", "the machine, terminal or system that speaks"),
    ):
        if name not in sources:
            yield ("fields", name), "required, and not mapped", hint
    if mapping.format != "shdr" and "occurred" not in sources:
        yield ("fields", "occurred"), "required, and not mapped", "when it happened, as the record says"
    if mapping.sequencing.mode == "number" and "seq" not in sources:
        yield (
            ("fields", "seq"),
            "sequencing by number needs it",
            'map the number, or set sequencing.mode = "arrival" where the source does not number its records',
        )
    if mapping.time.ambiguous == "order" and mapping.sequencing.mode == "number":
        yield (
            ("time", "ambiguous"),
            "order is for sources that do not number their records",
            'say "earliest" or "latest"',
        )
    told_apart = "work_center" in sources and "work_center" in mapping.aggregation.split_by
    if mapping.aggregation.open_max > 1 and not told_apart:
        yield (
            ("aggregation", "open_max"),
            "work centres are not told apart, so one confirmation is open at a time",
            "map fields.work_center, and name work_center in aggregation.split_by",
        )
    if mapping.format == "shdr":
        for section in ("types", "packml"):
            if getattr(mapping, section) and "type" not in sources:
                yield (section,), "no item of the lines tells a state", "map shdr.items.type, or remove this section"
    elif "type" not in sources and mapping.default_type is None:
        yield ("default_type",), "no field names the type of a record", "map fields.type or set default_type"


def _fields(mapping: PlantMapping) -> Iterator[Finding]:
    columns = _columns(mapping)
    placed = _placed(mapping)
    yield from expression_problems(mapping, placed)
    for i, condition in enumerate(mapping.skip):
        yield from condition_problems(mapping, ("skip", i), condition)
    for key, source in placed.items():
        problem = unit_problem(str(key[-1]), source)
        if problem is not None:
            yield (*key, "unit"), *problem
    for key, path in paths(mapping, placed):
        if (mapping.is_json or mapping.format == "avro") and "" in path.split("."):
            yield key, f"the path {path!r} has an empty step", "separate the steps by single dots"
        if mapping.avro is not None and not _held(mapping.avro, path):
            yield key, f"no schema of [avro.ids] has a single value at {path!r}", "separate nested names by dots"
        if columns is not None and path not in columns:
            yield key, f"there is no column {path!r}", f"one of {', '.join(columns)}"
    if mapping.is_json:
        yield from _clashes(mapping)
    if mapping.residency and not mapping.plant:
        yield ("residency",), "it is of one plant, and the records name theirs", "set plant"
    if mapping.plant and "plant" in mapping.fields:
        yield ("fields", "plant"), "the plant is constant already", "remove this or the key plant"
    if mapping.shdr is not None and "source" in {*mapping.fields, *mapping.shdr.items}:
        yield ("fields", "source"), "shdr.source names the source already", "remove one"


def _placed(mapping: PlantMapping) -> dict[Key, FieldSource]:
    placed: dict[Key, FieldSource] = {("fields", name): source for name, source in mapping.fields.items()}
    if mapping.shdr is not None:
        placed |= {("shdr", "items", name): source for name, source in mapping.shdr.items.items()}
    return placed


def _clashes(mapping: PlantMapping) -> Iterator[Finding]:
    """Yield fields that would read one place of the record as two things."""
    reading = mapping.reading
    users = {name: key for key, source in _placed(mapping).items() for name in reading.used(str(key[-1]), source)}
    users |= {name: ("skip", i) for i, each in enumerate(mapping.skip) for name in [reading.tested(each)]}
    known: list[tuple[str, Read]] = []
    for name, read in reading.reads.items():
        key = users.get(name, ("fields",))
        path = read.path.split(".")
        for other, former in known:
            known_path = former.path.split(".")
            shorter = min(len(path), len(known_path))
            if path[:shorter] != known_path[:shorter]:
                continue
            told = ".".join(map(str, users.get(other, (other,))[1:]))
            if len(path) != len(known_path):
                yield key, f"{read.path!r} and {told} lie inside one another", "map single values"
            elif read.kind is not former.kind:
                yield key, f"{read.path!r} is {former.kind} for {told}, and {read.kind} here", "map one"
        known.append((name, read))


def _held(section: AvroSection, path: str) -> bool:
    schemas = [writer_schema(schema.text) for schema in section.ids.values()]
    return not schemas or bool(section.registry) or any(schema.holds(tuple(path.split("."))) for schema in schemas)


def _columns(mapping: PlantMapping) -> tuple[str, ...] | None:
    """Return the columns that the mapping or its format declares; None where only the records tell."""
    if mapping.format == "fixed" and mapping.fixed is not None:
        return tuple(column.name for column in mapping.fixed.columns)
    if mapping.format == "csv" and mapping.csv is not None:
        return mapping.csv.columns
    if mapping.format == "b2mml":
        return FIELDS
    return None


def _units(mapping: PlantMapping) -> Iterator[Finding]:
    named: list[tuple[tuple[str, ...], str]] = [(("unit",), mapping.unit)]
    named += [(("units", local), code) for local, code in mapping.units.items()]
    for key, code in named:
        if not known(code):
            hint = f"did you mean {ALIASES[code]}?" if code in ALIASES else "H87 is piece, KGM kilogram, MTR metre"
            yield key, f"{code!r} is not a known UN/ECE Recommendation 20 code", hint


def _shifts(mapping: PlantMapping) -> Iterator[Finding]:
    spans = [(index, *span) for index, shift in enumerate(mapping.shifts) for span in _week_minutes(shift)]
    overlaps: set[tuple[int, int]] = set()
    for (a, a_start, a_end), (b, b_start, b_end) in combinations(spans, 2):
        # Sunday's night shift runs into Monday: compare one week later and earlier as well.
        if any(a_start < b_end + week and b_start + week < a_end for week in (-_WEEK_MINUTES, 0, _WEEK_MINUTES)):
            overlaps.add((min(a, b), max(a, b)))
    for a, b in sorted(overlaps):
        first, second = mapping.shifts[a], mapping.shifts[b]
        if a == b:
            yield ("shifts", a), f"the shift {first.name} overlaps itself", "each day may start it once"
        else:
            yield ("shifts", b), f"the shift {second.name} overlaps {first.name}", "a shift ends where the next begins"


def _stops(mapping: PlantMapping) -> Iterator[Finding]:
    for i, shift in enumerate(mapping.shifts):
        for j, each in enumerate(shift.breaks):
            behind = (minutes(each.start) - minutes(shift.start)) % _DAY_MINUTES
            if behind + span_minutes(each.start, each.end) > span_minutes(shift.start, shift.end):
                yield (
                    ("shifts", i, "breaks", j),
                    f"the break is not within the shift {shift.name}",
                    "both are local time",
                )
    for i, planned in enumerate(mapping.maintenance):
        if not (planned.days or planned.dates):
            yield ("maintenance", i), "no day on which it starts", 'such as days = ["sat"], or dates = ["2026-11-28"]'


def _week_minutes(shift: ShiftPolicy) -> Iterator[tuple[int, int]]:
    start, end = (int(t[:2]) * 60 + int(t[3:]) for t in (shift.start, shift.end))
    length = (end - start) % _DAY_MINUTES or _DAY_MINUTES
    for day in dict.fromkeys(shift.days):
        first = _DAYS.index(day) * _DAY_MINUTES + start
        yield first, first + length
