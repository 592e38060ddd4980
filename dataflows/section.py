"""What all sections of the settings are made of: no unknown keys, paths beside the settings file, bounded times."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

ENVIRONMENT: Final = "environment"
"""Under this name the context of the validation holds the environment's variables."""


def beside(value: Path, info: ValidationInfo) -> Path:
    """Return the path relative to the folder of the settings file."""
    return Path(os.path.normpath(folder(info) / value.expanduser()))


def folder(info: ValidationInfo) -> Path:
    """Return the folder of the settings file."""
    assert info.context is not None
    found: Path = info.context["folder"]
    return found


Place = Annotated[Path, AfterValidator(beside)]
Interval = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """A part of the settings: no unknown keys, no changes after loading."""

    # Defaults are validated too, since paths among them are relative to the settings file.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, revalidate_instances="always")
