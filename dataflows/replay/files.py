"""Records as a file of a drop folder, in two steps that a crash may part: prepared, then dropped (M29).

A prepared file has a hidden name, which no flow reads; dropping renames it. Its name carries the id
of its replay, and the flow always reads a file of such a name, also when it has read the same content
before: the records in it are then known again one by one.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final

from canonical.b2mml.event_lines import is_line
from canonical.decoders.avro import SCHEMA_HEADER
from canonical.mapping import PlantMapping
from canonical.records import Headers
from dataflows.replay.selection import ReplayRefused
from dataflows.sources.landed_files import REPLAYED, UNFINISHED
from sinks.commit_log import PlantsyncError

HIDDEN: Final = ".tmp"
_SINGLE_BYTES: Final = 10
"""Of the frame that a record of a container file gets when the file is taken apart."""


class FolderUnwritable(PlantsyncError):
    """A drop folder cannot be written to; the same replay may succeed later."""

    retryable: ClassVar[bool] = True


def contents(mapping: PlantMapping, values: Sequence[bytes], headers: Sequence[Headers], replay: str) -> list[bytes]:
    """Return the files, mostly one, that hold these records in the plant's format."""
    if mapping.format == "b2mml":
        # A document that could not be read is a file by itself; lines of others would be no part of it.
        lines = [value + b"\n" for value in values if is_line(value)]
        return [*([b"".join(lines)] if lines else []), *(value for value in values if not is_line(value))]
    if mapping.format != "avro":
        return [b"".join([*_header(mapping), *(value + b"\n" for value in values)])]
    by_schema: dict[bytes, list[bytes]] = {}
    for value, own in zip(values, headers, strict=True):
        schema = next(text for name, text in own if name == SCHEMA_HEADER)
        by_schema.setdefault(schema, []).append(value[_SINGLE_BYTES:])
    return [_container(schema, data, replay) for schema, data in by_schema.items()]


def file_names(pattern: str, replay: str, count: int) -> list[str]:
    """Return names for the files of a replay that the folder's pattern takes. Raises: ReplayRefused."""
    names = [_filled(pattern, f"replay-{replay}-{number}") for number in range(count)]
    for name in names:
        taken = fnmatch.fnmatchcase(name, pattern) and not name.startswith(".") and not name.endswith(UNFINISHED)
        if not (taken and REPLAYED.search(name)):
            raise ReplayRefused(
                f"no file name that says it is a replay fits input.pattern {pattern!r}; give the pattern a *"
            )
    return names


def prepare(folder: Path, name: str, content: bytes) -> tuple[Path, Path]:
    """Write a file under a hidden name, durably; return that name and the one it is to get.

    Raises: FolderUnwritable.
    """
    hidden, final = folder / f".{name}{HIDDEN}", folder / name
    with _translated(hidden):
        with hidden.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync(folder)
    return hidden, final


def drop(hidden: Path, final: Path) -> bool:
    """Give a prepared file its name, durably; return false where that has been done before.

    Raises: FolderUnwritable.
    """
    with _translated(final):
        try:
            hidden.rename(final)
        except FileNotFoundError:
            return False
        _sync(final.parent)
    return True


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield the prepared files of a folder that never got their name."""
    for path in folder.glob(f".*{HIDDEN}"):
        if REPLAYED.search(path.name):
            yield path


def discard(paths: Iterator[Path]) -> int:
    """Remove prepared files; return how many there were."""
    count = 0
    for path in paths:
        with suppress(FileNotFoundError):
            path.unlink()
            count += 1
    return count


def _filled(pattern: str, text: str) -> str:
    """Return the pattern with its first star replaced by the text, and other wildcards by what they take."""
    before, star, after = pattern.partition("*")
    return (before + (text if star else "") + after.replace("*", "")).replace("?", "0")


def _header(mapping: PlantMapping) -> list[bytes]:
    section = mapping.csv
    if section is None or not section.header:
        return []
    quote = section.quote
    cells = [f"{quote}{name}{quote}" if section.delimiter in name else name for name in section.columns]
    return [(section.delimiter.join(cells) + "\n").encode(section.encoding)]


def _container(schema: bytes, data: Sequence[bytes], replay: str) -> bytes:
    """Return an Avro object container file of one block, with the data as they are.

    Source: Avro 1.12 specification, Object Container Files.
    """
    sync = hashlib.sha256(replay.encode()).digest()[:16]
    out = io.BytesIO()
    out.write(b"Obj\x01" + _long(1) + _bytes(b"avro.schema") + _bytes(schema) + _long(0) + sync)
    out.write(_long(len(data)) + _bytes(b"".join(data)) + sync)
    return out.getvalue()


def _bytes(value: bytes) -> bytes:
    return _long(len(value)) + value


def _long(value: int) -> bytes:
    """Return a non-negative long as Avro writes it: zigzag, seven bits a byte, the lowest first."""
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderUnwritable(
            f"writing {path} failed: {error.strerror}. Check that the folder is there, that this user may write to it "
            "and that the disk has room; then replay again: what was recorded is finished first"
        ) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
