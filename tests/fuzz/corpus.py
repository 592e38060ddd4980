"""Inputs that once broke something, kept as small files, each with a line that says what it broke."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Case:
    """Messages for a target, and what is to become of them where that is told."""

    name: str
    target: str
    note: str
    values: tuple[bytes, ...]
    tally: Mapping[str, int] | None


def cases(folder: Path = FOLDER) -> list[Case]:
    """Return what is kept, by name."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def write(folder: Path, case: Case) -> Path:
    """Keep a case and return its file. Long repetitions are written as [text, times]; bytes are Latin-1 letters."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.name}.json"
    told = {"target": case.target, "note": case.note, "values": [_parts(value) for value in case.values]}
    if case.tally is not None:
        told["tally"] = case.tally
    path.write_text(json.dumps(told, indent=1, ensure_ascii=True) + "\n", "utf-8")
    return path


def _read(path: Path) -> Case:
    told = json.loads(path.read_text("utf-8"))
    return Case(path.stem, told["target"], told["note"], tuple(map(_joined, told["values"])), told.get("tally"))


_REPEATED = re.compile(rb"(.{1,64}?)\1{15,}", re.DOTALL)


def _parts(value: bytes) -> list[str | list[str | int]]:
    parts: list[str | list[str | int]] = []
    at = 0
    for match in _REPEATED.finditer(value):
        if match.start() > at:
            parts.append(value[at : match.start()].decode("latin-1"))
        parts.append([match[1].decode("latin-1"), len(match[0]) // len(match[1])])
        at = match.end()
    if at < len(value) or not parts:
        parts.append(value[at:].decode("latin-1"))
    return parts


def _joined(parts: list[str | list[str | int]]) -> bytes:
    texts = (part if isinstance(part, str) else str(part[0]) * int(part[1]) for part in parts)
    return "".join(texts).encode("latin-1")
