"""Files as they land: line ends mixed, torn, byte order marks, holes of NULs, lines without an end, garbage."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np

from canonical.columns import Vocabulary
from canonical.records import RawRecords
from dataflows.sources.landed_files import FILE_SHIFT, FolderConfig, LandedFiles
from tests.fuzz.decode_target import DecodeTarget
from tests.fuzz.outcome import NOW_US, Tally, differing_row, outcome_of
from tests.fuzz.violation import require

Line = tuple[int, bytes]
"""Where it begins in the file, and its bytes without the line end."""

_LINE_ENDS = (b"\n",) * 12 + (b"\r\n",) * 4 + (b"\r", b"\n\n", b"\r\r\n", b"\n\r", b"", b"\x85", b"\xe2\x80\xa8")
_STRAY = (
    b"\xef\xbb\xbf",
    b"\0" * 700,
    b"\xff\xfe",
    b"\x1a",
    b"x" * 30_000,
    b"\xe4\xb8",
    b"\n" * 50,
    b"\0" * 20_000,
    b'{"a":',
    b"\x7fELF\2\1",
)
_BATCH_BYTES = (64, 997, 8_192)


class FileTarget:
    """One file of a plant, made of the mutated lines of another target; a message is a line with what ends it."""

    batch_messages = 300

    def __init__(self, lines: DecodeTarget, weight: float) -> None:
        self.lines = lines
        self.weight = weight

    def batch(self, rng: Random, count: int) -> list[bytes]:
        values = []
        for value in self.lines.batch(rng, count):
            stray = rng.choice(_STRAY) if rng.random() < 0.01 else b""
            values.append(stray + value + rng.choice(_LINE_ENDS))
        if rng.random() < 0.2:
            values[0] = b"\xef\xbb\xbf" + values[0]
        if rng.random() < 0.05:
            values = [value.decode("latin-1").encode("utf-16-le") for value in values]
        if rng.random() < 0.5:
            values[-1] = values[-1][: rng.randint(0, len(values[-1]))]
        return values

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        data = b"".join(values)
        told = twin(data)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
            path = Path(name) / "f"
            path.write_bytes(data)
            os.utime(path, (1, 1))
            whole = _read(path.parent, 64 << 20, lambda _: False)
            pieces = _read(path.parent, rng.choice(_BATCH_BYTES), lambda _: rng.random() < 0.2)
        for read in (whole, pieces):
            lines = [line for records in read for line in _lines(records)]
            require(
                lines == told, "a file is its lines, each once, at its place, however it is read", *_first(lines, told)
            )
        vocabulary = Vocabulary()
        at_once = outcome_of(self.lines.mapping, RawRecords.from_lines(data), vocabulary)
        first = 0
        for part in (outcome_of(self.lines.mapping, records, vocabulary) for records in pieces):
            rows = np.arange(first, first + part.records)
            row = differing_row(at_once, part, rows)
            require(
                row is None, "a line is decoded as it is in another piece of the file", row is not None and told[row]
            )
            first += part.records
        return at_once.tally()


def twin(data: bytes) -> list[Line]:
    """Return the lines of a file, read one after the other."""
    lines, at = [], 0
    while at < len(data):
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end
        line = data[at:stop]
        lines.append((at, line.removesuffix(b"\r")))
        at = stop + 1
    return lines


def _read(folder: Path, batch_bytes: int, interrupted: Callable[[int], bool]) -> list[RawRecords]:
    """Read the folder to its end, going on with another reader after each interruption."""
    config = FolderConfig(folder, batch_bytes=batch_bytes, settle_us=0)
    reader, found, state = LandedFiles(config, lambda: NOW_US), [], {}
    try:
        while len(records := reader.poll()):
            found.append(records)
            if interrupted(len(found)):
                position, state = reader.position(), {**state, **reader.state()}
                reader.close()
                reader = LandedFiles(config, lambda: NOW_US)
                reader.seek(position, state)
        require(reader.at_end(), "a folder that has been read is at its end")
    finally:
        reader.close()
    return found


def _lines(records: RawRecords) -> list[Line]:
    require((records.offsets >> FILE_SHIFT == records.offsets[0] >> FILE_SHIFT).all(), "offsets name the file")
    places = (records.offsets & (1 << FILE_SHIFT) - 1).tolist()
    return [(place, records.value(row)) for row, place in enumerate(places)]


def _first(lines: list[Line], told: list[Line]) -> list[object]:
    """Return the first line that differs."""
    return next(([a, b] for a, b in zip(lines, told, strict=False) if a != b), [len(lines), len(told)])
