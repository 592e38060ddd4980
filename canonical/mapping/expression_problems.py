"""What is wrong with an expression of a mapping beyond its form: what does not fit its field or its format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from canonical.mapping.fields import (
    DEPTH_MAX,
    DURATION_FIELDS,
    DURATION_US,
    ENERGY_MWH,
    QUANTITY_FIELDS,
    Condition,
    FieldSource,
    numeric_fields,
)
from canonical.mapping.plant import PlantMapping
from canonical.mapping.problems import Finding
from canonical.mapping.toml_lines import Key

MEASURED: Final = frozenset({*QUANTITY_FIELDS, *DURATION_FIELDS, "energy"})
"""Fields that have a unit, so that a constant, a factor or an offset can mean something."""

_DECIMAL: Final = re.compile(r"\d{1,12}(\.\d{1,3})?", re.ASCII)
_THOUSANDTHS: Final = -3


def expression_problems(mapping: PlantMapping, placed: Mapping[Key, FieldSource]) -> Iterator[Finding]:
    """Yield what is wrong with each expression.

    Args: placed: fields by their key, of which the last part is their name.
    """
    numeric = numeric_fields(mapping.time.format)
    for key, source in placed.items():
        name = str(key[-1])
        yield from _expression(mapping, key, source, name, number=name in numeric, depth=1)
        if mapping.format == "shdr" and (name == "type" or name.endswith("_counter")):
            bare = source.model_copy(update={"scale": None, "offset": None} if name != "type" else {})
            if not (bare.is_plain and bare.path):
                yield key, "an item that tells what a line is cannot be computed", "name the item"


def paths(mapping: PlantMapping, placed: Mapping[Key, FieldSource]) -> Iterator[tuple[Key, str]]:
    """Yield every path of a mapping, with the key where it is said."""
    for key, source in placed.items():
        yield from _paths(key, source)
    for i, condition in enumerate(mapping.skip):
        yield ("skip", i, "path"), condition.path


def _paths(key: Key, source: FieldSource) -> Iterator[tuple[Key, str]]:
    if source.path:
        yield key, source.path
    for i, condition in enumerate(source.when):
        yield (*key, "when", i, "path"), condition.path
    for part_key, part in _parts(key, source):
        yield from _paths(part_key, part)


def _parts(key: Key, source: FieldSource) -> Iterator[tuple[Key, FieldSource]]:
    which = "first_of" if source.first_of else "join"
    for i, part in enumerate(source.parts):
        yield (*key, which, i), part


def _expression(
    mapping: PlantMapping, key: Key, source: FieldSource, name: str, *, number: bool, depth: int
) -> Iterator[Finding]:
    if depth > DEPTH_MAX:
        yield key, f"expressions are nested deeper than {DEPTH_MAX}", "split it into several fields, or ask for less"
        return
    yield from _constants(mapping, key, source, name, number=number)
    number = number and source.match is None
    if source.join and number:
        yield (*key, "join"), "texts are joined, and this is a number", "add match, or use first_of"
    if source.number and (number or not mapping.is_json):
        hint = "remove it; other formats than JSON, and numbers, do not need it"
        yield (*key, "number"), "says nothing here", hint
    yield from _factors(key, source, name, number=number)
    if source.unit and depth > 1:
        yield (*key, "unit"), "the unit is the whole field's", "say it beside first_of, or use scale"
    for i, condition in enumerate(source.when):
        yield from condition_problems(mapping, (*key, "when", i), condition)
    for part_key, part in _parts(key, source):
        yield from _expression(mapping, part_key, part, name, number=number, depth=depth + 1)


def _constants(mapping: PlantMapping, key: Key, source: FieldSource, name: str, *, number: bool) -> Iterator[Finding]:
    partial = source.match is not None or "join" in key
    for which, constant in (("value", source.value), ("default", source.default)):
        if constant is None:
            continue
        if name in {"seq", "occurred", "recorded", "event_id"}:
            yield (*key, which), f"{name} is another in each record, and no constant", "give a path"
        elif number and not _DECIMAL.fullmatch(constant):
            yield (*key, which), f"{constant!r} is no decimal number of at most three places", "such as 1 or 0.5"
        elif name == "type" and not partial and constant not in mapping.words:
            yield (*key, which), f"{constant!r} is no type of [types]", f"one of {', '.join(mapping.words)}"


def _factors(key: Key, source: FieldSource, name: str, *, number: bool) -> Iterator[Finding]:
    for which, factor in (("scale", source.scale), ("offset", source.offset)):
        if factor is not None and (name not in MEASURED or not number):
            yield (*key, which), "goes with numbers that have a unit", "quantities, counters, durations, energy"
    if source.scale is not None and source.scale <= 0:
        yield (*key, "scale"), "a factor is positive", "to count down, subtract in the plant"
    exponent = None if source.offset is None else source.offset.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < _THOUSANDTHS:
        yield (*key, "offset"), "finer than a thousandth", "quantities are exact to thousandths"


def condition_problems(mapping: PlantMapping, key: Key, condition: Condition) -> Iterator[Finding]:
    """Yield what a condition asks that records of this format cannot answer."""
    if any(isinstance(each, bool) for each in condition.compared) and not (mapping.is_json or mapping.format == "avro"):
        yield key, f"{mapping.format} has no truth values", 'write the text, as is = "true"'


def unit_problem(name: str, source: FieldSource) -> tuple[str, str] | None:
    """Return why a field cannot have its unit, and what to do; None if it can."""
    units = DURATION_US if name in DURATION_FIELDS else ENERGY_MWH if name == "energy" else {}
    if not source.unit or source.unit in units:
        return None
    hint = f"one of {', '.join(units)}" if units else "a unit of quantities comes from fields.unit, or unit"
    return f"{name} cannot be in {source.unit!r}", hint
