"""The installed command ``plantsync``, run to its end in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PLANTSYNC = Path(sys.executable).with_name("plantsync")
WAIT_S = 180


def plantsync(folder: Path, *arguments: object, code: int = 0) -> str:
    """Run a command; it must end with this code and without a stack. Return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLANTSYNC_")}
    command = [str(PLANTSYNC), *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def told(folder: Path, *arguments: object, code: int = 0) -> dict:
    """Run a command with ``--json`` and return what it said."""
    return json.loads(plantsync(folder, *arguments, "--json", code=code))
