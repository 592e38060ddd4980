"""The demo's folder: claimed by a marker, so that only what a demo wrote is ever removed."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sinks.commit_log import PlantsyncError

MARKER: Final = ".plantsync-demo"
MARK: Final = "plantsync demo wrote this folder. The next demo removes what is in it; keep nothing here.\n"


class DemoFolderRefused(PlantsyncError):
    """The folder holds what no demo wrote, or another demo is using it."""


class DemoFolder:
    """Where everything of one demo is.

    Args: root: the folder; as given, because commands that name it are shown to the reader.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "plantsync.toml"
        self.plants = root / "plants"
        self.landing = root / "landing"
        self.state = root / "state"
        self.log = self.state / "plantsync.db"
        self.published = root / "analytics.duckdb"
        self.output = root / "output"
        self.truth = root / "truth.json"
        self.reference = root / "reference"
        self.erps = root / "erps"
        self.broker = root / "broker"
        self.spool = self.state / "spool.db"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Empty the folder of what an earlier demo wrote, and keep other demos out while the block runs.

        Raises: DemoFolderRefused, and then nothing was removed.
        """
        marker = self.root / MARKER
        if self.root.exists() and not self.root.is_dir():
            raise DemoFolderRefused(f"{self.root} is not a folder; name another one with --folder")
        if self.root.exists() and any(self.root.iterdir()) and not marker.is_file():
            raise DemoFolderRefused(f"{self.root} is not empty and no demo wrote it; name another one with --folder")
        self.root.mkdir(parents=True, exist_ok=True)
        with marker.open("a+", encoding="utf-8") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DemoFolderRefused(f"another demo is running in {self.root}; wait, or use --folder") from error
            self._empty()
            mark.truncate(0)
            mark.write(MARK)
            mark.flush()
            yield

    def _empty(self) -> None:
        files = (self.settings, self.published, self.truth)
        folders = (self.plants, self.landing, self.state, self.output, self.reference, self.erps, self.broker)
        strangers = {path.name for path in self.root.iterdir()} - {path.name for path in (*files, *folders)} - {MARKER}
        abandoned = {name for name in strangers if name.startswith(f".{self.published.name}.")}  # by a killed writer
        if others := sorted(strangers - abandoned):
            raise DemoFolderRefused(
                f"{self.root} holds {', '.join(others)}, which no demo wrote; move that away, or use --folder"
            )
        for folder in folders:
            if folder.is_symlink():
                raise DemoFolderRefused(f"{folder} is a link, which no demo made; remove it, or use --folder")
            if folder.exists():
                shutil.rmtree(folder)
        for name in abandoned:
            (self.root / name).unlink()
        for file in files:
            file.unlink(missing_ok=True)
