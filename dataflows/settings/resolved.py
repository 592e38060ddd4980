"""Sections that say how a system is reached: secrets fetched from where they lie, and whole paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr, ValidationInfo

from canonical.mapping.problems import refused
from dataflows.section import ENVIRONMENT, beside

SECRETS: Final = frozenset({"password", "client_secret", "signing_secret", "token"})
PLACES: Final = frozenset({"folder", "acknowledgements", "ca_file", "cert_file", "key_file", "known_hosts"})
"""Keys that are paths; they are relative to the folder of the settings file."""


def resolved(value: object, info: ValidationInfo) -> object:
    """Return the section's values with secrets fetched from where they lie, and with whole paths."""
    if not isinstance(value, Mapping):
        return value
    return {name: _one(name, inner, info) for name, inner in value.items()}


def _one(name: str, value: object, info: ValidationInfo) -> object:
    match value:
        case {"env": str(variable), **rest} if name in SECRETS and not rest:
            assert info.context is not None
            environment: Mapping[str, str] = info.context[ENVIRONMENT]
            if variable not in environment:
                raise refused(f"{name}: the environment variable {variable} is not set", "set it where plantsync runs")
            return SecretStr(environment[variable])
        case {"file": str(place), **rest} if name in SECRETS and not rest:
            try:
                return SecretStr(beside(Path(place), info).read_text("utf-8").rstrip("\r\n"))
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                raise refused(f"{name}: {place}: {reason}", "the file holds the value and nothing else") from error
        case Mapping():
            return resolved(value, info)
        case str() if name in PLACES:
            return beside(Path(value), info)
    return value
