"""What the texts of a plant mean: codes of the shard's vocabulary, types of events, units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from canonical.columns import TYPE_CODE, CodeColumn, Vocabulary
from canonical.mapping import PlantMapping
from canonical.units import code_of

TEXT_MAX: Final = 256
"""Characters of a key or code, as in ``canonical.contracts.event.Text``."""

UNKNOWN: Final = -1
"""What stands for a type or a unit that is none."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How the texts of a column are coded: ``codes`` of many texts, of which none is empty or too long, as int32.

    ``absent`` is the code of null and of the empty text.
    """

    codes: Callable[[list[str]], CodeColumn]
    absent: int


def coding(mapping: PlantMapping, vocabulary: Vocabulary, name: str) -> Coding:
    """Return how the texts of this field are coded: ``type`` as ``EVENT_TYPES``, the others by the vocabulary."""
    if name == "type":
        kinds = {word: TYPE_CODE[kind] for word, kind in mapping.words.items()}
        return Coding(lambda texts: _array([kinds.get(text, UNKNOWN) for text in texts]), default_type(mapping))
    if name == "unit":

        def units(texts: list[str]) -> CodeColumn:
            found = [unit_of(mapping, text) for text in texts]
            return _array([UNKNOWN if unit is None else vocabulary.code(unit) for unit in found])

        return Coding(units, vocabulary.code(mapping.unit))
    keys = mapping.keys.get(name)  # type: ignore[call-overload]
    if keys:
        return Coding(lambda texts: vocabulary.codes([keys.get(text, text) for text in texts]), 0)
    return Coding(vocabulary.codes, 0)


def constant_code(mapping: PlantMapping, vocabulary: Vocabulary, name: str) -> int | None:
    """Return the code of a field that no record carries, by the names of ``coding``; None where it has no constant."""
    constant = mapping.constants.get(name)  # type: ignore[call-overload]
    if name == "type":
        words = mapping.words
        return default_type(mapping) if constant not in words else TYPE_CODE[words[constant]]
    if name == "unit":
        constant = constant or mapping.unit
        return vocabulary.code(unit_of(mapping, constant) or constant)
    keys = mapping.keys.get(name, {})  # type: ignore[call-overload]
    return None if constant is None else vocabulary.code(keys.get(constant, constant))


def default_type(mapping: PlantMapping) -> int:
    """Return the code of the type that events have which name none."""
    return UNKNOWN if mapping.default_type is None else TYPE_CODE[mapping.default_type]


def unit_of(mapping: PlantMapping, text: str) -> str | None:
    """Return the Rec 20 code that the text stands for in this plant, or None."""
    return mapping.units.get(text) or code_of(text)


def _array(codes: list[int]) -> CodeColumn:
    return np.array(codes, np.int32)
