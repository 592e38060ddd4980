"""A plant's file from a sample or a template, and the suite's report on it: what the command line asks for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from canonical.mapping import PlantMapping
from canonical.plants import shipped
from dataflows.onboarding.plant_file import renamed, written
from dataflows.onboarding.proposal import proposed
from dataflows.onboarding.report import Report
from dataflows.onboarding.sample import SampleUnusable, raw_records, recognised
from dataflows.onboarding.suite import examined

SAMPLE_BYTES_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a mapping file, the format it is for, and how many of its values a person has to look at."""

    text: str
    format: str
    unsure: int


class WouldOverwrite(Exception):
    """A mapping file is never overwritten; trying again does not help."""

    retryable = False


def draft(sample: Path, plant: str, zone: str = "") -> Draft:
    """Return a mapping file proposed from a sample. Raises: SampleUnusable."""
    found = recognised(_read(sample))
    proposal = proposed(found, plant, sample.name, zone)
    return Draft(written(proposal, sample.name), found.format, proposal.unsure)


def from_template(template: str, plant: str) -> str:
    """Return a shipped mapping for another plant. Raises: KeyError where no such mapping is shipped."""
    return renamed(templates()[template].read_text("utf-8"), plant)


def templates() -> dict[str, Path]:
    """Return the mappings shipped, by the name of their file."""
    return {path.stem: path for path in shipped()}


def write(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises: WouldOverwrite."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise WouldOverwrite(f"{path} exists, and is not overwritten; name another file with --out") from error


def examine(mapping: PlantMapping, sample: Path, now_us: int, expected: Collection[str] = ()) -> Report:
    """Return what the conformance suite says of a mapping on a sample. Raises: SampleUnusable."""
    raw = raw_records(mapping.format, _read(sample), sample.name)
    return examined(mapping, raw, now_us, expected)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > SAMPLE_BYTES_MAX:
            raise SampleUnusable(f"{path} has {size:,} bytes; {SAMPLE_BYTES_MAX:,} are enough: take the first records")
        return path.read_bytes()
    except OSError as error:
        raise SampleUnusable(f"{path}: {error.strerror}; name a file with records of the plant") from error
