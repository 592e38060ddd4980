"""Files of an SFTP server, fetched into the drop folder of a plant, where ``LandedFiles`` reads them.

Law: every file of the server's folder lands once, whole, under its own name and with its own time, in the order of
(time, name). It has a hidden name until its bytes are durable. Which have landed is committed with an entry of each in
the spool, after it has landed; one that landed before a crash is known again by its size and time, and is not fetched
again. A file that is being written waits: one whose name says so, and one that has changed between two looks that are
``settle_s`` apart, by our own clock. One that changes later lands again, in place of what it was.

A name that could lead out of the folder, or could not be shown, and a file that is too long are refused, each with an
entry.

The collector's records are these entries; no plant reads them.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.sftp_server import RemoteFile, SftpServer
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.landed_files import REPLAYED, UNFINISHED

LOGGER: Final = logging.getLogger(__name__)
PART: Final = "source.files"
PART_BEFORE: Final = "sftp.files"
"""As earlier releases called it, which an outage lost."""
NAME_BYTES_MAX: Final = 200
_SHOWN: Final = 240
_NAMED: Final = 100


class SftpFiles:
    """Fetches from one folder; a ``Collector``.

    Args:
        folder: the drop folder; it is made, but the landing folder must be there.
        clock: now in UTC microseconds.
        refusals: takes what is refused.
    """

    def __init__(
        self, section: SftpCollector, name: str, folder: Path, clock: Callable[[], int], refusals: Refusals
    ) -> None:
        self._section, self._folder, self._clock = section, folder, clock
        self._name, self._refusals = name, refusals
        self._server = SftpServer(section, name, refusals)
        self._number = 0
        self._known: dict[str, list[int]] = {}  # name -> [size, time] of files that have landed or were refused
        self._changed = False
        self._settling: dict[str, tuple[list[int], int]] = {}  # name -> [size, time], and since when it is so
        self._queue: deque[RemoteFile] = deque()
        self._due_us = 0

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position."""
        if position is not None:
            self._number = orjson.loads(position)["number"]
        self._changed = PART not in state and PART_BEFORE in state
        self._known = orjson.loads(state.get(PART, state.get(PART_BEFORE, b"{}")))

    def poll(self) -> RawRecords:
        """Fetch the next file, and return its entry. Raises: SourceUnavailable, AnswerUnusable."""
        entries: list[dict[str, Any]] = []
        if not self._queue:
            if self._clock() < self._due_us:
                return NO_RECORDS
            entries = self._look()
        if self._queue and (entry := self._land(self._queue[0])) is not None:
            entries.append(entry)
        if self._queue:
            self._queue.popleft()
        if not self._queue:
            self._server.close()
            every_s, settle_s = self._section.every_s, self._section.settle_s
            waits_s = min(every_s, settle_s) if self._settling else every_s
            self._due_us = self._clock() + round(waits_s * 1e6)
        if not entries:
            return NO_RECORDS
        offsets = np.arange(self._number + 1, self._number + len(entries) + 1)
        self._number += len(entries)
        return RawRecords.from_values([orjson.dumps(entry) for entry in entries], offsets, self._name)

    def position(self) -> str:
        """Return how many entries there were."""
        return orjson.dumps({"number": self._number}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return which files have landed, when that has changed."""
        if not self._changed:
            return {}
        self._changed = False
        return {PART: orjson.dumps(self._known)}

    def at_end(self) -> bool:
        """Return whether nothing more was there at the last look."""
        return self._due_us > 0 and not self._queue and not self._settling

    def behind(self) -> int:
        """Return 0: it is not asked."""
        return 0

    def committed(self, position: str) -> None:
        """Do nothing: the server waits for no answer."""

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    # -- the server ----------------------------------------------------------------------------

    def _look(self) -> list[dict[str, Any]]:
        """Queue the files that are to be fetched, and return the entries of those that are refused."""
        now_us, settle_us = self._clock(), self._section.settle_s * 1e6
        listed = {_shown(file.name): file for file in self._server.listed()}
        refused, settling, ready = [], {}, []
        for name, file in listed.items():
            stamp = [file.size, file.mtime]
            if self._known.get(name) == stamp or _left_alone(name, self._section.pattern):
                continue
            if (reason := self._refusal(name, file)) is not None:
                refused.append({"refused": name, "code": reason.value, "size": file.size, "mtime": file.mtime})
                LOGGER.warning("collect.%s: %r is refused: %s", self._name, name, reason.value)
                where = f"{self._section.host}:{self._section.port}"
                self._refusals.refuse(reason, f"{where}: {name[:_NAMED]!r}, {file.size:,} bytes", file.name)
                self._known[name], self._changed = stamp, True
                continue
            before, since_us = self._settling.get(name, (stamp, now_us))
            since_us = since_us if before == stamp else now_us
            if now_us - since_us >= settle_us:
                ready.append(file)
            else:
                settling[name] = (stamp, since_us)
        self._settling = settling
        if gone := self._known.keys() - listed.keys():
            self._known = {name: stamp for name, stamp in self._known.items() if name not in gone}
            self._changed = True
        self._queue.extend(sorted(ready, key=lambda file: (file.mtime, file.name)))
        return refused

    def _refusal(self, name: str, file: RemoteFile) -> FaultCode | None:
        """Return the code of what is wrong with a file; None where it may land."""
        unsafe = "/" in name or "\\" in name or not name.isprintable() or len(file.name) > NAME_BYTES_MAX
        if unsafe or REPLAYED.search(name):
            return FaultCode.UNSAFE_NAME
        if file.size > self._section.file_bytes_max:
            return FaultCode.OVERSIZE
        return None

    # -- the drop folder -----------------------------------------------------------------------

    def _land(self, file: RemoteFile) -> dict[str, Any] | None:
        """Fetch a file, durably; None where it is no longer what it was, so that it settles again."""
        name = _shown(file.name)
        hidden, final = self._folder / f".{self._name}.part", self._folder / name
        try:
            self._folder.mkdir(exist_ok=True)
            digest = _digest(final) if _stamp(final) == (file.size, file.mtime) else self._fetched(file, hidden, final)
        except OSError as error:
            raise SourceUnavailable(
                f"collect.{self._name}: {final} cannot be written: {error.strerror}. Check space and rights."
            ) from error
        if not digest:
            return None
        self._known[name], self._changed = [file.size, file.mtime], True
        return {"landed": name, "size": file.size, "mtime": file.mtime, "sha256": digest}

    def _fetched(self, file: RemoteFile, hidden: Path, final: Path) -> str:
        """Fetch a file under a hidden name, which it loses when it is whole; return its SHA-256, or nothing."""
        digest = hashlib.sha256()
        with hidden.open("wb") as out:

            def write(data: bytes) -> None:
                digest.update(data)
                out.write(data)

            if not self._server.fetch(file, write):
                return ""
            out.flush()
            # Its own time makes it the same file when it is fetched again; one ahead of us would have to wait.
            time_us = min(file.mtime * 1_000_000, self._clock())
            os.utime(out.fileno(), ns=(time_us * 1_000, time_us * 1_000))
            os.fsync(out.fileno())
        hidden.rename(final)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return digest.hexdigest()


def _shown(name: bytes) -> str:
    """Return a name as text; bytes that are none become backslashes, which no name may have."""
    return name[: _SHOWN + 1].decode("utf-8", "backslashreplace")


def _left_alone(name: str, pattern: str) -> bool:
    """Return whether a file is none of ours, or says that it is not finished."""
    if "/" in name or "\\" in name:
        return False
    return name.startswith(".") or name.endswith(UNFINISHED) or not fnmatchcase(name, pattern)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns // 1_000_000_000


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
