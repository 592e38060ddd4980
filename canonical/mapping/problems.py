"""Problems of a mapping file: what is wrong, on which line, and what to do."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from tomllib import TOMLDecodeError
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from canonical.mapping.toml_lines import Key, key_lines

Finding = tuple[Key, str, str]
"""Key, message and hint of a problem, before its line is known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one key of a file, and what to do; line 0 is a place that has no lines."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return ``file:line: key: message (hint)``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {key}{self.message}{hint}"


class MappingError(Exception):
    """A mapping file cannot be used; ``problems`` holds every reason."""

    retryable = False

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def refused(message: str, hint: str) -> PydanticCustomError:
    """Return the error a validator of a mapping raises: what is wrong and what to do."""
    return PydanticCustomError("plantsync", "{message}", {"message": message, "hint": hint})


def syntax_problem(file: str, text: str, error: TOMLDecodeError) -> Problem:
    """Return the problem of a file that is not TOML."""
    # The message ends with "(at line 3, column 7)" or "(at end of document)"; the error has
    # position attributes only from Python 3.14 on.
    message, _, position = str(error).rpartition(" (at ")
    digits = "".join(c for c in position.partition(",")[0] if c.isdigit())
    line = int(digits) if digits else text.count("\n") + 1
    return Problem(file, line, "", f"not TOML: {message[:1].lower()}{message[1:]}", "nothing else was checked")


def located(file: str, text: str, findings: Iterable[Finding]) -> list[Problem]:
    """Return the findings with their lines, in the order of the file, each once.

    A key that is not in the file is reported where its section begins.
    """
    lines = key_lines(text)
    found: dict[tuple[Key, str], Problem] = {}
    for key, message, hint in findings:
        at = key
        while at and at not in lines:
            at = at[:-1]
        problem = Problem(file, lines.get(at, 1), ".".join(map(str, key)), message, hint)
        found.setdefault((key, message), problem)
    return sorted(found.values(), key=lambda p: (p.line, p.key))


def explained(error: ValidationError, content: Mapping[str, Any], model: type[BaseModel]) -> Iterator[Finding]:
    """Yield what pydantic found in the content of a file; alternatives of one value make one finding."""
    merged: dict[Key, tuple[ErrorDetails, list[str]]] = {}
    for detail in error.errors(include_url=False):
        key = _key_in_file(detail, content)
        _, messages = merged.setdefault(key, (detail, []))
        messages.append(detail["msg"][:1].lower() + detail["msg"][1:])
    for key, (detail, messages) in merged.items():
        message, hint = _worded(key, detail, messages, model)
        yield key, message, hint


def without(content: Mapping[str, Any], wrong: Iterable[Key]) -> dict[str, Any]:
    """Return the content without these keys; a list or table loses its name with a wrong element."""
    rest = copy.deepcopy(dict(content))
    for key in wrong:
        at: Any = rest
        for i, part in enumerate(key):
            inner = at.get(part) if isinstance(at, dict) else None
            if isinstance(inner, dict) and i + 1 < len(key) and key[i + 1] in inner:
                at = inner
                continue
            if isinstance(at, dict):
                at.pop(part, None)
            break
    return rest


def _key_in_file(detail: ErrorDetails, content: Mapping[str, Any]) -> Key:
    """Return the key as the file has it: pydantic adds the alternatives it tried and the mark of a key."""
    missing = detail["type"] == "missing"
    loc = detail["loc"]
    key: Key = ()
    at: Any = content
    for part in loc[:-1] if missing else loc:
        if isinstance(part, int) and isinstance(at, dict):
            continue  # a single table stands for a list of one
        table: dict[str | int, Any] = dict(enumerate(at)) if isinstance(at, list) else at
        if isinstance(table, dict) and part not in table and part in table.values():
            continue  # the value that says which alternative it is, such as a protocol
        if not isinstance(table, dict) or part not in table:
            break
        key = (*key, part)
        at = table[part]
    return (*key, loc[-1]) if missing else key


def _worded(key: Key, detail: ErrorDetails, messages: list[str], model: type[BaseModel]) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return "unknown key", _nearest(str(key[-1]), _siblings(key, model))
    if kind == "missing":
        return "required, and not set", ""
    if kind in {"literal_error", "enum"} and len(messages) == 1:
        choices = detail["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        unknown = detail["loc"][-1] == "[key]"
        return "unknown key" if unknown else f"{detail['input']!r} is unknown here", _nearest(
            str(detail["input"]), choices
        )
    return " or ".join(dict.fromkeys(messages)), detail.get("ctx", {}).get("hint", "")


def _siblings(key: Key, model: type[BaseModel]) -> list[str]:
    """Return the keys that the section of an unknown key knows."""
    section = model
    for part in key[:-1]:
        field = section.model_fields.get(str(part))
        if field is not None:
            section = next(_models(field.annotation), section)
    return [field.alias or name for name, field in section.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _nearest(word: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), choices, 1, 0.6)
    return f"did you mean {near[0]}?" if near else f"one of {', '.join(choices)}"
