"""Landed files: a folder into which a plant drops its files, as one shard.

Laws:

- every complete file is read once, in the order of (time of modification, name);
- a file that is still being written waits: one whose name says so (``.tmp``, ``.part``,
  ``.filepart``, a leading dot), and one that changed less than ``settle_us`` ago;
- a file that has been read and is dropped again unchanged, under its own or another name, is not
  read again; one that has grown is, and its old records are duplicates by identity or number;
- a file that ``plantsync replay`` dropped (its name says so) is read whatever it holds;
- a link that leads out of the folder, and a name that is no text or has control characters, are refused: a record of
  its own says so, and nothing of the file is read.

A record's offset is ``file << 40 | byte``: the file's ordinal in this shard and the place in it.
What has been read is remembered by name, size and time while the file is there, and by content
(SHA-256) for the last ``files_remembered_max`` files where records have no number of their own.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import orjson

from canonical.contracts.fault import FaultCode
from canonical.decoders.avro_container import Container
from canonical.decoders.b2mml import read_landed
from canonical.decoders.parquet_pages import MAGIC
from canonical.decoders.parquet_rows import ParquetRows
from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.errors import SourceUnavailable

DOCUMENT: Final = "document"
"""Format of files that are one record each, whatever is in them."""
UNFINISHED: Final = (".tmp", ".part", ".filepart")
REPLAYED: Final = re.compile(r"replay-[0-9a-f]{16}-\d+")
"""What the name of a replayed file holds: the id of its replay, and the file's number in it."""
FILE_SHIFT: Final = 40
LINE_BYTES_MAX: Final = 64 << 20
"""Of a longer line so much is read, to be refused; the rest of it is passed over, so that memory stays bounded."""
LOOK_BACK_BYTES: Final = 1 << 16
"""So far before the end of a batch the end of its last line is looked for before it is read."""
PART: Final = "source.files"
_UNSHOWABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FolderConfig:
    """Where a plant's files land and how they are read."""

    folder: Path
    pattern: str = "*"
    format: str = "json"
    by_content: bool = False
    batch_bytes: int = 8 << 20
    batch_rows_max: int = 50_000
    settle_us: int = 2_000_000
    files_remembered_max: int = 10_000


class LandedFiles:
    """Reads one folder; a ``Reader``."""

    def __init__(self, config: FolderConfig, clock: Callable[[], int]) -> None:
        self.config = config
        self._clock = clock
        self._done: dict[str, list[int]] = {}  # name -> [size, mtime_ns] of files that are still there
        self._contents: dict[str, None] = {}  # SHA-256 of what has been read, the oldest first
        self._changed = False
        self._ordinal = 0
        self._name = ""
        self._stamp: list[int] = []
        self._content = ""
        self._file: BinaryIO | None = None
        self._at = 0
        self._container: Container | None = None
        self._rows: ParquetRows | None = None
        self._document: RawRecords | None = None
        self._refusal = ""  # why the file is not read
        self._queue: deque[Path] = deque()

    # -- Reader --------------------------------------------------------------------------------

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on in the file of the position, at its byte, if it is still what it was."""
        if PART in state:
            known = orjson.loads(state[PART])
            self._done, self._contents = known["done"], dict.fromkeys(known["contents"])
        if position is None:
            return
        place = orjson.loads(position)
        self._ordinal = place["ordinal"]
        path = self.config.folder / place["name"]
        if not place["name"]:
            return
        try:
            if path.exists() and _stamp(path) == place["stamp"] and not self._refused(path):
                self._open(path)
                self._at, self._content = place["at"], place["content"]
            else:
                self._ordinal += 1  # it has changed or gone: what comes now is another file
        except OSError as error:
            raise _unavailable(path, error) from error

    def poll(self) -> RawRecords:
        """Return the next whole lines, about ``batch_bytes``, or none while nothing is complete."""
        try:
            while self._file is not None or self._open_next():
                records = self._read()
                if not len(records) or records.refusals is not None:
                    self._finish()
                if len(records):
                    return records
        except OSError as error:
            raise _unavailable(self.config.folder / self._name, error) from error
        return NO_RECORDS

    def position(self) -> str:
        """Return the file being read and the byte to go on at."""
        place = {
            "ordinal": self._ordinal,
            "name": self._name,
            "stamp": self._stamp,
            "at": self._at,
            "content": self._content,
        }
        return orjson.dumps(place).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return which files have been read, when that has changed."""
        if not self._changed:
            return {}
        self._changed = False
        return {PART: orjson.dumps({"done": self._done, "contents": list(self._contents)})}

    def at_end(self) -> bool:
        """Return whether no file is being read and none is waiting, settled or not."""
        return self._file is None and not self._waiting(self._listed(), settled_only=False)

    def behind(self) -> int:
        """Return about how many bytes have not been read, settled or not."""
        waiting = 0
        for path in self._waiting(self._listed(), settled_only=False):
            with suppress(FileNotFoundError):  # It was taken away after it was listed.
                waiting += path.stat().st_size
        return max(waiting - self._at, 0)

    def whole(self, path: Path) -> Iterator[RawRecords]:
        """Yield the records of one file from its beginning and remember nothing; of one that is refused there are none.

        Their offsets are places in the file. Raises: SourceUnavailable.
        """
        try:
            self._open(path)
            while not self._refusal and len(records := self._read()):
                yield records
        except OSError as error:
            raise _unavailable(path, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Close the file being read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- files ---------------------------------------------------------------------------------

    def _open_next(self) -> bool:
        """Open the next file in order; the folder is listed again only when all that it held are read."""
        while self._queue or self._list():
            path = self._queue.popleft()
            try:
                if not self._is_waiting(_name(path), _stamp(path), settled_only=True):
                    continue
                known = self.config.by_content and not REPLAYED.search(path.name) and not self._refused(path)
                content = _content(path) if known else ""
                if content in self._contents:
                    self._done[_name(path)] = _stamp(path)
                    self._changed = True
                    continue
                self._open(path)
            except FileNotFoundError:
                continue  # it was taken away after it was listed
            self._content = content
            return True
        return False

    def _list(self) -> bool:
        """Queue the files that are waiting; those that have left the folder need not be remembered.

        A plant's folder is made here, where it is read; the landing folder must be there.
        """
        self.config.folder.mkdir(exist_ok=True)
        listed = self._listed()
        self._queue.extend(self._waiting(listed, settled_only=True))
        present = {_name(path) for path in listed}
        if self._done.keys() - present:
            self._done = {name: stamp for name, stamp in self._done.items() if name in present}
            self._changed = True
        return bool(self._queue)

    def _open(self, path: Path) -> None:
        self._name, self._stamp, self._at = _name(path), _stamp(path), 0
        self._refusal = self._refused(path)
        self._file = BytesIO() if self._refusal else path.open("rb")
        self._document = self._rows = None

    def _refused(self, path: Path) -> str:
        """Return why a file is not read, nothing where it is."""
        if _UNSHOWABLE.search(path.name):
            return "its name is no text, or has control characters"
        if path.is_symlink() and not path.resolve().is_relative_to(self.config.folder.resolve()):
            return "it is a link that leads out of the folder"
        return ""

    def _finish(self) -> None:
        """Note the file as read."""
        self.close()
        self._done[self._name] = self._stamp
        self._changed = True
        if self._content:
            self._contents[self._content] = None
            while len(self._contents) > self.config.files_remembered_max:
                del self._contents[next(iter(self._contents))]
        self._container = self._document = self._rows = None
        self._ordinal += 1
        self._name, self._stamp, self._at, self._content = "", [], 0, ""

    def _waiting(self, listed: list[Path], *, settled_only: bool) -> list[Path]:
        """Return the files to be read, in order."""
        waiting = []
        for path in listed:
            with suppress(FileNotFoundError):  # It was taken away after it was listed.
                stamp = _stamp(path)
                if self._is_waiting(_name(path), stamp, settled_only=settled_only):
                    waiting.append((stamp[1], path.name, path))
        return [path for _, _, path in sorted(waiting)]

    def _is_waiting(self, name: str, stamp: list[int], *, settled_only: bool) -> bool:
        settled = stamp[1] <= (self._clock() - self.config.settle_us) * 1_000
        return self._done.get(name) != stamp and (settled or not settled_only)

    def _listed(self) -> list[Path]:
        """Return the files of the folder, and make nothing: who only looks comes here too."""
        folder = self.config.folder
        try:
            found = list(folder.glob(self.config.pattern))
        except OSError as error:
            raise _unavailable(folder, error) from error
        return [p for p in found if p.is_file() and not p.name.startswith(".") and p.suffix not in UNFINISHED]

    # -- records -------------------------------------------------------------------------------

    def _read(self) -> RawRecords:
        assert self._file is not None
        base = self._ordinal << FILE_SHIFT
        topic = f"{self.config.folder.name}/{self._name}"
        if self._refusal:
            shown = ascii(self._name)[1:-1]
            refusals = [(FaultCode.UNSAFE_NAME, f"{shown}: {self._refusal}")]
            topic = f"{self.config.folder.name}/{shown}"
            return RawRecords.from_values([shown.encode()], np.array([base]), topic, refusals=refusals)
        if self.config.format == "avro":
            return self._read_container(base, topic)
        if self.config.format == "parquet" and not self._holds_lines():
            return self._read_parquet(base, topic)
        if self.config.format in ("b2mml", DOCUMENT):
            return self._read_document(base, topic)
        size = self._whole_lines()
        self._file.seek(self._at)
        data = self._file.read(size)
        end, passed = data.rfind(b"\n") + 1, 0
        if not end and len(data) == size:
            # A line longer than a batch is taken whole, to be refused as one oversize record.
            data += self._file.readline(max(LINE_BYTES_MAX - len(data), 0))
            passed = self._rest_of_line(data)
        data = data[: end or len(data)]
        records = RawRecords.from_lines(data, base + self._at, topic)
        if len(records) > self.config.batch_rows_max:
            # Short lines: what a record becomes is larger than the record, a dead letter some kilobytes.
            data = data[: int(records.starts[self.config.batch_rows_max])]
            records = RawRecords.from_lines(data, base + self._at, topic)
        self._at += len(data) + passed
        return records

    def _whole_lines(self) -> int:
        """Return how many bytes to read so that the last line is whole, where its end is near; nothing is cut then."""
        assert self._file is not None
        size, look = self.config.batch_bytes, min(LOOK_BACK_BYTES, self.config.batch_bytes)
        self._file.seek(self._at + size - look)
        return size - look + (self._file.read(look).rfind(b"\n") + 1 or look)

    def _rest_of_line(self, data: bytes) -> int:
        """Pass over what is left of a line that was cut, and return how many bytes that is."""
        assert self._file is not None
        passed = 0
        line = data
        while line and not line.endswith(b"\n"):
            line = self._file.readline(self.config.batch_bytes)
            passed += len(line)
        return passed

    def _read_container(self, base: int, topic: str) -> RawRecords:
        """Return the next records of an Avro object container file; their places are ordinals."""
        assert self._file is not None
        if self._container is None:
            self._container = Container(self._file)
            self._container.skip(self._at)
        records = self._container.read(self.config.batch_rows_max, self.config.batch_bytes, topic)
        self._at += len(records)
        return replace(records, offsets=base + records.offsets)

    def _holds_lines(self) -> bool:
        """Return whether the file is what a replay made of rows: their lines."""
        assert self._file is not None
        if not REPLAYED.search(self._name):
            return False
        self._file.seek(0)
        return self._file.read(len(MAGIC)) != MAGIC

    def _read_parquet(self, base: int, topic: str) -> RawRecords:
        """Return the next rows of a Parquet file; their places are their numbers."""
        assert self._file is not None
        if self._rows is None:
            self._rows = ParquetRows(self._file, self._at)
        records = self._rows.read(self.config.batch_rows_max, self.config.batch_bytes, topic)
        if len(records):
            self._at = int(records.offsets[-1]) + 1
        return replace(records, offsets=base + records.offsets)

    def _read_document(self, base: int, topic: str) -> RawRecords:
        """Return the next records of a document, which is read as a whole; their places are ordinals.

        So much is read of a longer one that it is refused.
        """
        assert self._file is not None
        if self._document is None:
            data = self._file.read(LINE_BYTES_MAX)
            if self.config.format == DOCUMENT:
                self._document = RawRecords.from_values([data], np.zeros(1, np.int64), topic)
            else:
                self._document = read_landed(data, topic)
        whole, rows = self._document, slice(self._at, self._at + self.config.batch_rows_max)
        records = replace(whole, starts=whole.starts[rows], ends=whole.ends[rows], offsets=base + whole.offsets[rows])
        self._at += len(records)
        return records


def _name(path: Path) -> str:
    """Return the name of a file as text; bytes that are none become backslashes."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unavailable(path: Path, error: OSError) -> SourceUnavailable:
    return SourceUnavailable(
        f"reading {path} failed: {error.strerror}. Check that the folder is mounted and that this user may read it."
    )
