"""The mapping file: TOML to ``PlantMapping``, or every problem at once, each with its line."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from canonical.mapping.contradictions import contradictions
from canonical.mapping.plant import PlantMapping
from canonical.mapping.problems import MappingError, Problem, explained, located, syntax_problem, without


def load(path: Path) -> PlantMapping:
    """Read the mapping file of a plant.

    Raises: MappingError, with all problems of the file; OSError where it cannot be read.
    """
    mapping, found = _read(path)
    if mapping is None or found:
        raise MappingError(found)
    return mapping


def problems(path: Path) -> list[Problem]:
    """Return all problems of a mapping file, in the order of its lines; none if it can be used.

    Raises: OSError where the file cannot be read.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[PlantMapping | None, list[Problem]]:
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
        content = tomllib.loads(text)
    except UnicodeDecodeError as error:
        return None, [Problem(file, 1, "", "the file is not UTF-8", f"byte {error.start} is not text")]
    except tomllib.TOMLDecodeError as error:
        return None, [syntax_problem(file, text, error)]
    context = {"folder": path.parent, "text": text}
    try:
        mapping = PlantMapping.model_validate(content, context=context)
    except ValidationError as error:
        findings = list(explained(error, content, PlantMapping))
    else:
        return mapping, located(file, text, contradictions(mapping))
    # What remains without the wrong keys may contradict itself too, and all problems are told at once.
    wrong = {key for key, _, _ in findings}
    try:
        rest = PlantMapping.model_validate(without(content, wrong), context=context)
    except ValidationError:
        return None, located(file, text, findings)
    more = [f for f in contradictions(rest) if not any(f[0][: len(key)] == key for key in wrong)]
    return None, located(file, text, findings + more)
