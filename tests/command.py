"""The command ``plantsync`` in a folder: run to its end, or started.

Each is a process of its own, forked from one that has loaded the program. What is to be seen of the installed command
itself starts ``PLANTSYNC``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dataflows.cli import main
from tests.forked import Forked

PLANTSYNC = Path(sys.executable).with_name("plantsync")
WAIT_S = 180


@dataclass(frozen=True)
class Ended:
    """What became of a command."""

    returncode: int
    stdout: str
    stderr: str


def ran(folder: Path, *arguments: object, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end with these variables, or with ours but for plantsync's own."""
    with tempfile.TemporaryDirectory(prefix="plantsync-command-") as scratch:
        said = Path(scratch) / "stdout", Path(scratch) / "stderr"
        process = Forked(_be, *_told(folder, arguments, environment), said=said, parental=True)
        try:
            code = process.wait(WAIT_S)
        finally:
            process.kill()
        return Ended(code, *(path.read_text("utf-8") for path in said))


def started(
    folder: Path,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    said: tuple[Path, Path] | None = None,
) -> Forked:
    """Start a command; ``said`` are the files of its output and its errors."""
    return Forked(_be, *_told(folder, arguments, environment), said=said)


def plantsync(folder: Path, *arguments: object, code: int = 0) -> str:
    """Run a command; it must end with this code and without a stack. Return what it printed."""
    done = ran(folder, *arguments)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def told(folder: Path, *arguments: object, code: int = 0) -> dict:
    """Run a command with ``--json`` and return what it said."""
    return json.loads(plantsync(folder, *arguments, "--json", code=code))


def _told(
    folder: Path, arguments: tuple[object, ...], environment: Mapping[str, str] | None
) -> tuple[str, list[str], dict[str, str]]:
    if environment is None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PLANTSYNC_")}
        environment = ours | {"COLUMNS": "200"}
    return str(folder), [str(PLANTSYNC), *map(str, arguments)], dict(environment)


def _be(folder: str, words: list[str], environment: dict[str, str]) -> None:
    """Be the command, from here on."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = words
    main()
