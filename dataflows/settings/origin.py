"""Where a value of the settings comes from: a line of the file, or a variable of the environment in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pydantic_settings
from pydantic import BaseModel

from canonical.mapping import Problem
from canonical.mapping.problems import Finding
from canonical.mapping.toml_lines import Key, key_lines

PREFIX: Final = "PLANTSYNC_"
DELIMITER: Final = "__"
PROPERTIES: Final = ("kafka", "properties")


def environment(model: type[BaseModel]) -> dict[str, Any]:
    """Return the values of our variables, as the tables and keys they stand for. Raises: SettingsError of pydantic."""
    source = pydantic_settings.EnvSettingsSource(
        cast("type[pydantic_settings.BaseSettings]", model),
        case_sensitive=False,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
    )
    variables = dict(source.env_vars)
    servers = variables.pop(f"{PREFIX}kafka".lower(), None)
    if servers:
        variables["__".join((f"{PREFIX}kafka".lower(), "properties", "bootstrap.servers"))] = servers
    source.env_vars = variables
    return source()


def merged(content: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with the values of ``over`` in place of its own, table by table."""
    both = dict(content)
    for key, value in over.items():
        own = both.get(key)
        both[key] = merged(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return both


def flat_properties(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with ``sasl.password = ...``, which TOML reads as nested tables, as one name."""
    kafka = content.get("kafka")
    if not isinstance(kafka, dict) or not isinstance(kafka.get("properties"), dict):
        return content
    return {**content, "kafka": {**kafka, "properties": dict(_flat((), kafka["properties"]))}}


def _flat(path: tuple[str, ...], value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and not (path and value.keys() <= {"env", "file"}):
        for name, inner in value.items():
            yield from _flat((*path, name), inner)
    else:
        yield ".".join(path), value


def located(path: Path, text: str, finding: Finding, variables: Mapping[str, Any]) -> Problem:
    """Return the finding with its line, or with the variable that takes the key's place."""
    key, message, hint = finding
    name = ".".join(map(str, key))
    if variable := _variable(key, variables):
        return Problem(f"environment variable {variable}", 0, name, message, hint)
    lines = key_lines(text)
    at: Key = key
    if key[:2] == PROPERTIES and len(key) > 2 and key not in lines:
        at = (*PROPERTIES, *str(key[2]).split("."))
    while at and at not in lines:
        at = at[:-1]
    return Problem(str(path), lines.get(at, 1), name, message, hint)


def _variable(key: Key, variables: Mapping[str, Any]) -> str | None:
    """Return the variable the value of a key comes from, if it does."""
    at: Any = variables
    names: list[str] = []
    for part in key:
        if not isinstance(at, dict) or part not in at:
            break
        at = at[part]
        names.append(str(part))
    if not names or (isinstance(at, dict) and len(names) < len(key)):
        return None
    return PREFIX + DELIMITER.join(names).upper()
